"""What every method keeps: members do not mix, units cost what they store, options are checked."""

import numpy as np
import pytest

from ensembudget.catalog import BUDGETS, METHODS
from ensembudget.errors import PlanError
from ensembudget.methods._base import Resumable
from ensembudget.methods._options import resolve_method, unit_of
from ensembudget.planning.widths import cost, split
from ensembudget.records import Recipe, Run, Task
from ensembudget.training.loop import train
from ensembudget.training.units import collector_of
from resuming import assert_resumes_after_every_epoch

TASK = Task(10, 1, 8)
SMALL = {"predictors": 2, "deviations": 2}  # of each method, those that it has


def small(method):
    return {name: value for name, value in SMALL.items() if name in METHODS[method].options}


def runs_of(make_cell, method, *seeds):
    cell = make_cell(
        method=method, method_options=resolve_method(method, small(method)), epochs=8, width=3, train_size=64
    )
    return [Run(cell=cell, seed=seed) for seed in seeds]


@pytest.mark.parametrize("method", list(METHODS))
def test_a_unit_of_a_pack_is_the_unit_trained_alone(make_cell, digits, method):
    together = train(runs_of(make_cell, method, 5, 0), digits)
    for one, seed in zip(together, (5, 0), strict=True):
        (alone,) = train(runs_of(make_cell, method, seed), digits)
        assert one.run == alone.run
        assert one.parameters == alone.parameters
        # A tunnel's radius is found by bisection: rounding may turn a comparison, and move it by a step.
        loose = 0.05 if method == "tunnel" else 2e-3
        for part in ("validation_logits", "test_logits"):
            np.testing.assert_allclose(getattr(one, part), getattr(alone, part), rtol=loose, atol=loose)
        assert (one.unit is None) == (alone.unit is None)
        if one.unit:
            assert one.unit.weight_cosine == pytest.approx(alone.unit.weight_cosine, abs=1e-3)
            assert one.unit.logit_cosine == pytest.approx(alone.unit.logit_cosine, abs=loose)


@pytest.mark.parametrize("method", list(METHODS))
def test_the_same_run_twice_is_the_same_to_the_bit(make_cell, digits, method):
    first, second = (train(runs_of(make_cell, method, 1), digits)[0] for _ in range(2))
    assert np.array_equal(first.test_logits, second.test_logits)
    assert first.unit == second.unit


@pytest.mark.parametrize("method", list(METHODS))
def test_a_unit_goes_on_from_its_checkpoints_or_has_none(make_cell, digits, tmp_path, method):
    runs = [run.model_copy(update={"cell": short(run.cell)}) for run in runs_of(make_cell, method, 5, 0)]
    there = assert_resumes_after_every_epoch(runs, digits, tmp_path)
    resumable = isinstance(collector_of(runs[0].cell), Resumable)
    assert [one.epoch for one in there] == ([1, 2, 3, 4] if resumable else [])


def short(cell):
    """Four epochs; of the tail, if the method has one, the last three."""
    options = cell.method_options | ({"start": 0.25} if "start" in cell.method_options else {})
    recipe = cell.recipe.model_copy(update={"epochs": 4})
    return cell.model_copy(update={"recipe": recipe, "method_options": options, "train_size": 40})


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("kind", list(BUDGETS))
def test_a_unit_costs_its_networks_or_its_passes(method, kind):
    one = cost("wide_resnet", 5, TASK, kind, options={"depth": 10})
    unit = unit_of(method, small(method))
    times = unit.networks if kind in ("parameters", "bytes") else unit.predictors
    found = cost(
        "wide_resnet", 5, TASK, kind, options={"depth": 10}, method=method, method_options=small(method)
    )
    assert found == times * one


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("members", [1, 3])
def test_the_width_of_a_split_is_that_of_brute_force(method, members):
    budget, unit = 90_000, unit_of(method, small(method))
    found = split(
        "wide_resnet", TASK, budget, members, options={"depth": 10}, method=method,
        method_options=small(method),
    )  # fmt: skip
    each = {k: cost("wide_resnet", k, TASK, options={"depth": 10}) for k in range(1, 40)}
    totals = {k: members * unit.networks * one for k, one in each.items()}
    best = min(totals, key=lambda k: abs(totals[k] - budget))
    assert found.width == best
    assert found.parameters_total == totals[best]
    assert found.parameters_per_member == unit.networks * each[best]
    assert found.predictors == members * unit.predictors
    one = split("wide_resnet", TASK, each[best], 1, options={"depth": 10})
    assert found.flops_per_sample == found.predictors * one.flops_per_sample
    assert found.activations_per_sample == found.predictors * one.activations_per_sample
    assert found.bytes_total == members * unit.networks * one.bytes_total


@pytest.mark.parametrize("method", list(METHODS))
def test_what_a_network_stores_is_what_a_trained_unit_says(make_cell, digits, method):
    (run,) = runs_of(make_cell, method, 0)
    (one,) = train([run], digits)
    cell = run.cell
    assert one.parameters == cost(
        cell.family, cell.width, digits.task, options=cell.options, method=method,
        method_options=cell.method_options,
    )  # fmt: skip


@pytest.mark.parametrize("method", list(METHODS))
def test_rates_are_factors_and_options_have_defaults_in_range(method):
    part, recipe = METHODS[method], Recipe(epochs=40, learning_rate=0.1, weight_decay=0.0)
    options = resolve_method(method, small(method))
    assert part.fault(recipe, options) is None
    for epoch in range(40):
        assert 0 <= part.rate(recipe, options, epoch, 0.7) < 10
    for name, option in part.options.items():
        assert option.low <= option.default <= option.high
        for wrong in (option.low - 1, option.high * 2 + 1):
            value = int(wrong) if isinstance(option.default, int) else float(wrong)
            with pytest.raises(PlanError, match="is not from"):
                resolve_method(method, {name: value})
        with pytest.raises(PlanError, match="must be a"):
            resolve_method(method, {name: True})


def test_a_whole_number_stands_for_one_with_a_point():
    found = resolve_method("swa", {"rate": 1})
    assert found == resolve_method("swa", {"rate": 1.0})
    assert type(found["rate"]) is float
