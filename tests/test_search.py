"""A search on a tiny study: what it may choose, what it trains and spends, and how it goes on."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import helpers
from ensembudget import studies
from ensembudget.errors import FitError, IncompleteError, PlanError
from ensembudget.executors import _worker as executors
from ensembudget.prediction import choice
from ensembudget.prediction.law import ALONG_MEMBERS, ALONG_WIDTH, INTERACTING, fit_plane
from ensembudget.records import Arm, Prediction, RecipeChoice, Study
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.search import look, search, space_of, spend_of

# The package has a function of that name too.
SEARCH = importlib.import_module("ensembudget.verbs.search")
STUDY = """
name = "seek"
description = "widths 2, 3, 4 and 6"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
budgets = ["5178", "11338"]
members = [1, 2, 4]
tolerance = 0.3
replicates = 2
pool = 4

[recipe]
epochs = 1
batch_size = 32
"""
BUDGET = "11338"
# Of WRN-10: 5178 is one network of width 4 or two of 3 or four of 2; 11338 one of 6, two of 4 or four of 3.
POOLS = {2: 8, 3: 8, 4: 4, 6: 4}
LABELS = np.arange(300) % 10
NEVER_SURE = {"tolerance": 1e-6, "confidence": 1 - 1e-9}
NEVER = ("--tolerance", "1e-6", "--confidence", "0.999999999")
COARSE = INTERACTING._replace(
    exponents=(
        ALONG_MEMBERS._replace(grid=np.geomspace(0.2, 2.5, 5)),
        ALONG_WIDTH._replace(grid=np.geomspace(0.1, 2.5, 5)),
    )
)
# How strong each width's signal is: which split is best follows from it.
KINDS = {
    "one wide network": {2: 0.3, 3: 0.6, 4: 1.6, 6: 3.5},
    "many members": {2: 2.9, 3: 2.9, 4: 2.9, 6: 2.9},
    "nearly even": {2: 1.5, 3: 2.0, 4: 2.4, 6: 2.9},
}


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """A law with few exponents: a search in a second."""
    monkeypatch.setattr(choice, "fit_plane", lambda plane: fit_plane(plane, COARSE))
    monkeypatch.setattr(choice, "DRAWS", 300)


@pytest.fixture(scope="module")
def written(tmp_path_factory, digits) -> Path:
    path = tmp_path_factory.mktemp("study") / "seek.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def study(written) -> Study:
    return studies.load_study(written)


@pytest.fixture(scope="module")
def space(study):
    return space_of(study, BUDGET)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def publish(run, store, space, kind="nearly even", *, diverged_at=None):
    """A member as if it had been trained: a signal, errors that all share, and its own."""
    rng = np.random.default_rng([run.cell.width, run.seed])
    shared = np.random.default_rng(0).normal(size=(300, 10))
    signal = KINDS[kind][run.cell.width] * np.eye(10)[LABELS]
    logits = (signal + 0.5 * shared + rng.normal(size=(300, 10))).astype(np.float32)
    trained = helpers.trained_as(
        run, logits, parameters=space.parameters[run.cell.width], diverged_at=diverged_at
    )
    helpers.publish(store, trained, LABELS)


@pytest.fixture
def pretended(monkeypatch, space):
    """Members are made instead of trained; the list has those that were, round by round."""
    made: list[list[tuple[int, int]]] = []

    def use(kind="nearly even"):
        def train_missing(planned, store, arrangement, executor):
            runs = [run for run in planned.runs if run.key not in store]
            made.append([(run.cell.width, run.seed) for run in runs])
            for run in runs:
                publish(run, store, space, kind)
            return []

        monkeypatch.setattr(SEARCH, "train_missing", train_missing)
        return made

    return use


def flops_of(store, space) -> float:
    """Of every member of the space that the store has."""
    return sum(
        cell.training_flops * sum(run.key in store for run in cell.runs) for cell in space.planned.cells
    )


# What a search may choose, and train.


def test_the_grid_is_what_the_study_trains_for_the_budget(study, space):
    planned = plan_study(study)
    splits = [one for one in planned.splits if one.budget == 11338]
    # Forward and twice that for backward, 100 images, one epoch; four members of a width, or two ensembles.
    each = {one.members: 3 * one.flops_per_sample // one.members * 100 for one in splits}
    assert space.grid == sum(max(4, 2 * n) * flops for n, flops in each.items())
    assert {one.members: one.width for one in space.budget.candidates} == {1: 6, 2: 4, 4: 3}
    assert [one.parameters for one in space.budget.candidates] == [11338, 5178, 2992]


def test_narrower_widths_of_other_budgets_may_be_trained_and_costlier_ones_may_not(study, space):
    assert {k: cell.members for k, cell in space.cells.items()} == POOLS
    assert set(space_of(study, "5178").cells) == {2, 3, 4}
    more = space_of(study.model_copy(update={"widths": [1, 5, 9]}), BUDGET)
    assert set(more.cells) == {1, 2, 3, 4, 5, 6}
    assert more.grid == space.grid


def test_cells_are_those_of_the_study_so_that_its_run_has_them(study, space):
    keys = {run.key for run in plan_study(study).runs}
    assert {run.key for run in space.planned.runs} == keys


def test_a_budget_is_the_same_however_it_is_written(study, space):
    for text in ("11.338k", "11,338"):
        one = space_of(study, text)
        assert (one.search, one.budget, one.grid) == (space.search, space.budget, space.grid)
        assert one.cells == space.cells


def test_a_budget_that_the_study_does_not_have_can_be_searched(study):
    asked = study.model_copy(update={"budgets": ["5178"]})
    space = space_of(asked, BUDGET)
    assert {k: cell.members for k, cell in space.cells.items()} == POOLS


@pytest.mark.parametrize(
    ("changes", "budget", "words"),
    [
        ({"members": [1]}, BUDGET, ("'11338'", "'seek'", "splits of n = 1;", "at least one other")),
        ({"members": [2, 4]}, BUDGET, ("'11338'", "'seek'", "splits of n = 2, 4;", "wide network")),
        (
            {"members": [1, 2], "budgets": []},
            BUDGET,
            ("'11338'", "'seek'", "2 widths to train 2 members of", "needs 3", "`widths`"),
        ),
        # Three widths, of the widest a lone member.
        (
            {"budgets": [], "pool": 1, "replicates": 1},
            BUDGET,
            ("2 widths to train 2 members of", "needs 3", "`pool`"),
        ),
    ],
)
def test_a_budget_with_too_little_to_choose_or_to_learn_from_is_refused(changes, budget, words, study):
    with pytest.raises(PlanError) as caught:
        space_of(study.model_copy(update=changes), budget)
    for word in words:
        assert word in str(caught.value)


def test_an_arm_is_chosen_by_name(study):
    arms = [
        Arm(name=name, recipe=RecipeChoice(learning_rate=rate)) for name, rate in (("a", 0.1), ("b", 0.2))
    ]
    both = study.model_copy(update={"arms": arms})
    with pytest.raises(FitError, match=r"--arm: 'a', 'b'"):
        space_of(both, BUDGET)
    with pytest.raises(FitError, match="'c' is none"):
        space_of(both, BUDGET, "c")
    with pytest.raises(FitError, match="has no arms"):
        space_of(study, BUDGET, "a")
    one, other = (space_of(both, BUDGET, arm) for arm in "ab")
    assert {cell.arm for cell in one.planned.cells} == {"a"}
    assert {cell.cell.recipe.learning_rate for cell in other.planned.cells} == {0.2}
    assert set(one.cells) == set(POOLS)
    assert one.grid == other.grid


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        *(("25%", 2e12), ("0.5%", 4e10), ("100%", 8e12), (" 25 % ", 2e12), ("1e1%", 8e11), (".5%", 4e10)),
        *(("500FLOP", 500), ("2kFLOP", 2e3), ("7MFLOPs", 7e6), ("5.2GFLOPs", 5.2e9), ("1e6GFLOP", 1e15)),
        *(("40TFLOP", 4e13), ("0.5PFLOP", 5e14), ("3 EFLOP", 3e18), ("1ZFLOP", 1e21), ("2e-3TFLOP", 2e9)),
    ],
)
def test_a_spend_is_a_share_of_the_grid_or_operations(text, flops):
    assert spend_of(text, 8e12) == pytest.approx(flops, rel=1e-12)


BAD_SPENDS = (
    "0%", "101%", "-5%", "abc%", "%", "nan%", "inf%", "", "40MB", "0FLOP", "-3GFLOP", "much",
    # 25 could be a share.
    "25", "1e9", "0.25", "40T", "40gflop", "40KFLOP", "1e6", "infFLOP", "1e400FLOP", "1 000GFLOP", "2%FLOP",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD_SPENDS)
def test_a_spend_that_cannot_be_is_refused(text):
    with pytest.raises(PlanError, match=re.escape(repr(text))):
        spend_of(text, 8e12)


# What it trains and spends.


@pytest.mark.parametrize(("kind", "best"), [("one wide network", 1), ("many members", 4)])
def test_a_search_finds_a_clear_winner_within_its_spend(kind, best, space, store, pretended):
    pretended(kind)
    spend = 0.45 * space.grid
    found = search(space, store, spend)
    assert found.prediction.best == found.step.decision.best.members == best
    assert found.step.decision.confidence >= 0.95
    assert found.outcomes == []
    assert found.step.spent == pytest.approx(flops_of(store, space))
    assert found.step.spent <= spend
    assert (found.prediction.budget, found.prediction.budget_kind) == (11338, "parameters")
    assert [one.members for one in found.prediction.splits] == [1, 2, 4]


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_rounds_are_what_was_trained_and_stay_within_the_spend(share, space, store, pretended):
    made, steps = pretended(), []
    found = search(space, store, share * space.grid, **NEVER_SURE, on_step=steps.append)
    rounds = found.step.rounds
    assert [[(one.width, seed) for seed in one.seeds] for one in rounds] == made
    assert [len(step.rounds) for step in steps] == list(range(len(made) + 1))
    assert steps[-1] == found.step
    for one, before in zip(rounds, steps, strict=False):
        cell = space.cells[one.width]
        assert one.keys == [cell.runs[seed].key for seed in one.seeds]
        assert all(key in store for key in one.keys)
        assert one.flops == len(one.seeds) * cell.training_flops
        assert (one.width, one.reason) == (before.decision.width, before.decision.reason)
        assert len(one.seeds) == before.decision.number
    assert found.step.spent == pytest.approx(sum(one.flops for one in rounds))
    assert found.step.spent <= share * space.grid
    # What is left pays for no member that there still is.
    left = share * space.grid - found.step.spent
    missing = [cell for cell in space.planned.cells if not all(run.key in store for run in cell.runs)]
    assert all(cell.training_flops > left for cell in missing)
    assert store.saved_search(space.search).rounds == list(rounds)


def test_a_search_that_is_run_again_trains_nothing_and_says_the_same(space, store, pretended):
    made = pretended()
    first = search(space, store, 0.5 * space.grid, **NEVER_SURE)
    count = len(made)
    again = search(space, Store(store.root), 0.5 * space.grid, **NEVER_SURE)
    assert len(made) == count
    assert again.prediction == first.prediction
    assert (again.step.rounds, again.step.spent) == (first.step.rounds, first.step.spent)
    assert again.step.decision[:-1] == first.step.decision[:-1]


def test_a_search_goes_on_with_a_larger_spend(space, store, pretended):
    pretended()
    first = search(space, store, 0.35 * space.grid, **NEVER_SURE)
    more = search(space, store, 0.7 * space.grid, **NEVER_SURE)
    assert more.step.rounds[: len(first.step.rounds)] == first.step.rounds
    assert first.step.spent < more.step.spent == pytest.approx(flops_of(store, space))
    assert more.step.spent <= 0.7 * space.grid


def test_a_search_with_less_than_what_is_spent_stops_at_once(space, store, pretended):
    pretended()
    first = search(space, store, 0.7 * space.grid, **NEVER_SURE)
    count = flops_of(store, space)
    less = search(space, store, 0.3 * space.grid, **NEVER_SURE)
    assert flops_of(store, space) == count
    assert (less.step.decision.width, less.step.decision.number) == (None, 0)
    assert (less.step.rounds, less.step.spent) == (first.step.rounds, first.step.spent)
    assert less.prediction == first.prediction


def test_a_search_that_was_interrupted_ends_as_one_that_was_not(space, tmp_path, pretended):
    pretended()
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "store")
    expected = search(space, whole, 0.5 * space.grid, **NEVER_SURE)

    def leave(step):
        if len(step.rounds) in (3, 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(space, store, 0.5 * space.grid, **NEVER_SURE, on_step=leave)
    assert len(look(space, store, 0.5 * space.grid).rounds) == 3
    found = search(space, Store(store.root), 0.5 * space.grid, **NEVER_SURE)
    assert found.prediction == expected.prediction
    assert found.step.rounds == expected.step.rounds
    assert found.step.spent == pytest.approx(flops_of(store, space))


def test_a_round_that_was_not_trained_is_not_spent(space, store, pretended, monkeypatch):
    pretended()
    kept, calls = SEARCH.train_missing, []

    def train_missing(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return kept(*arguments)

    monkeypatch.setattr(SEARCH, "train_missing", train_missing)
    spend = 0.5 * space.grid
    with pytest.raises(KeyboardInterrupt):
        search(space, store, spend, **NEVER_SURE)
    assert len(store.saved_search(space.search).rounds) == 3
    step = look(space, store, spend)
    assert len(step.rounds) == 2
    assert step.spent == pytest.approx(flops_of(store, space))
    found = search(space, store, spend, **NEVER_SURE)
    assert found.step.spent == pytest.approx(flops_of(store, space))
    assert found.step.spent <= spend


def test_of_a_round_that_was_broken_off_what_was_trained_is_spent(space, store, pretended, monkeypatch):
    pretended()
    broken = []

    def train_missing(planned, store, arrangement, executor):
        runs = [run for run in planned.runs if run.key not in store]
        for run in runs if broken else runs[:1]:
            publish(run, store, space)
        if len(runs) > 1 and not broken:
            broken.append(runs)
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(SEARCH, "train_missing", train_missing)
    with pytest.raises(KeyboardInterrupt):
        search(space, store, 0.8 * space.grid, **NEVER_SURE)
    step, (*_, last) = look(space, store, 0.8 * space.grid), store.saved_search(space.search).rounds
    assert step.spent == pytest.approx(flops_of(store, space))
    (runs,) = broken
    assert last.seeds == [run.seed for run in runs]
    kept = step.rounds[-1]
    assert (kept.seeds, kept.keys) == ([runs[0].seed], [runs[0].key])
    assert kept.flops == pytest.approx(space.cells[kept.width].training_flops)
    found = search(space, store, 0.8 * space.grid, **NEVER_SURE)
    assert found.step.spent == pytest.approx(flops_of(store, space))
    assert found.step.spent <= 0.8 * space.grid
    seeds = [(one.width, seed) for one in found.step.rounds for seed in one.seeds]
    assert len(seeds) == len(set(seeds))


def test_members_that_are_there_are_used_and_cost_nothing(space, store, pretended):
    for k, count in ((2, 2), (3, 2), (4, 1)):
        for run in space.cells[k].runs[:count]:
            publish(run, store, space)
    before = flops_of(store, space)
    made = pretended()
    found = search(space, store, 0.5 * space.grid, **NEVER_SURE)
    assert made[:2] == [[(4, 1)], [(6, 0)]]
    assert found.step.spent == pytest.approx(flops_of(store, space) - before)
    assert found.step.spent <= 0.5 * space.grid


def test_all_members_there_is_an_answer_for_nothing(space, store, pretended):
    for run in space.planned.runs:
        publish(run, store, space)
    made = pretended()
    found = search(space, store, 1.0, **NEVER_SURE)
    assert made == []
    assert (found.step.spent, found.step.rounds) == (0, ())
    assert "every member" in found.step.decision.reason


def test_a_member_that_diverged_is_not_trained_again(space, store, pretended):
    publish(space.cells[2].runs[0], store, space, diverged_at=3)
    made = pretended()
    search(space, store, 0.6 * space.grid, **NEVER_SURE)
    assert (2, 0) not in [one for some in made for one in some]


def test_where_whole_widths_diverged_others_are_trained(space, store, pretended):
    for k in (2, 3):
        for run in space.cells[k].runs[:2]:
            publish(run, store, space, diverged_at=3)
    made = pretended()
    assert search(space, store, space.grid, **NEVER_SURE).prediction.best
    first = [width for some in made[:6] for width, _ in some]
    assert first == [2, 2, 3, 3, 4, 4]  # in place of those that diverged


def test_widths_of_which_all_diverged_are_passed_over(space, store, pretended):
    for run in space.cells[2].runs:
        publish(run, store, space, diverged_at=3)
    made = pretended()
    found = search(space, store, space.grid, **NEVER_SURE)
    assert [width for some in made[:6] for width, _ in some] == [3, 3, 4, 4, 6, 6]
    assert found.prediction.best
    assert "every member" in found.step.decision.reason
    assert sum(map(len, made)) == sum(POOLS.values()) - POOLS[2]


def test_too_few_widths_that_do_not_diverge_are_told(space, store, pretended):
    for k in (2, 3):
        for run in space.cells[k].runs:
            publish(run, store, space, diverged_at=3)
    made = pretended()
    with pytest.raises(IncompleteError, match="3 widths with 2 members that do not diverge"):
        search(space, store, space.grid)
    assert made == []


def test_where_too_many_widths_diverged_no_larger_spend_is_asked_for(space, store, pretended):
    for k in (2, 3):
        for run in space.cells[k].runs:
            publish(run, store, space, diverged_at=3)
    pretended()
    with pytest.raises(IncompleteError) as caught:
        search(space, store, space.grid)
    assert "--spend" not in str(caught.value)


def test_members_that_diverged_are_no_options(space, store, monkeypatch):
    seen, decide = [], SEARCH.decide
    monkeypatch.setattr(
        SEARCH,
        "decide",
        lambda pools, options, *rest, **more: seen.extend(options) or decide(pools, options, *rest, **more),
    )
    for at, run in enumerate(space.cells[3].runs[:5]):
        publish(run, store, space, diverged_at=3 if at % 2 else None)
    look(space, store, space.grid)
    assert {one.width: (one.trained, one.most) for one in seen} == {
        2: (0, 8),
        3: (3, 6),
        4: (0, 4),
        6: (0, 4),
    }


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", b'{"study": 1}'])
def test_a_search_that_cannot_be_read_is_as_none(content, space, store, pretended):
    made = pretended()
    first = search(space, store, 0.5 * space.grid, **NEVER_SURE)
    (path,) = (store.root / "searches").iterdir()
    path.write_bytes(content)
    step = look(space, store, 0.5 * space.grid, **NEVER_SURE)
    assert (step.rounds, step.spent) == ((), 0)
    assert step.decision.best == first.step.decision.best  # the members are still there
    assert sum(map(len, made)) == sum(run.key in store for run in space.planned.runs)


def test_searches_of_other_budgets_and_arms_have_rounds_of_their_own(study, space, store, pretended):
    pretended()
    found = search(space, store, 0.5 * space.grid, **NEVER_SURE)
    other = space_of(study, "5178")
    step = look(other, store, other.grid)
    assert step.rounds == ()
    assert store.saved_search(other.search) == other.search
    assert look(space_of(study, "11.338k"), store, space.grid).rounds == found.step.rounds


@pytest.mark.parametrize("name", ["tolerance", "confidence"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_tolerance_or_confidence_that_cannot_be_is_refused(name, value, space, store):
    for verb in (search, look):
        with pytest.raises(PlanError, match=f"--{name}"):
            verb(space, store, space.grid, **{name: value})
    assert not store.root.exists()


# From the command line.


def asking(written, *more, spend="60%"):
    return "search", written, "--budget", BUDGET, "--spend", spend, *more


def test_members_of_a_search_are_the_runs_own_and_are_not_trained_again(command, written, space):
    assert command(*asking(written)).code == 0
    store = Store("store")
    had = {run.key: store.read(run.key).digest for run in space.planned.runs if run.key in store}
    assert 7 <= len(had) < len(space.planned.runs)
    said = command("run", written, "--executor", "serial")
    assert said.code == 0
    assert f"{len(space.planned.runs) - len(had)} members done now" in said.err
    assert {key: store.read(key).digest for key in had} == had
    # And they are what the run would have trained.
    assert command("run", written, "--executor", "serial", "--store", "other").code == 0
    for key in had:
        one, other = store.read(key), Store("other").read(key)
        assert one.test_logits.tobytes() == other.test_logits.tobytes()


def test_json_is_one_document_and_what_is_told_meanwhile_goes_elsewhere(command, written, space, pretended):
    pretended()
    said = command(*asking(written, *NEVER, "--format", "json"))
    assert said.code == 0
    document = json.loads(said.out)
    assert set(document) == {"stopped", "confidence", "spent", "grid", "prediction", "rounds"}
    rounds = document["rounds"]
    assert document["grid"] == space.grid
    assert document["spent"] == pytest.approx(flops_of(Store("store"), space))
    assert sum(one["grid_percent"] for one in rounds) == pytest.approx(100 * document["spent"] / space.grid)
    assert document["spent"] <= 0.6 * space.grid
    assert 0 <= document["confidence"] <= 1
    assert Prediction.from_json(json.dumps(document["prediction"])).budget == 11338
    lines = said.err.splitlines()
    assert [line.split(";")[0] for line in lines] == [f"round {i + 1}" for i in range(len(rounds) + 1)]
    assert lines[-1].endswith(f"stops: {document['stopped']}")


def test_the_same_command_again_prints_the_same(command, written, pretended):
    made = pretended()
    first = command(*asking(written, *NEVER))
    count = len(made)
    again = command(*asking(written, *NEVER))
    assert (again.code, again.out) == (first.code, first.out) == (0, first.out)
    assert len(made) == count
    assert len(again.err.splitlines()) == 1
    assert "Rounds of the search" in first.out
    assert "At 11,338 parameters the best split is expected to be n = " in first.out


def test_an_interruption_is_no_traceback_and_the_same_command_goes_on(
    command, written, pretended, monkeypatch
):
    pretended()
    whole = command(*asking(written, *NEVER, "--store", "whole"))
    kept, calls = SEARCH.train_missing, []

    def train_missing(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return kept(*arguments)

    monkeypatch.setattr(SEARCH, "train_missing", train_missing)
    said = command(*asking(written, *NEVER))
    assert said.code == 130
    assert said.out == ""
    assert "resume" in said.err
    after = command(*asking(written, *NEVER))
    assert (after.code, after.out) == (0, whole.out)


def test_a_spend_too_small_for_a_law_says_how_much_is_needed(command, written, space, pretended):
    pretended()
    said = command(*asking(written, spend="5%"))
    assert said.code == 3
    assert said.out == ""
    last = said.err.splitlines()[-1]
    needed = 2 * sum(space.cells[k].training_flops for k in (2, 3, 4)) / space.grid
    (percent,) = re.findall(r"widths take ([0-9.]+)% of the grid", last)
    assert 100 * needed <= float(percent) < 100 * needed + 0.1
    assert "--spend" in last
    assert flops_of(Store("store"), space) <= 0.05 * space.grid
    assert command(*asking(written, spend=f"{float(percent) - 0.1:.1f}%")).code == 3
    assert command(*asking(written, spend=f"{percent}%")).code == 0


@pytest.fixture
def nothing_trains(monkeypatch):
    def train(*arguments, **options):
        raise RuntimeError("no luck today")

    monkeypatch.setattr(executors, "train", train)


def test_a_member_that_fails_ends_the_search_with_what_is_known(command, written, space, nothing_trains):
    for k, count in ((2, 2), (3, 2), (4, 2), (6, 1)):
        for run in space.cells[k].runs[:count]:
            publish(run, Store("store"), space)
    said = command(*asking(written, *NEVER, "--format", "json"))
    assert said.code == 1
    assert "failed: RuntimeError: no luck today" in said.err
    assert "Traceback" not in said.err
    document = json.loads(said.out)
    assert document["rounds"] == []
    assert document["spent"] == 0
    assert document["prediction"]["best"] in (1, 2, 4)


def test_a_member_that_fails_before_there_is_a_law_is_told(command, written, nothing_trains):
    said = command(*asking(written, "--format", "json"))
    assert said.code == 1
    assert "no luck today" in said.err
    assert "--spend" not in said.err
    document = json.loads(said.out)
    assert (document["prediction"], document["rounds"], document["spent"]) == (None, [], 0)
    assert "no luck today" in (table := command(*asking(written))).err
    assert table.code == 1


def test_a_failure_before_there_is_a_law_leaves_no_prediction(space, store, nothing_trains):
    found = search(space, store, space.grid)
    assert found.prediction is None
    assert {one.status for one in found.outcomes} == {"failed"}


@pytest.mark.parametrize("spend", ["1%", "60%"])
def test_a_dry_run_says_what_would_be_next_and_makes_no_store(spend, command, written):
    said = command(*asking(written, "--dry-run", spend=spend))
    assert said.code == 0
    assert said.out == ""
    assert said.err.startswith("round 1; 0% of the spend, 0.0% of the grid; ")
    assert ("trains 1 of width 2" if spend == "60%" else "stops: the spend") in said.err
    assert said.err.splitlines()[-1] == "Nothing was trained."
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_of_a_search_that_was_begun_says_where_it_is(command, written, space, pretended):
    made = pretended()
    command(*asking(written, *NEVER, spend="60%"))
    count, before = len(made), sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*"))
    said = command(*asking(written, *NEVER, "--dry-run", spend="90%"))
    assert said.err.startswith(f"round {count + 1}; ")
    assert "best n = " in said.err
    assert len(made) == count
    assert sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*")) == before


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_executor_that_is_none_is_refused_before_anything_is_looked_at(more, command, written):
    said = command(*asking(written, "--executor", "bogus", *more))
    assert (said.code, said.out) == (2, "")
    assert "bogus" in said.err
    assert "round 1" not in said.err
    assert list(Path.cwd().iterdir()) == []


WRONG = {
    **{f"spend {spend!r}": ("--spend", spend) for spend in ("0%", "nan%", "-3GFLOP", "25", "1e9", "")},
    "tolerance of none": ("--tolerance", "0"),
    "tolerance of all": ("--tolerance", "1"),
    "tolerance that is no number": ("--tolerance", "nan"),
    "tolerance that is a word": ("--tolerance", "small"),
    "confidence of none": ("--confidence", "0"),
    "confidence of all": ("--confidence", "1"),
    "confidence above": ("--confidence", "95"),
    "budget that is a word": ("--budget", "abc"),
    "budget of bytes": ("--budget", "40MB"),
    "budget of nothing": ("--budget", "0"),
    "budget of one network": ("--budget", "408"),
    "executor": ("--executor", "cluster"),
    "device": ("--device", "abacus"),
    "arm": ("--arm", "sphere"),
    "format": ("--format", "yaml"),
}


@pytest.mark.parametrize("flags", WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said_in_one_message_before_a_store_is_made(flags, command, written):
    said = command(*asking(written), f"{flags[0]}={flags[1]}")
    assert said.code == 2, said
    assert said.out == ""
    first, *more = said.err.splitlines()
    assert first.startswith("ensembudget: ")
    assert all(line.startswith("  - ") for line in more), said.err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
def test_a_search_with_the_whole_law_in_processes(command, written, space, monkeypatch):
    monkeypatch.setattr(choice, "fit_plane", fit_plane)
    monkeypatch.setattr(choice, "DRAWS", 1000)
    said = command(*asking(written, "--executor", "processes", "--format", "json"))
    assert said.code == 0, said
    assert json.loads(said.out)["spent"] == pytest.approx(flops_of(Store("store"), space))
