"""Laws of points whose errors are known, shared, or not known at all."""

import numpy as np
import pytest

from ensembudget.errors import FitError
from ensembudget.laws._base import Points
from ensembudget.laws._fit import band, curve, fit_points
from ensembudget.records import Reach

M = 2.0 ** np.arange(5)
TRUTH = {"a": -0.8, "b": 0.3, "c": 0.5}
COVARIANCE = 0.006**2 * (0.97 + 0.03 * np.eye(5))  # sizes of one pool share its level
FREEDOM = 15


def law(m):
    return TRUTH["c"] + TRUTH["b"] * m ** TRUTH["a"]


def pools(count, truth=law, covariance=COVARIANCE):
    """Points of fresh pools, and the covariance that each would state of itself."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        errors = rng.multivariate_normal(np.zeros(len(M)), covariance, size=FREEDOM + 1)
        yield truth(M) + errors[0], errors[1:].T @ errors[1:] / FREEDOM


def test_intervals_from_one_pool_cover_with_the_covariance_of_its_sizes_and_not_without():
    """At 95%, fewer than 88 of 100 has a chance below 0.005."""
    held, without = dict.fromkeys(TRUTH, 0), 0
    for y, covariance in pools(100):
        fit = fit_points(M, y, covariance=covariance, freedom=FREEDOM)
        for name, value in TRUTH.items():
            found = getattr(fit, name)
            held[name] += found.low <= value <= found.high
        c = fit_points(M, y).c
        without += c.low <= TRUTH["c"] <= c.high
    assert min(held.values()) >= 88, held
    assert without < 85


def test_a_level_that_all_points_share_moves_the_asymptote_and_not_the_exponent():
    shared, y = 0.01**2 * np.ones((5, 5)), law(M)
    fit = fit_points(M, y, covariance=shared)
    assert fit.a.high - fit.a.low < 1e-6
    assert fit.c.high - fit.c.low == pytest.approx(2 * 1.96 * 0.01, rel=0.1)


def test_fewer_degrees_of_freedom_give_wider_intervals():
    y = law(M)
    few, many = (fit_points(M, y, covariance=COVARIANCE, freedom=freedom).c for freedom in (4, None))
    # Student's quantile of 4 degrees of freedom is 2.78, the normal's 1.96.
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(2.78 / 1.96, rel=0.12)


def test_residuals_beyond_the_errors_are_scatter():
    y = law(M) + 0.004 * np.array([1, -2, 0, 2, -1])
    tiny = 1e-6**2 * np.eye(5)
    known, scattered = fit_points(M, y, covariance=tiny), fit_points(M, y)
    assert known.c.high - known.c.low == pytest.approx(scattered.c.high - scattered.c.low, rel=0.3)


def test_the_order_of_points_and_covariance_does_not_matter():
    y, order = law(M), np.array([3, 0, 4, 2, 1])
    uneven = np.diag(np.arange(1.0, 6)) * 1e-6
    again = fit_points(M[order], y[order], covariance=uneven[np.ix_(order, order)])
    assert again == fit_points(M, y, covariance=uneven)


def test_points_whose_errors_are_not_known_get_values_and_the_reason():
    fit = fit_points(M, law(M), unknown="sizes of one pool share members")
    for name, value in TRUTH.items():
        found = getattr(fit, name)
        assert (found.value, found.low, found.high) == (pytest.approx(value, abs=1e-6), None, None)
    assert fit.no_interval == "sizes of one pool share members"
    assert fit.reach == Reach.MEASURED
    assert "good from 1 to 16, not beyond" in fit.status
    assert band(Points(M, law(M), unknown="as above"), fit, M) is None


def test_a_pure_logarithm_is_good_where_it_was_measured_and_has_no_asymptote():
    """It was called ok with a = -0.05."""
    ok = 0
    for y, covariance in pools(60, truth=lambda m: 1 - 0.03 * np.log(m)):
        fit = fit_points(M, y, covariance=covariance, freedom=FREEDOM)
        ok += fit.status == "ok"
        if fit.reach == Reach.MEASURED:
            assert fit.status.startswith("no asymptote shows, for ")
    assert ok <= 4
    exact = fit_points(M, 1 - 0.03 * np.log(M), covariance=1e-8 * np.eye(5))
    assert (exact.reach, exact.c.low) == (Reach.MEASURED, pytest.approx(0, abs=1e-6))


def test_a_power_law_without_an_asymptote_says_that_c_may_be_zero():
    fit = fit_points(M, 0.8 * M**-0.5, covariance=1e-8 * np.eye(5))
    assert fit.a.value == pytest.approx(-0.5, abs=1e-3)
    assert fit.reach == Reach.MEASURED
    assert "c " in fit.status
    assert "0" in fit.status


def test_a_fall_within_the_noise_is_no_law():
    y = 0.5 + 0.004 * M**-0.8
    fit = fit_points(M, y, covariance=0.006**2 * np.eye(5), freedom=FREEDOM)
    assert fit.status == "the fall cannot be told from the noise of the points"
    assert fit.reach == Reach.NOWHERE


def test_the_band_is_that_of_the_draws():
    """At a point that the law can follow freely, it is as wide as the point's own error."""
    y, covariance = law(M), 0.002**2 * np.ones((5, 5))
    low, high = band(Points(M, y, covariance), fit_points(M, y, covariance=covariance), M)
    assert high - low == pytest.approx(np.full(5, 2 * 1.96 * 0.002), rel=0.1)
    fit = fit_points(M, y, covariance=covariance)
    assert (low <= curve(fit, M)).all()
    assert (curve(fit, M) <= high).all()


@pytest.mark.parametrize(
    ("covariance", "words"),
    [
        (np.eye(4), "(4, 4)"),
        (np.full((5, 5), np.nan), "finite"),
        (np.triu(np.ones((5, 5))), "symmetric"),
        (-np.eye(5), "negative"),
    ],
)
def test_what_is_no_covariance_raises(covariance, words):
    with pytest.raises(FitError) as caught:
        fit_points(M, law(M), covariance=covariance)
    assert words in str(caught.value)


def test_a_covariance_without_freedom_raises():
    with pytest.raises(FitError, match="degrees of freedom above 0"):
        fit_points(M, law(M), covariance=COVARIANCE, freedom=0)
