"""Tuning: what is tried, by whom it is judged, what is chosen, and that no chooser is ever scored.

Members are made here with logits of a known quality and not trained, except by the tests of the commands.
"""

import itertools
import json
import shutil
from collections import Counter
from math import ceil, prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import log_softmax

from ensembudget import analyse, evaluate, report, studies
from ensembudget.errors import IncompleteError, StoreError, StudyError
from ensembudget.executors._base import Executor, Outcome
from ensembudget.planning.plan import MOST_MEMBERS, plan
from ensembudget.planning.tuning import (
    edges,
    flops_at_most,
    following,
    most_members,
    stages,
    validation_faults,
)
from ensembudget.records import (
    TUNING_SEED,
    Arm,
    Choice,
    Plan,
    RecipeChoice,
    Run,
    Study,
    Task,
    TokenTask,
    Tune,
    Tuning,
)
from ensembudget.rendering.notes import result_notes
from ensembudget.rendering.render import from_csv
from ensembudget.store import Store
from ensembudget.tables import members as members_table
from ensembudget.tables import memory_split
from ensembudget.tables import tuning as tuning_table
from ensembudget.training.loop import Trained
from ensembudget.verbs.jobs import missing_cells
from ensembudget.verbs.run import run
from ensembudget.verbs.status import status
from ensembudget.verbs.tune import standing, tuning_round
from ensembudget.verbs.tuning_status import tuning_status
from helpers import HERE, Said, command
from scoring.oracle import cross_fitted

DIGITS = Task(10, 1, 8)
RNG = np.random.default_rng(0)
VALIDATION, TEST = RNG.integers(0, 10, 60), RNG.integers(0, 10, 80)
OWN = 3e-4  # weight decay of the recipe "default"
DECAYS = [OWN, 1e-3, 3e-3]


def make_study(**changes) -> Study:
    defaults = {
        "name": "tuned",
        "description": "one width",
        "family": "convnet",
        "dataset": "digits",
        "train_size": 100,
        "validation_size": 60,
        "widths": [2],
        "pool": 3,
        "tune": Tune(values={"weight_decay": DECAYS}),
    }
    return Study(**{**defaults, **changes})


def make_plan(study: Study, store: Store | None = None) -> Plan:
    kept = {} if store is None else {"choice_of": store.saved_choice}
    return plan(study, DIGITS, digest="0" * 64, dataset="digits", train_samples=1000, **kept)


def logits_of(labels: np.ndarray, quality: float, scale: float, seed: list[int]) -> np.ndarray:
    """Logits whose true class stands out by `quality`, all times `scale`: a wrong scale is a temperature."""
    noise = np.random.default_rng(seed).normal(size=(len(labels), 10))
    return (scale * (noise + quality * np.eye(10)[labels])).astype(np.float32)


def publish(
    store: Store,
    one: Run,
    quality: float,
    *,
    scale: float = 1.0,
    diverged: bool = False,
) -> None:
    """A member of this quality on the validation images, with the noise of its seed; on the test images all
    are as good.
    """
    seed = [one.seed, one.cell.width]
    trained = Trained(
        run=one,
        diverged_at=3 if diverged else None,
        train_loss=np.ones(2, np.float32),
        validation_logits=logits_of(VALIDATION, quality, scale, seed),
        test_logits=logits_of(TEST, 2.0, 1.0, [*seed, int(1e6 * one.cell.recipe.weight_decay)]),
        weights=None,
        parameters=5178,
        seconds=1.0,
    )
    store.publish(trained, (VALIDATION, TEST), HERE)


def train(planned: Plan, store: Store, quality=lambda recipe: 2.0, **how) -> list[list[Run]]:
    """Makes the members that choose, round by round; returns each round's."""
    rounds = []
    while found := tuning_round(planned, store):
        rounds.append(found.runs)
        for one in found.runs:
            publish(store, one, quality(one.cell.recipe), **how)
    return rounds


def fill(planned: Plan, store: Store) -> None:
    for one in planned.runs:
        if one.key not in store:
            publish(store, one, 2.0)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def best_at(decay: float):
    """Quality is the highest at this weight decay, and falls with the distance in decades."""
    return lambda recipe: 3.0 - abs(np.log10(recipe.weight_decay / decay))


# What is tried.


@given(st.integers(2, 200), st.integers(1, 64))
def test_halving_keeps_the_better_half_and_doubles_its_members(combinations, members):
    found = stages(Tune(method="halving", members=members, values={}), combinations)
    assert found[0] == (combinations, 1)
    for before, after in itertools.pairwise(found):
        assert after == (ceil(before.combinations / 2), min(2 * before.members, members))
    assert found[-1].members == members or found[-1].combinations == 2
    assert stages(Tune(members=members, values={}), combinations) == [(combinations, members)]


@given(
    st.dictionaries(
        st.sampled_from(["weight_decay", "momentum", "dropout"]),
        st.lists(st.integers(1, 99).map(lambda n: n / 100), min_size=2, max_size=4, unique=True),
        min_size=1,
    ),
    st.sampled_from(["grid", "halving"]),
    st.integers(1, 9),
)
@settings(max_examples=25, deadline=None)
def test_every_combination_is_tried_once_with_the_rest_of_the_recipe_as_it_was(values, method, members):
    study = make_study(tune=Tune(method=method, members=members, values=values))
    planned = make_plan(study)
    (own,), (tuning,) = planned.cells, planned.tuning
    tried = [tuple(sorted(one.values.items())) for one in tuning.combinations]
    assert len(set(tried)) == len(tried) == prod(map(len, values.values()))
    for one in tuning.combinations:
        assert one.cell.recipe == own.cell.recipe.model_copy(update=one.values)
        assert one.cell.model_copy(update={"recipe": own.cell.recipe}) == own.cell
    if tuning.own is not None:
        assert tuning.combinations[tuning.own].cell == own.cell
    else:
        assert own.cell not in [one.cell for one in tuning.combinations]


def test_each_arm_data_size_and_width_has_a_choice_and_subsets_share_it(store):
    study = make_study(
        train_size=[100, 200],
        subsets=2,
        widths=[2, 3],
        arms=[Arm(name="a"), Arm(name="b", recipe=RecipeChoice(epochs=3))],
        recipe_at={"200": RecipeChoice(momentum=0.5)},
    )
    planned = make_plan(study)
    places = [(one.arm, one.images, one.width) for one in planned.tuning]
    assert places == [(a, n, w) for a in ("a", "b") for n in (100, 200) for w in (2, 3)]
    assert {one.cell.subset for tuning in planned.tuning for one in tuning.combinations} == {0}
    train(planned, store, best_at(1e-3))
    after = make_plan(study, store)
    pools = [one for one in after.cells if one.tuned]
    assert len(pools) == 2 * len(places)
    assert {one.cell.recipe.weight_decay for one in pools} == {1e-3}
    assert {(one.train_size, one.cell.recipe.momentum) for one in pools} == {(100, 0.9), (200, 0.5)}
    assert {one.cell.subset for one in pools} == {0, 1}


def test_a_plan_before_tuning_has_the_untuned_pools_alone_and_says_what_follows(store):
    study = make_study(budgets=[3769], members=[1, 2], tolerance=0.3, tune=Tune(values={"epochs": [5, 10]}))
    planned = make_plan(study)
    assert len(planned.pending) == len(planned.tuning) == len(planned.cells)
    assert {one.tuned for one in [*planned.cells, *planned.splits]} == {False}
    after = following(planned)
    assert after.members == len(planned.runs)
    epochs = planned.cells[0].cell.recipe.epochs
    assert after.flops == pytest.approx(planned.training_flops(planned.runs) * 10 / epochs)


def test_what_tuning_costs_at_most_is_what_it_cost_where_epochs_are_not_tuned(store):
    study = make_study(
        tune=Tune(method="halving", members=5, values={"weight_decay": DECAYS, "momentum": [0.5, 0.9]})
    )
    planned = make_plan(study)
    (tuning,) = planned.tuning
    assert [tuple(one) for one in stages(tuning, 6)] == [(6, 1), (3, 2), (2, 4)]
    assert most_members(tuning) == 6 + 3 + 2 * 2
    runs = [one for some in train(planned, store) for one in some]
    assert len(runs) == len({one.key for one in runs}) == most_members(tuning)
    (choice,) = [one.choice for one in make_plan(study, store).tuning]
    each = planned.cells[0].training_flops
    assert choice.flops == pytest.approx(flops_at_most(tuning)) == pytest.approx(13 * each)


# By whom.


@pytest.mark.parametrize("method", ["grid", "halving"])
def test_no_chooser_is_among_the_scored_members(store, method):
    study = make_study(
        widths=[2, 3], pool=20, tune=Tune(method=method, members=4, values={"weight_decay": DECAYS})
    )
    planned = make_plan(study)
    choosers = {one.key for some in train(planned, store, best_at(OWN)) for one in some}
    after = make_plan(study, store)
    assert not choosers & {one.key for one in after.runs}
    # The choice is the study's own recipe, so choosers and scored members are of the same cells.
    assert {one.cell.key for one in after.runs} <= {store.read(key).member.run.cell.key for key in choosers}
    assert max(one.seed for one in after.runs) < MOST_MEMBERS < TUNING_SEED
    assert min(store.read(key).member.run.seed for key in choosers) == TUNING_SEED


def test_choosers_are_judged_by_the_mean_of_single_members_at_a_cross_fitted_temperature(store):
    study = make_study()
    train(make_plan(study), store, best_at(1e-3))
    (tuning,) = make_plan(study, store).tuning
    for one, trial in zip(tuning.combinations, tuning.choice.trials, strict=True):
        stored = [store.read(Run(cell=one.cell, seed=TUNING_SEED + i).key) for i in range(2)]
        log_probs = [log_softmax(s.validation_logits.astype(np.float64), -1) for s in stored]
        cnll = [cross_fitted(one[None], VALIDATION)[0] for one in log_probs]
        nll = [-one[np.arange(60), VALIDATION].mean() for one in log_probs]
        for found, values in ((trial.cnll, cnll), (trial.nll, nll)):
            assert found.value == pytest.approx(np.mean(values), abs=1e-6)
            low, high = stats.t.interval(0.95, 1, np.mean(values), stats.sem(values))
            assert (found.low, found.high) == pytest.approx((max(low, 0), high), abs=1e-5)


def test_a_recipe_that_is_better_but_for_its_temperature_is_chosen(store):
    study = make_study(tune=Tune(values={"weight_decay": [1e-3, 3e-3]}))
    planned = make_plan(study)
    for one in tuning_round(planned, store).runs:
        better = one.cell.recipe.weight_decay == 3e-3
        publish(store, one, 3.0 if better else 2.5, scale=20.0 if better else 1.0)
    assert tuning_round(planned, store) is None
    (tuning,) = make_plan(study, store).tuning
    worse, better = tuning.choice.trials
    assert better.nll.value > worse.nll.value
    assert better.cnll.value < worse.cnll.value
    assert tuning.chosen.values == {"weight_decay": 3e-3}


def test_halving_goes_on_with_the_better_half_and_uses_its_members_again(store):
    decays = [1e-4, OWN, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]
    study = make_study(tune=Tune(method="halving", members=4, values={"weight_decay": decays}))
    rounds = train(make_plan(study), store, best_at(5e-3))
    tried = [Counter(one.cell.recipe.weight_decay for one in some) for some in rounds]
    assert tried == [
        dict.fromkeys(decays, 1),
        dict.fromkeys([1e-3, 3e-3, 1e-2, 3e-2], 1),
        dict.fromkeys([3e-3, 1e-2], 2),
    ]
    (tuning,) = make_plan(study, store).tuning
    assert tuning.choice.values == {"weight_decay": 3e-3}
    counts = {trial.values["weight_decay"]: trial.members for trial in tuning.choice.trials}
    assert counts == {decay: sum(one[decay] for one in tried) for decay in decays}
    last = [trial.values["weight_decay"] for trial in tuning.choice.trials if trial.above]
    assert set(last) == set(tried[2])


# What is chosen.


@pytest.mark.parametrize(("decays", "chosen"), [([1e-3, OWN, 3e-3], OWN), ([1e-2, 1e-3, 3e-3], 1e-2)])
def test_of_equals_the_own_recipe_is_chosen_else_the_first_listed(store, decays, chosen):
    study = make_study(tune=Tune(values={"weight_decay": decays}))
    for one in tuning_round(make_plan(study), store).runs:
        publish(store, one, 2.0)
    tuning_round(make_plan(study), store)
    (tuning,) = make_plan(study, store).tuning
    assert len({trial.cnll.value for trial in tuning.choice.trials}) == 1
    assert tuning.choice.values == {"weight_decay": chosen}


def test_a_recipe_of_which_a_member_diverged_is_last(store):
    study, planned = make_study(), make_plan(make_study())
    for one in tuning_round(planned, store).runs:
        bad = one.cell.recipe.weight_decay == 3e-3 and one.seed == TUNING_SEED + 1
        publish(store, one, best_at(3e-3)(one.cell.recipe), diverged=bad)
    tuning_round(planned, store)
    (tuning,) = make_plan(study, store).tuning
    assert tuning.choice.values == {"weight_decay": 1e-3}
    assert [(t.diverged, t.cnll is None) for t in tuning.choice.trials] == [(0, False), (0, False), (1, True)]


def test_where_all_diverged_the_own_recipe_stays_and_the_table_says_why(store):
    study, planned = make_study(), make_plan(make_study(tune=Tune(values={"weight_decay": [1e-2, OWN]})))
    for one in tuning_round(planned, store).runs:
        publish(store, one, 2.0, diverged=True)
    tuning_round(planned, store)
    after = make_plan(planned.study, store)
    assert after.tuning[0].choice.values == {"weight_decay": OWN}
    assert any("Every combination diverged at width 2" in note for note in tuning_table.notes(after))
    assert study.tune != planned.study.tune


@given(st.permutations([1e-4, OWN, 1e-3, 1e-2]), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_choice_at_an_end_of_its_values_is_named(tmp_path_factory, decays, chosen):
    tuning = chosen_of(make_plan(make_study(tune=Tune(values={"weight_decay": decays}))).tuning[0], chosen)
    side = {min(decays): "lowest", max(decays): "highest"}.get(decays[chosen])
    assert edges(tuning) == ([("weight_decay", decays[chosen], side)] if side else [])


def chosen_of(tuning: Tuning, number: int) -> Tuning:
    trials = [{"values": one.values, "members": 1, "flops": 1.0} for one in tuning.combinations]
    facts = {"contest": tuning.contest.model_dump(), "trials": trials, "chosen": number}
    return tuning.model_copy(update={"choice": Choice.model_validate(facts)})


@pytest.mark.parametrize(
    ("field", "values", "chosen"),
    [("dropout", [0.0, 0.3], 0), ("flip", [True, False], 1), ("schedule", ["cosine", "constant"], 1)],
)
def test_nothing_lies_beyond_zero_or_a_word(field, values, chosen):
    tuning = make_plan(make_study(tune=Tune(values={field: values}))).tuning[0]
    assert edges(chosen_of(tuning, chosen)) == []


# What is kept.


def test_tuning_broken_off_after_any_member_makes_the_same_choice(tmp_path):
    study = make_study(tune=Tune(method="halving", members=2, values={"weight_decay": DECAYS}))
    whole = Store(tmp_path / "whole")
    train(make_plan(study), whole, best_at(1e-3))
    expected = make_plan(study, whole).tuning[0].choice
    for stop in range(6):
        store, left = Store(tmp_path / str(stop)), stop
        while (found := tuning_round(make_plan(study, store), store)) and left:
            for one in found.runs[:left]:
                if one.key not in store:
                    publish(store, one, best_at(1e-3)(one.cell.recipe))
                    left -= 1
        train(make_plan(study, store), store, best_at(1e-3))
        assert make_plan(study, store).tuning[0].choice == expected


def test_a_choice_outlives_the_members_that_made_it(store):
    study = make_study()
    train(make_plan(study), store, best_at(1e-3))
    before = make_plan(study, store)
    shutil.rmtree(store.root / "members")
    assert make_plan(study, store) == before
    assert tuning_round(before, store) is None


@pytest.mark.parametrize(
    "change",
    [
        {"tune": Tune(values={"weight_decay": DECAYS[:2]})},
        {"tune": Tune(values={"weight_decay": DECAYS[::-1]})},
        {"tune": Tune(members=3, values={"weight_decay": DECAYS})},
        {"tune": Tune(method="halving", values={"weight_decay": DECAYS})},
        {"train_size": 101},
        {"validation_size": 61},
        {"recipe": RecipeChoice(epochs=7)},
    ],
)
def test_another_question_is_another_choice(store, change):
    train(make_plan(make_study()), store)
    other = make_plan(make_study(**change), store)
    assert other.pending == other.tuning


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"pool": 9}, {"widths": [2, 3]}, {"keep_weights": True}]
)
def test_a_choice_serves_every_study_that_asks_the_same(store, change):
    train(make_plan(make_study()), store)
    assert make_plan(make_study(**change), store).tuning[0].choice


def test_a_damaged_choice_is_refused_and_not_made_anew_in_silence(store):
    train(make_plan(make_study()), store)
    (path,) = (store.root / "choices").iterdir()
    path.write_text(
        path.read_text().replace('"chosen": 0', '"chosen": 1').replace('"chosen": 2', '"chosen": 1')
    )
    path.write_bytes(path.read_bytes()[:-1] + b" }")
    with pytest.raises(StoreError, match=r"damaged .* `tune` makes it again"):
        make_plan(make_study(), store)


def test_a_plan_with_choices_is_the_same_after_its_round_trip(store):
    train(make_plan(make_study()), store)
    planned = make_plan(make_study(), store)
    assert Plan.from_json(planned.to_json()) == planned
    store.save_plan(planned)
    assert store.saved_plan(planned.study) == planned


# One pool or two.


def test_where_the_choice_is_the_own_recipe_both_settings_have_one_pool_that_counts_once(store):
    study = make_study(widths=[2, 3], pool=4)
    train(make_plan(study), store, lambda r: best_at(OWN)(r))
    planned = make_plan(study, store)
    assert [(one.tuned, one.cell.width) for one in planned.cells] == [
        (False, 2),
        (False, 3),
        (True, 2),
        (True, 3),
    ]
    assert [one.cell.key for one in planned.cells[:2]] == [one.cell.key for one in planned.cells[2:]]
    assert len(planned.runs) == len({one.key for one in planned.runs}) == 8
    assert len(missing_cells(planned, store)) == len(status(planned, store)) == 2
    fill(planned, store)
    results = evaluate(planned, store)
    assert len(results.pools) == 4
    assert len(results.distinct) == 2
    assert results.pools[0].scores == results.pools[2].scores
    rows = members_table.table.rows(analyse(results))
    assert len(rows) == 8
    assert {row["tuned"] for row in rows} == {"both"}
    assert "8 members planned, 8 done" in _notes(results)


def _notes(results) -> str:
    return " ".join(result_notes(results))


def test_tables_say_what_was_chosen_and_by_how_many_images(store):
    study = make_study(widths=[], budgets=[3769], members=[1, 2], tolerance=0.3)
    train(make_plan(study), store, best_at(1e-3))
    planned = make_plan(study, store)
    fill(planned, store)
    rows = memory_split.table.rows(analyse(evaluate(planned, store)))
    assert [(row["tuned"], row["members"], row["hyperparameters"]) for row in rows] == [
        ("no", 1, "default"),
        ("no", 2, "default"),
        ("yes", 1, "weight_decay = 0.001, tuned on 60 validation images"),
        ("yes", 2, "weight_decay = 0.001, tuned on 60 validation images"),
    ]


def test_the_table_has_every_value_its_score_and_what_it_cost(store, tmp_path):
    study = make_study(
        widths=[2, 3],
        pool=2,
        tune=Tune(method="halving", members=2, values={"weight_decay": DECAYS, "momentum": [0.0, 0.9]}),
    )
    train(make_plan(study), store, best_at(3e-3))
    planned = make_plan(study, store)
    fill(planned, store)
    report(analyse(evaluate(planned, store)), tmp_path)
    rows = from_csv((tmp_path / "tuning.csv").read_text())
    assert len(rows) == 2 * 6
    assert {(row["width"], row["weight_decay"], row["momentum"]) for row in rows} == {
        (w, d, m) for w in (2, 3) for d in DECAYS for m in (0, 0.9)
    }
    best = [row for row in rows if row["best"] == "best"]
    assert [(row["width"], row["weight_decay"]) for row in best] == [(2, 3e-3), (3, 3e-3)]
    assert {row["own"] for row in rows if row["weight_decay"] == OWN and row["momentum"] == 0.9} == {"yes"}
    assert sum(row["own"] == "yes" for row in rows) == 2
    by_width = [sum(row["flops"] for row in rows if row["width"] == w) for w in (2, 3)]
    assert by_width == pytest.approx([one.choice.flops for one in planned.tuning])
    page = (tmp_path / "tuning.md").read_text()
    assert page.count("★ |") == 2
    spent, scored = sum(by_width), planned.training_flops(planned.runs)
    assert f"Tuning took 18 members and {spent:.3g} FLOP of training, {spent / scored:.0%} of the" in page
    assert (
        "weight_decay = 0.003, the highest value that was tried, was chosen at widths 2, 3: a better" in page
    )
    kept = json.loads((tmp_path / "manifest.json").read_text())["choices"]
    assert [Choice.model_validate(one) for one in kept] == [one.choice for one in planned.tuning]


def test_a_study_that_does_not_tune_has_no_table_of_it(store, tmp_path):
    planned = make_plan(make_study(tune=None))
    fill(planned, store)
    report(analyse(evaluate(planned, store)), tmp_path)
    assert not list(tmp_path.glob("tuning*"))
    assert "tuned" not in from_csv((tmp_path / "members.csv").read_text())[0]


# What cannot be.


def test_pools_are_not_trained_or_reported_as_whole_before_the_choices_are_made(store):
    planned = make_plan(make_study())
    with pytest.raises(IncompleteError, match=r"1 of 1 choices .* Call `tune`"):
        run(planned, store)
    fill(planned, store)
    with pytest.raises(IncompleteError, match=r"1 of 1 choices .* Train it with `run`"):
        evaluate(planned, store)
    results = evaluate(planned, store, allow_partial=True)
    assert results.partial
    assert "PARTIAL: 1 of 1 choices are still to be made" in _notes(results)


TOML = """
name = "mine"
description = "tuned"
family = "convnet"
dataset = "digits"
train_size = 100
validation_size = 60
widths = [2]

[tune.values]
weight_decay = [1e-4, 1e-3]
"""
FAULTS = {
    "validation_size = 60->": "nothing is held out (validation_size = 0)",
    "validation_size = 60->validation_size = 49": "49 samples are held out",
    "weight_decay =->effective_learning_rate =": "effective_learning_rate 0.0001 belongs to mode 'sphere'",
    "weight_decay =->weight_decays =": "no field of a recipe. Did you mean 'weight_decay'?",
    "weight_decay =->base =": "'base' is no field of a recipe",
    "[1e-4, 1e-3]->[]": "tune.values.weight_decay = []",
    "weight_decay = [1e-4, 1e-3]->": "tune.values is empty",
    "[1e-4, 1e-3]->[1e-4]": "tune.values has 1 combination: there is nothing to choose",
    "[1e-4, 1e-3]->[1e-3, 1e-4, 1e-3]": "weight_decay = 0.001 is listed twice",
    "[1e-4, 1e-3]->[1e-3, -1e-4]": "tune: recipe: weight_decay = -0.0001",
    "[1e-4, 1e-3]->[1e-3, 'much']": "tune: recipe: weight_decay = 'much'",
    f"[1e-4, 1e-3]->{[n / 1e4 for n in range(1, 202)]}": "201 combinations; at most 200 are tried",
    "[tune.values]->[tune]\nmembers = 0\n[tune.values]": "tune.members = 0",
    "[tune.values]->[tune]\nmembers = 2000\n[tune.values]": "tune.members 2,000 is above 1,000",
    "[tune.values]->[tune]\nmethod = 'random'\n[tune.values]": "should be 'grid' or 'halving'",
    "[tune.values]->[tune]\nvalue = 1\n[tune.values]": "tune.value: no such key. Did you mean 'values'?",
    "[tune.values]->[sweep]\nweight_decay = [1e-2]\n[tune.values]": "weight_decay is swept as well",
}


@pytest.mark.parametrize("change", FAULTS)
def test_a_fault_of_tune_is_one_sentence_and_exit_2(change, command, folder):
    old, _, new = change.partition("->")
    assert old in TOML
    (folder / "mine.toml").write_text(TOML.replace(old, new))
    for verb in ("tune", "run", "status"):
        said = command(verb, "mine.toml")
        assert said.code == 2
        assert said.err.count("\n  - ") == (2 if "effective" in change else 1)  # one a value
        assert FAULTS[change] in said.err


def test_faults_of_each_arm_name_the_arm():
    with pytest.raises(StudyError) as caught:
        studies.parse(
            TOML.replace("[tune.values]", "[[arms]]\nname = 'a'\n[[arms]]\nname = 'b'\nmode = 'sphere'\n"
            "recipe = { base = 'kodryan2022', effective_learning_rate = 1e-3 }\n[tune.values]"), "x"
        )  # fmt: skip
    assert "arm 'b': tune: mode: recipe.weight_decay = 0.001: a step on a sphere has no" in str(caught.value)
    assert "arm 'a'" not in str(caught.value)


def test_fewer_than_two_validation_images_a_class_are_too_few():
    with pytest.raises(StudyError, match="60 validation images for 31 classes are fewer than 2 a class"):
        plan(make_study(), Task(31, 1, 8), digest="0" * 64, dataset="x", train_samples=1000)


def test_a_validation_sentence_needs_no_token_of_its_own():
    """Every position of a sentence is predicted, so few sentences judge a large vocabulary."""
    for kind, wanted in (("text_classification", 1), ("language_model", 0)):
        task = TokenTask(kind, classes=5000, vocabulary=5000, length=8)
        assert len(validation_faults(make_study(), task, None)) == wanted
    (said,) = validation_faults(make_study(), TokenTask("text_classification", 31, 90, 8), 31)
    assert "60 validation texts for 31 classes are fewer than 2 a class" in said


def test_validation_images_of_few_classes_judge_nothing():
    asked = {"digest": "0" * 64, "dataset": "x", "train_samples": 1000}
    with pytest.raises(StudyError, match=r"60 validation images, .* are of 4 of 10 classes: .* sorted"):
        plan(make_study(), DIGITS, **asked, validation_classes=4)
    assert plan(make_study(), DIGITS, **asked, validation_classes=5).tuning
    assert plan(make_study(tune=None), DIGITS, **asked, validation_classes=1).cells


# The commands, with real training.

STUDY = """
name = "tiny"
description = "two budgets on a few digits, tuned"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 50
budgets = [5178]
members = [1, 2]
tolerance = 0.2
replicates = 1
pool = 2
stepping = { pack = 2 }

[recipe]
epochs = 2
batch_size = 32
crop_padding = 0
flip = false

[tune]
method = "halving"
members = 2

[tune.values]
learning_rate = [1e-4, 0.1, 0.05]
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, cache) -> tuple[Path, Path, dict[str, Said]]:
    """The study, its store, and what the commands said on the way."""
    folder = tmp_path_factory.mktemp("tuned")
    study, store = folder / "tiny.toml", folder / "store"
    study.write_text(STUDY)

    def do(verb: str, *arguments) -> Said:
        return command(verb, study, "--store", store, *arguments)

    said = {"dry": do("run", "--dry-run")}
    assert not store.exists()
    said["tune"] = do("tune", "--executor", "serial")
    said["between"] = do("status")
    said["early"] = do("report", "--out", folder / "early")
    said["partial"] = do("report", "--out", folder / "partial", "--allow-partial")
    said["run"] = do("run", "--executor", "serial")
    said["again"] = do("run", "--executor", "serial")
    said["after"] = do("status")
    said["report"] = do("report", "--out", folder / "report")
    return study, store, said


def test_one_run_tunes_plans_and_trains_and_a_second_trains_nothing(tiny):
    _study, _store, said = tiny
    assert {name: one.code for name, one in said.items()} == {
        **dict.fromkeys(said, 0),
        "early": 3,
        "partial": 3,
    }
    assert "tiny, tuning: 10 members done now." in said["tune"].err
    assert "tuning" not in said["run"].err
    assert "nothing was missing" in said["again"].err
    assert "0 of 2 choices made: 0 of at most 10 members" in said["dry"].out
    assert "Tuned pools follow when the choices are made: at most 4 members" in said["dry"].out
    assert "2 of 2 choices made: 10 of at most 10 members" in said["between"].out
    assert "2 of 2 choices made" in said["after"].out
    assert "time left: none" in said["after"].out


def test_a_report_shows_both_settings_side_by_side(tiny):
    study, _store, _said = tiny
    out = study.parent / "report"
    rows = from_csv((out / "memory_split.csv").read_text())
    assert [(row["tuned"], row["members"]) for row in rows] == [("no", 1), ("no", 2), ("yes", 1), ("yes", 2)]
    tried = from_csv((out / "tuning.csv").read_text())
    assert {row["learning_rate"] for row in tried} == {1e-4, 0.1, 0.05}
    assert sorted(row["members"] for row in tried) == [1, 1, 2, 2, 2, 2]
    chosen = {row["width"]: row["learning_rate"] for row in tried if row["best"] == "best"}
    for row in rows:
        from_tuning = f"learning_rate = {chosen[row['width']]}, tuned on 50 validation images"
        assert row["hyperparameters"] == (from_tuning if row["tuned"] == "yes" else "default")


def test_one_command_from_the_start_comes_to_the_same(tiny, tmp_path):
    study, store, _ = tiny
    said = command("run", study, "--store", tmp_path / "store", "--executor", "serial")
    assert said.code == 0
    assert "tiny, tuning: 10 members done now." in said.err
    before, after = (
        {p.name: p.read_bytes() for p in (one / "choices").iterdir()} for one in (store, tmp_path / "store")
    )
    assert before == after
    names = [{p.name for p in one.glob("members/*/*")} for one in (store, tmp_path / "store")]
    assert names[0] == names[1]


def test_choices_whose_members_fail_are_not_made_and_no_pool_is_trained(plug_in, command, folder):
    def execute(jobs, workers, on_epoch):
        for number, job in enumerate(jobs):
            yield number, [Outcome(key=one.key, status="failed", reason="no power") for one in job.runs]

    plug_in("executors", "dark", executor=Executor(execute))
    (folder / "tiny.toml").write_text(STUDY)
    for verb in ("tune", "run"):
        said = command(verb, "tiny.toml", "--executor", "dark")
        assert said.code == 1
        assert "6 failed: no power" in said.err
    store = Store(folder / "store")
    assert not list(store.root.glob("plans/*")) + list(store.root.glob("choices/*"))
    assert "failed: no power" in command("status", "tiny.toml").out


def test_a_study_without_tune_has_nothing_to_choose(command, folder):
    (folder / "plain.toml").write_text(STUDY[: STUDY.index("[tune]")])
    said = command("tune", "plain.toml")
    assert said.code == 2
    assert "has no [tune] table" in said.err


def test_status_counts_choosers_round_by_round(store):
    study = make_study(tune=Tune(method="halving", members=2, values={"weight_decay": DECAYS}))
    planned = make_plan(study)
    (before,) = tuning_status(planned, store)
    assert (before.members, before.done) == (5, 0)
    assert before.flops == pytest.approx(5 * planned.cells[0].training_flops)
    for one in tuning_round(planned, store).runs[:2]:
        publish(store, one, 2.0)
    assert tuning_status(planned, store)[0].done == 2
    assert not isinstance(standing(planned.tuning[0], store), Choice)
    train(planned, store)
    (after,) = tuning_status(make_plan(study, store), store)
    assert (after.done, after.tuning.choice is None) == (5, False)
