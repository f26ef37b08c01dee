"""The law of a plane against SciPy's least squares, closed forms of Gaussian processes, and planted laws."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, nnls
from scipy.stats import norm

from ensembudget.prediction.beyond import prior_of
from ensembudget.prediction.forms import ALONG_MEMBERS, ALONG_WIDTH, INTERACTING, Exponent
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.posterior import UNLIKELY, Posterior
from ensembudget.prediction.projection import nonnegative
from ensembudget.prediction.scatter import CELL_SCALES, REACH, USUAL_WIDTH_SCALE, WIDTH_SCALES

from .planes import COARSE, EACH, SIZES, WIDTHS, Law, coarse, errors, places, plane_of

SHAPES = {
    "usual": Law(),
    "no interaction": Law(e=0.0, alpha=0.75, beta=0.5),
    "all that width gains is members'": Law(d=0.0, e=0.5),
    "steep": Law(alpha=1.2, beta=1.0, e=0.5),
    "flat": Law(alpha=0.5, beta=0.4),
    "as theory has it": Law(alpha=1.0, beta=0.5, e=0.2),
}


# Least squares whose coefficients are not negative.


@given(st.integers(0, 10**6), st.integers(4, 9), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_coefficients_are_those_of_non_negative_least_squares(seed, points, coefficients):
    rng = np.random.default_rng(seed)
    designs, y = [], rng.normal(size=(6, points))
    coefficients = min(coefficients, points)
    for _ in range(6):
        left, _, right = np.linalg.svd(rng.normal(size=(points, coefficients)), full_matrices=False)
        designs.append(left * rng.uniform(0.2, 2, coefficients) @ right)
    gram = np.array([one.T @ one for one in designs])
    found, gained = nonnegative(gram, np.array([one.T @ each for one, each in zip(designs, y, strict=True)]))
    for one, each, got, gain in zip(designs, y, found, gained, strict=True):
        expected, rest = nnls(one, each)
        assert each @ each - gain == pytest.approx(rest**2, rel=1e-6, abs=1e-6)
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert (got >= 0).all()


def test_where_every_coefficient_hurts_all_are_zero():
    found, gained = nonnegative(np.eye(3)[None], -np.ones((1, 3)))
    assert (found == 0).all()
    assert gained == 0


def test_the_design_of_a_form_is_its_terms_at_every_node_and_place():
    members, q = np.array([1.0, 3.0, 8.0]), np.array([1.0, 4.0, 2.5])
    (form,) = COARSE
    grid = form.grid
    assert len(grid) == math.prod(len(exponent.grid) for exponent in form.exponents)
    found = form.design(members, q, 4.0, grid)
    for node, place in product(range(0, len(grid), 7), range(3)):
        n, size, (alpha, beta) = members[place], q[place], grid[node]
        expected = [1, n**-alpha, size**-beta, n**-alpha * size**-beta]
        assert found[node, place] == pytest.approx(expected, rel=1e-12)


def test_surprise_is_in_standard_deviations_of_the_logarithm():
    along = Exponent(0.5, 0.4, np.array([0.5, 0.5 * math.exp(0.4), 0.5 * math.exp(-0.8)]))
    form = COARSE[0]._replace(exponents=(along, along._replace(grid=np.array([0.5]))))
    assert form.surprise() == pytest.approx(np.array([[0, 0], [1, 0], [-2, 0]]), abs=1e-12)


# Planted laws.


@pytest.mark.parametrize("law", SHAPES.values(), ids=SHAPES)
def test_a_plane_without_noise_gives_its_law_back_and_the_cells_beyond_it(law):
    plane = plane_of(law, stderr=1e-4)
    found = fit_plane(plane, (INTERACTING,))
    span = np.ptp(plane.cnll)
    assert found.law(plane.members, plane.parameters) == pytest.approx(plane.cnll, abs=0.01 * span)
    assert found.best.exponents == pytest.approx([law.alpha, law.beta], rel=0.2)
    assert found.best.coefficients == pytest.approx([law.c, law.b, law.d, law.e], abs=0.09)
    near = [(1, 21), (16, 20), (2, 20), (16, 4), (4, 10)]
    drawn = fit_plane(plane).draws(*places(*near), count=400)
    truth = np.array([law(*one) for one in near])
    low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
    assert ((low - 0.005 * span < truth) & (truth < high + 0.005 * span)).all()
    assert np.abs(drawn.mean(1) - truth).max() < 0.05 * span


def test_an_interaction_that_is_not_there_is_not_found():
    found = fit_plane(plane_of(Law(e=0.0)))
    assert found.best.coefficients[3] < 0.02


def test_the_noise_of_a_plane_that_follows_a_law_is_that_of_measurement():
    plane = plane_of(Law(), stderr=0.005, rng=np.random.default_rng(0))
    assert fit_plane(plane, COARSE).noise == pytest.approx(plane.covariance, rel=1e-9)


@pytest.mark.parametrize(("gain", "falls"), [(0.3, True), (-0.3, False)])
def test_a_law_knows_whether_width_helps(gain, falls):
    widths = np.array(WIDTHS)
    shifts = {int(k): float(gain * (4 / k)) for k in widths}
    plane = plane_of(Law(d=0.0, e=0.0), shifts=shifts)
    assert fit_plane(plane, COARSE).falls_along_width is falls


# Uncertainty.


def test_intervals_cover_the_truth_and_are_no_wider_than_a_cell_was_measured():
    law, stderr, widths = Law(), 0.01, (4, 6, 8, 12)
    measured, between = [(1, 4), (4, 12), (8, 12)], [(16, 8), (1, 24), (3, 10)]
    truth = np.array([law(*one) for one in [*measured, *between]])
    rng, covered, half = np.random.default_rng(0), [], []
    for _ in range(30):
        plane = plane_of(law, widths, stderr=stderr, rng=rng)
        drawn = fit_plane(plane, coarse(5)).draws(*places(*measured, *between), count=150)
        low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
        covered.append((low <= truth) & (truth <= high))
        half.append((high - low) / 2)
    assert (np.mean(covered, 0) >= 0.75).all()
    assert (np.mean(half, 0)[: len(measured)] < 1.1 * norm.ppf(0.95) * stderr).all()


def only(alpha: float, beta: float):
    """The law with exponents that are known: it is linear."""
    exponents = ALONG_MEMBERS._replace(grid=np.array([alpha])), ALONG_WIDTH._replace(grid=np.array([beta]))
    return (INTERACTING._replace(exponents=exponents),)


def kriged(plane, alpha: float, beta: float, members, parameters) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a law with known exponents: kriging, scales by REML.

    Coefficients but the constant are normal a priori, with the range of CNLL as standard deviation.
    """

    def terms(n, p):
        n, q = n**-alpha, (p / plane.parameters.min()) ** -beta
        return np.stack([np.ones_like(n), n, q, n * q], 1)

    def kernel(one, other, cell, width):
        (n, p), (m, r) = one, other
        near = np.exp(-((np.log(p)[:, None] - np.log(r)) ** 2) / (2 * REACH**2))
        return width**2 * near + cell**2 * ((n[:, None] == m) & (p[:, None] == r))

    here, there = (plane.members, plane.parameters), (members, parameters)
    x, z, y, span = terms(*here), terms(*there), plane.cnll, np.ptp(plane.cnll)
    logs, means, variances = [], [], []
    for cell, width in product(span * CELL_SCALES, span * WIDTH_SCALES):
        whole = np.linalg.inv(kernel(here, here, cell, width) + plane.covariance)
        weighted = np.linalg.inv(x.T @ whole @ x + np.diag([0, 1, 1, 1]) / span**2)
        beta_hat = weighted @ x.T @ whole @ y
        left = y - x @ beta_hat
        determinants = np.linalg.slogdet(whole)[1] + np.linalg.slogdet(weighted)[1]
        belief = -0.5 * (width / (span * USUAL_WIDTH_SCALE)) ** 2
        belief -= 0.5 * (beta_hat[1:] @ beta_hat[1:]) / span**2
        logs.append(0.5 * determinants - 0.5 * left @ whole @ left + belief)
        # Where nobody knows the errors, what a cell deviates by itself is one.
        true = cell if plane.covariance.any() else 0.0
        across = kernel(there, here, true, width)
        means.append(z @ beta_hat + across @ whole @ left)
        open_ones = z - across @ whole @ x
        variance = kernel(there, there, true, width) - across @ whole @ across.T
        variances.append(np.diag(variance + open_ones @ weighted @ open_ones.T))
    shares = np.exp(np.array(logs) - max(logs))
    shares[shares < UNLIKELY * shares.sum()] = 0
    shares /= shares.sum()
    mean = shares @ np.array(means)
    return mean, np.sqrt(shares @ (np.array(variances) + np.array(means) ** 2) - mean**2)


@pytest.mark.parametrize("stderr", [0.0, 0.004], ids=["without errors", "with errors"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_law_with_known_exponents_is_universal_kriging(stderr, seed):
    law, rng = Law(e=0.4), np.random.default_rng(seed)
    widths, sizes = (4, 6, 9, 14, 20), (1, 2, 4, 8, 16)
    shifts = dict(zip(widths, 0.01 * rng.normal(size=len(widths)), strict=True))
    plane = plane_of(law, widths, sizes, stderr=stderr, rng=rng, shifts=shifts)
    if not stderr:
        plane.cnll[:] += 0.004 * rng.normal(size=len(plane.cnll))
    asked = places((1, 4), (4, 9), (12, 9), (3, 11), (1, 17), (16, 20))  # within the plane: nothing drifts
    posterior = Posterior(plane, only(law.alpha, law.beta), plane.covariance, prior_of(plane))
    assert (posterior.best.coefficients > 0.2).all()  # no coefficient is at its bound
    drawn = posterior.draws(*asked, count=20_000)
    mean, deviation = kriged(plane, law.alpha, law.beta, *asked)
    assert (np.abs(drawn.mean(1) - mean) < 0.05 * deviation).all()
    assert drawn.std(1) == pytest.approx(deviation, rel=0.06)


def test_a_plane_without_errors_is_not_known_exactly_where_it_was_measured():
    rng = np.random.default_rng(0)
    noisy = {k: 0.02 * rng.normal() for k in WIDTHS}
    plane = plane_of(Law(), shifts=noisy)
    assert not plane.has_errors
    plane.cnll[:] += 0.01 * rng.normal(size=len(plane.cnll))
    drawn = fit_plane(plane, COARSE).draws(plane.members, plane.parameters, count=300)
    assert (drawn.std(1) > 0.001).all()


def test_cells_with_tiny_errors_are_reproduced():
    rng = np.random.default_rng(1)
    shifts = {k: 0.02 * rng.normal() for k in WIDTHS}
    plane = plane_of(Law(), stderr=1e-5, shifts=shifts)
    drawn = fit_plane(plane, COARSE).draws(plane.members, plane.parameters, count=200)
    assert np.abs(drawn - plane.cnll[:, None]).max() < 1e-4


def test_uncertainty_grows_away_from_what_was_measured():
    posterior = fit_plane(plane_of(Law(), stderr=0.005, rng=np.random.default_rng(2)), COARSE)
    spread = posterior.draws(*places((1, 16), (1, 32), (1, 128)), count=400).std(1)
    assert spread[0] < spread[1] < spread[2]


# An outlier.

MANY_WIDTHS = (4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)


def by_least_squares(plane, members, parameters) -> np.ndarray:
    """What SciPy predicts from a plane that it trusts whole."""
    q, lowest = plane.parameters, plane.parameters.min()
    root = np.linalg.cholesky(np.linalg.inv(plane.covariance)).T

    def law(x, n, p):
        n, q = n ** -x[4], (p / lowest) ** -x[5]
        return x[0] + x[1] * n + x[2] * q + x[3] * n * q

    found = least_squares(
        lambda x: root @ (law(x, plane.members, q) - plane.cnll),
        [0.5, 0.3, 0.6, 0.1, 0.75, 0.5],
        bounds=([0] * 6, [9] * 6),
    )
    return law(found.x, members, parameters)


@pytest.mark.parametrize(("width", "shift"), [(12, 0.1), (12, -0.1), (16, 0.1), (24, -0.1)])
def test_one_bad_width_among_many_hardly_moves_what_lies_beyond(width, shift):
    stderr, asked = 0.002, [(1, 36), (4, 36), (1, 40)]
    truth = np.array([Law()(*one) for one in asked])
    plane = plane_of(Law(), MANY_WIDTHS, stderr=stderr, shifts={width: shift})
    posterior = fit_plane(plane, COARSE)
    grown = np.diag(posterior.noise) / np.diag(plane.covariance)
    assert set(np.flatnonzero(grown == grown.max()) // len(SIZES)) <= {MANY_WIDTHS.index(width)}
    assert grown.max() > 50
    moved = posterior.draws(*places(*asked), count=2000).mean(1) - truth
    expected = by_least_squares(plane, *places(*asked)) - truth
    assert np.abs(moved).max() < 0.5 * np.abs(expected).max()


@pytest.mark.parametrize("width", [5, 12, 20, 32])
def test_neighbours_of_a_bad_width_are_not_doubted(width):
    rng = np.random.default_rng(width)
    plane = plane_of(Law(), MANY_WIDTHS, stderr=0.002, rng=rng, shifts={width: 0.4})
    found = fit_plane(plane, COARSE)
    assert found.doubted == [width]
    more = found.noise - plane.covariance
    own = plane.parameters == EACH * width**2
    assert (np.diag(more)[own] > 0).all()
    assert np.abs(more[~own]).max() < 1e-12
    assert fit_plane(plane_of(Law(), MANY_WIDTHS, stderr=0.002, rng=rng), COARSE).doubted == []


@pytest.mark.parametrize("seed", range(3))
def test_at_most_one_width_in_three_is_doubted(seed):
    rng = np.random.default_rng(seed)
    widths = MANY_WIDTHS[:8]
    shifts = {k: float(0.3 * rng.normal()) for k in widths[::2]}
    found = fit_plane(plane_of(Law(), widths, stderr=0.002, shifts=shifts), COARSE)
    assert len(found.doubted) <= 2
    assert found.doubted == sorted(found.doubted)


def test_one_bad_width_among_few_makes_what_lies_beyond_less_certain():
    spreads = []
    for shifts in ({}, {8: 0.1}):
        plane = plane_of(Law(), stderr=0.002, shifts=shifts)
        spreads.append(fit_plane(plane, COARSE).draws(*places((1, 32)), count=300).std())
    assert spreads[1] > 2 * spreads[0]


# Draws.


@pytest.fixture(scope="module")
def posterior():
    return fit_plane(plane_of(Law(), stderr=0.005, rng=np.random.default_rng(3)), COARSE)


def test_draws_come_from_the_seed_alone(posterior):
    asked = places((1, 8), (4, 24))
    one, same, other = (posterior.draws(*asked, count=150, seed=seed) for seed in (0, 0, 1))
    assert one.shape == (2, 150)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_place_that_is_asked_twice_has_the_same_draws(posterior):
    drawn = posterior.draws(*places((4, 24), (1, 8), (4, 24), (1, 8)), count=100)
    assert drawn[0] == pytest.approx(drawn[2], abs=1e-6)
    assert drawn[1] == pytest.approx(drawn[3], abs=1e-6)


def test_what_else_is_asked_does_not_change_what_is_known_of_a_place(posterior):
    asked = [(1, 24), (4, 10), (16, 8)]
    together = posterior.draws(*places(*asked), count=2000)
    backwards = posterior.draws(*places(*asked[::-1]), count=2000)[::-1]
    alone = np.concatenate([posterior.draws(*places(one), count=2000) for one in asked])
    for other in (backwards, alone):
        spread = together.std(1)
        assert (np.abs(together.mean(1) - other.mean(1)) < 0.12 * spread).all()
        assert other.std(1) == pytest.approx(spread, rel=0.12)


def test_draws_near_each_other_move_together(posterior):
    drawn = posterior.draws(*places((1, 60), (1, 64), (1, 4)), count=400)
    correlations = np.corrcoef(drawn)
    assert correlations[0, 1] > 0.95
    assert correlations[0, 2] < 0.5


# What does not matter.


def test_cnll_in_another_unit_gives_predictions_in_it():
    asked = places((1, 8), (4, 24), (32, 6))
    drawn = []
    for times in (1.0, 7.0):
        plane = plane_of(Law(), stderr=0.005, rng=np.random.default_rng(4), times=times)
        drawn.append(fit_plane(plane, COARSE).draws(*asked, count=2000) / times)
    spread = drawn[0].std(1)
    assert (np.abs(drawn[0].mean(1) - drawn[1].mean(1)) < 0.15 * spread).all()
    assert drawn[1].std(1) == pytest.approx(spread, rel=0.1)


def test_parameters_in_another_unit_change_nothing():
    members, parameters = places((1, 8), (4, 24), (32, 6))
    one, other = (
        fit_plane(
            plane_of(Law(), stderr=0.005, rng=np.random.default_rng(5), each=times * EACH), COARSE
        ).draws(members, times * parameters, count=100)
        for times in (1, 1000)
    )
    # Roots of one covariance to rounding: moments, not bytes.
    assert other.mean(1) == pytest.approx(one.mean(1), abs=0.3 * one.std(1).min())
    assert other.std(1) == pytest.approx(one.std(1), rel=0.3)


def test_errors_that_are_all_zero_are_no_errors():
    asked = places((1, 8), (4, 24))
    plane = plane_of(Law(), stderr=0.0)
    assert (errors(0.0, 4) == 0).all()
    drawn = fit_plane(plane, COARSE).draws(*asked, count=200)
    assert np.isfinite(drawn).all()
    assert (drawn.std(1) > 0).all()
