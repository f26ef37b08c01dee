"""What a search says of its rounds, from rounds written by hand."""

import json

import numpy as np
import pytest

from ensembudget.prediction.budgets import Budgeted, Candidate
from ensembudget.prediction.policy import Decision, Policy
from ensembudget.prediction.search import SearchResult, SearchState
from ensembudget.records import Prediction, Round
from ensembudget.rendering.render import from_csv, render, to_csv
from ensembudget.tables import rounds

GRID = 8e9
POLICY = Policy(Budgeted(11338, "parameters", []), spend=1e9, grid=GRID)
FIRST = Round(
    width=4, seeds=[0], keys=["a" * 64], flops=2e8, best=None, confidence=0.0, loss=None, reason="a law first"
)
SECOND = Round(
    width=6, seeds=[1, 2], keys=["b" * 64, "c" * 64], flops=6e8, best=4, confidence=0.625, loss=0.0125,
    reason="it tells most",
)  # fmt: skip
BEST = Candidate(members=4, width=3, parameters=2992)
STOP = Decision(BEST, 0.96, 0.001, None, 0, "sure enough")
PREDICTION = Prediction(budget=11338, budget_kind="parameters", best=4, status="ok", splits=[])


def state(decision=STOP, done=(FIRST, SECOND)) -> SearchState:
    return SearchState(decision, tuple(done), sum(one.flops for one in done))


def test_a_row_is_a_round_with_what_was_known_before_it():
    one, other = rounds.table.rows((state(), POLICY))
    assert one == {
        "round": 1, "best": None, "confidence": None, "loss": None, "width": 4, "seeds": "0",
        "grid_percent": pytest.approx(2.5), "reason": "a law first",
    }  # fmt: skip
    assert other == {
        "round": 2, "best": 4, "confidence": 0.625, "loss": 0.0125, "width": 6, "seeds": "1 2",
        "grid_percent": pytest.approx(7.5), "reason": "it tells most",
    }  # fmt: skip
    assert list(one) == [column.name for column in rounds.table.columns]


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
def test_rounds_can_be_set_in_every_way(kind):
    text = render(rounds.table, rounds.table.rows((state(), POLICY)), kind)
    assert "a law first" in text
    assert "it tells most" in text
    assert "nan" not in text.lower()


def test_rounds_come_back_from_a_csv():
    first, second = from_csv(to_csv(rounds.table, rounds.table.rows((state(), POLICY))))
    assert (second["best"], second["width"], second["loss"]) == (4, 6, 0.0125)
    assert first["best"] is None
    assert first["confidence"] is None


def test_before_there_is_a_law_a_sentence_names_no_best():
    decision = Decision(None, 0.0, np.inf, 5, 1, "a law needs more")
    said = rounds.sentence(state(decision, [FIRST]), POLICY)
    assert said.startswith("round 2; 20% of the spend, 2.5% of the grid; ")
    assert said.endswith("; trains 1 of width 5: a law needs more")
    assert "best" not in said
    assert "inf" not in said


def test_a_sentence_says_what_is_best_how_sure_and_what_is_next():
    said = rounds.sentence(state(STOP._replace(width=6, number=2, reason="most")), POLICY)
    assert said == (
        "round 3; 80% of the spend, 10.0% of the grid; best n = 4 (width 3) with confidence 0.96;"
        " trains 2 of width 6: most"
    )


def test_the_last_sentence_says_that_it_stops_and_why():
    assert rounds.sentence(state(), POLICY).endswith("with confidence 0.96; stops: sure enough")


def test_a_document_has_the_end_the_rounds_and_the_prediction_and_is_json():
    document = json.loads(
        json.dumps(rounds.document(SearchResult(state(), PREDICTION), POLICY), allow_nan=False)
    )
    assert (document["stopped"], document["confidence"]) == ("sure enough", 0.96)
    assert (document["spent"], document["grid"]) == (8e8, GRID)
    assert [one["round"] for one in document["rounds"]] == [1, 2]
    assert Prediction.model_validate(document["prediction"]) == PREDICTION


def test_a_document_without_a_law_has_no_prediction():
    decision = Decision(None, 0.0, np.inf, 5, 1, "a law needs more")
    found = SearchResult(state(decision, []), None)
    document = json.loads(json.dumps(rounds.document(found, POLICY), allow_nan=False))
    assert (document["prediction"], document["rounds"], document["spent"]) == (None, [], 0)
