"""Forecasts beyond the largest size: what hindcasts say of a law, and how often intervals hold the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.curve_worlds import MODELS, SIZES, crossing, curves, parallel
from ensembudget.analysis.curve_forecasts import forecast
from ensembudget.analysis.curve_ranks import ALL
from ensembudget.errors import FitError

FAR = 32_000


def bent(sizes, seed):
    """Curves that no law follows: each flattens at a size of its own."""
    rng = np.random.default_rng(seed)
    floors, slopes = rng.uniform(0.02, 0.2, len(MODELS)), rng.uniform(0.2, 0.5, len(MODELS))
    return floors[:, None] + 0.3 * (np.array(sizes) / 1000) ** -slopes[:, None]


def test_a_law_that_holds_is_chosen_and_finds_the_best():
    truth = crossing((*SIZES, FAR))
    found = forecast(curves(truth[:, :-1], error=0.0005), FAR)
    assert (found.reliability.law, found.status, found.beyond) == ("log_log", "ok", 4.0)
    assert found.groups[0].best.model == MODELS[truth[:, -1].argmin()]
    assert found.groups[0].best.probability_best > 0.9
    assert sum(one.probability_best for one in found.groups[0].models) == pytest.approx(1)


@pytest.mark.parametrize("world", [lambda sizes, seed: crossing(sizes), bent])
def test_intervals_of_what_is_ok_hold_the_truth(world):
    held = []
    for seed in range(6):
        truth = world((*SIZES, FAR), seed)
        found = forecast(curves(truth[:, :-1], error=0.003, seed=seed), FAR)
        assert found.status == "ok"
        for one, true in zip(found.groups[0].models, truth[:, -1], strict=True):
            held.append(one.value.low <= true <= one.value.high)
    assert np.mean(held) >= 0.9


def test_hindcasts_are_those_of_the_law_by_hand():
    """A straight line through the logarithms of the sizes up to the origin, by numpy's own fit."""
    measured = curves(crossing(), error=0.002)
    its = forecast(measured, FAR).reliability
    assert its.law == "log_log"
    assert [(one.origin, one.target) for one in its.hindcasts] == [
        (250, 1000), (500, 2000), (1000, 4000), (2000, 8000),
    ]  # fmt: skip
    x, y = np.log(measured.sizes), np.log(measured.values)
    errors = []
    for one in its.hindcasts:
        last = list(measured.sizes).index(one.origin) + 1
        slope, start = np.polyfit(x[:last], y[:, :last].T, 1)
        error = y[:, list(measured.sizes).index(one.target)] - (start + slope * math.log(one.target))
        assert one.errors == pytest.approx(error, abs=1e-9)
        errors.append(error)
    alike = np.mean(errors, 1)
    assert its.shared == pytest.approx(np.sqrt(np.mean(alike**2)))
    own = (np.array(errors) - alike[:, None]) ** 2
    assert its.own == pytest.approx(np.sqrt(own.sum() / (4 * (len(MODELS) - 1))))


def test_what_all_models_miss_alike_widens_every_interval_and_moves_no_ranks():
    """From 2,000 images on all curves are a half lower: as when a recipe changes with the size."""
    truth = crossing() * np.where(np.array(SIZES) >= 2000, 0.5, 1.0)
    plain, shifted = (forecast(curves(one, error=0.0005), 16_000) for one in (crossing(), truth))
    assert shifted.reliability.shared > 10 * plain.reliability.shared
    for one, other in zip(plain.groups[0].models, shifted.groups[0].models, strict=True):
        assert other.value.high / other.value.low > one.value.high / one.value.low


def test_a_forecast_beyond_all_hindcasts_is_not_carried():
    measured = curves(crossing())
    near, far = forecast(measured, 128_000), forecast(measured, 1_000_000)
    assert near.status == "ok"
    assert near.reliability.stretch == 1
    assert far.status.startswith(
        "not carried by the data: 1,000,000 is 125.0 times the largest size measured"
    )
    assert far.reliability.stretch > 1
    widths = [one.groups[0].models[0].value for one in (near, far)]
    assert widths[1].high / widths[1].low > widths[0].high / widths[0].low


def test_splits_of_a_budget_are_compared_among_themselves():
    found = forecast(curves(crossing(), budgets=[("splits", (1, 4, 6))]), FAR)
    assert [group.name for group in found.groups] == [ALL, "splits"]
    assert [one.model for one in found.groups[1].models] == [MODELS[row] for row in (1, 4, 6)]
    assert sum(one.probability_best for one in found.groups[1].models) == pytest.approx(1)


def test_without_errors_there_is_a_forecast_without_intervals():
    measured = replace(curves(parallel()), errors=(), unknown="pools have one member")
    found = forecast(measured, FAR)
    assert {(one.value.low, one.probability_best) for one in found.groups[0].models} == {(None, None)}
    assert found.status == "not carried by the data: there are no intervals, for pools have one member"


@pytest.mark.parametrize(
    ("sizes", "at", "words"),
    [
        ((1000,), 2000, ("at least 3 numbers of training images", "there is 1,000.")),
        ((500, 1000), 2000, ("at least 3 numbers of training images", "there are 500, 1,000.")),
        (SIZES, 8000, ("--at 8,000 is not above 8,000", "125, 250")),
        (SIZES, 700, ("--at 700 is not above 8,000",)),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_the_sizes_there_are(sizes, at, words):
    with pytest.raises(FitError) as caught:
        forecast(curves(parallel(sizes), sizes=sizes), at)
    assert all(word in str(caught.value) for word in words)
