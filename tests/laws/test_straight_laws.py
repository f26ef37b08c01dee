"""Laws that are straight lines in ln m: scipy's regression, refusals, and how often intervals hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import linregress

from ensembudget.laws._base import Points
from ensembudget.laws._fit import curve, determination, fit_points
from ensembudget.records import Reach

SIZES = np.array([125.0, 250, 500, 1000])
SCALES = {"log_log": np.log, "log_linear": lambda y: y, "logit_log": logit}
INTERCEPTS = {"log_log": ("b", np.exp), "log_linear": ("c", float), "logit_log": ("b", np.exp)}
TRUTHS = {
    "log_log": lambda m: 3 * m**-0.3,
    "log_linear": lambda m: 1.1 - 0.1 * np.log(m),
    "logit_log": lambda m: 1 / (1 + m**0.5 / 20),
}


@pytest.mark.parametrize("law", SCALES)
@settings(deadline=None, derandomize=True, max_examples=20)
@given(values=st.lists(st.floats(0.05, 0.95), min_size=3, max_size=6, unique=True))
def test_a_straight_law_is_scipys_regression_of_the_transformed_values(law, values):
    m, y = 50 * 2.0 ** np.arange(len(values)), np.sort(values)[::-1]
    fit = fit_points(m, y, law)
    expected = linregress(np.log(m), SCALES[law](y))
    name, transform = INTERCEPTS[law]
    assert fit.a.value == pytest.approx(expected.slope, rel=1e-6, abs=1e-9)
    assert getattr(fit, name).value == pytest.approx(transform(expected.intercept), rel=1e-6)
    assert determination(Points(m, y), fit) == pytest.approx(expected.rvalue**2, abs=1e-6)
    assert {one for one in "abc" if getattr(fit, one) is None} == set("bc") - {name}


@pytest.mark.parametrize("law", SCALES)
def test_the_law_of_noise_free_points_reaches_beyond_them(law):
    truth = TRUTHS[law]
    fit = fit_points(SIZES, truth(SIZES), law)
    assert (fit.status, fit.reach) == ("ok", Reach.BEYOND)
    assert curve(fit, np.array([2000.0])) == pytest.approx(truth(np.array([2000.0])))
    assert fit.held_out_error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "least"), [("log_log", 2), ("log_linear", 2), ("logit_log", 2), ("power_law", 3)]
)
def test_as_many_points_as_parameters_are_fitted_only_where_their_errors_are_known(law, least):
    m, y = SIZES[:least], TRUTHS["log_log"](SIZES[:least])
    errors = np.diag(np.full(least, 1e-6))
    assert "points:" in fit_points(m, y, law).status
    assert "points:" in fit_points(m, y, law, covariance=errors).status
    assert "points:" in fit_points(m, y, law, exact=True).status
    fit = fit_points(m, y, law, covariance=errors, exact=True)
    assert curve(fit, m) == pytest.approx(y, rel=1e-3)
    assert fit.a.low < fit.a.value < fit.a.high
    assert (fit.residual, fit.held_out_error) == (None, None)
    assert determination(Points(m, y), fit) is None
    few = fit_points(m[:-1], y[:-1], law, covariance=errors[:-1, :-1], exact=True)
    assert few.status.startswith(f"{least - 1} points: ")
    assert few.status.endswith(f"need at least {least}")


def test_a_power_law_through_three_points_shows_no_asymptote():
    y = 0.5 + 3 * SIZES[:3] ** -0.4
    fit = fit_points(SIZES[:3], y, covariance=np.diag(np.full(3, 1e-8)), exact=True)
    assert fit.reach == Reach.MEASURED
    assert "any three points" in fit.status


def test_a_share_that_is_not_below_one_is_refused():
    fit = fit_points(SIZES, np.array([1.01, 0.9, 0.8, 0.7]), "logit_log")
    assert not fit.reach
    assert fit.status == "y = 1.01 at m = 125, and a share must be below 1"


@pytest.mark.parametrize("law", SCALES)
def test_a_fall_within_the_noise_is_refused(law):
    fit = fit_points(SIZES, np.array([0.52, 0.51, 0.505, 0.5]), law, covariance=np.diag(np.full(4, 1e-3)))
    assert fit.status == "the fall cannot be told from the noise of the points"


@pytest.mark.parametrize("law", SCALES)
@pytest.mark.parametrize("points", [2, 4])
def test_intervals_of_the_slope_hold_the_truth_in_about_95_percent(law, points):
    rng, m, held = np.random.default_rng(3), SIZES[:points], 0
    y = TRUTHS[law](m)
    truth = linregress(np.log(m), SCALES[law](y)).slope
    for _ in range(300):
        measured = y + 0.01 * rng.standard_normal(points)
        fit = fit_points(m, measured, law, covariance=np.diag(np.full(points, 1e-4)), exact=True)
        held += fit.a.low <= truth <= fit.a.high
    assert 0.91 <= held / 300 <= 0.985
