"""Cuts of the wedge model against distances between subspaces, SciPy, autograd and the rule of dimensions."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.linalg import orth
from scipy.optimize import minimize

from ensembudget.errors import ArgumentError
from ensembudget.landscape.wedge import nearest_wedge, short_axes, wedge_loss
from ensembudget.landscape.wedge_cuts import Cut, cut_table, descend, minimise_in_cut, random_cut
from examples import wedge as example

D = 8
# Cuts that meet no wedge: every n and d below the limit.
BELOW = [(n, d) for n in range(D) for d in range(D - n)]


def apart(cut, long):
    """The distance of a cut from a wedge: what of its origin no direction of either can take away."""
    directions = np.concatenate([cut.basis, np.eye(len(cut.origin))[list(long)]])
    span = orth(directions.T)
    return float(np.linalg.norm(cut.origin - span @ (span.T @ cut.origin)))


def least(cut, n):
    """The lowest loss in a cut, over all wedges."""
    return min(apart(cut, long) for long in itertools.combinations(range(len(cut.origin)), n))


def drawn(d, seed, dimension=D):
    return random_cut(dimension, d, np.random.default_rng(seed))


@pytest.mark.parametrize("d", [0, 1, 5, 8])
def test_a_random_cut_has_orthonormal_directions_and_comes_from_its_generator(d):
    cut = drawn(d, 0)
    assert (cut.origin.shape, cut.basis.shape) == ((D,), (d, D))
    assert cut.basis @ cut.basis.T == pytest.approx(np.eye(d), abs=1e-14)
    same, other = drawn(d, 0), drawn(d, 1)
    assert np.array_equal(same.origin, cut.origin)
    assert np.array_equal(same.basis, cut.basis)
    assert not np.array_equal(other.origin, cut.origin)


def test_random_cuts_have_normal_origins_and_no_favourite_direction():
    generator = np.random.default_rng(0)
    cuts = [random_cut(6, 2, generator) for _ in range(2000)]
    origins = np.stack([cut.origin for cut in cuts])
    assert stats.kstest(origins.ravel(), "norm").pvalue > 0.01
    # The squared length of any unit vector's projection onto a random plane is Beta(d / 2, (D - d) / 2).
    for vector in (np.eye(6)[0], np.full(6, 6**-0.5)):
        squares = [float(((cut.basis @ vector) ** 2).sum()) for cut in cuts]
        assert stats.kstest(squares, stats.beta(1, 2).cdf).pvalue > 0.01


@pytest.mark.parametrize(("n", "d"), BELOW)
def test_with_many_starts_the_minimum_is_that_of_brute_force_over_all_wedges(n, d):
    cut, generator = drawn(d, [n, d]), np.random.default_rng(0)
    found = minimise_in_cut(cut, n, starts=5 * math.comb(D, n), generator=generator)
    assert found.loss == pytest.approx(least(cut, n), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), BELOW)
def test_a_minimum_lies_in_the_cut_and_is_as_far_from_its_wedge_as_the_cut_is(n, d):
    for seed in range(5):
        cut = drawn(d, seed)
        found = minimise_in_cut(cut, n)
        offset = found.point - cut.origin
        assert offset - (offset @ cut.basis.T) @ cut.basis == pytest.approx(np.zeros(D), abs=1e-12)
        assert found.distance == pytest.approx(np.linalg.norm(offset), rel=1e-12, abs=1e-15)
        assert found.loss == pytest.approx(float(wedge_loss(found.point, n)), rel=1e-12)
        assert found.loss == pytest.approx(apart(cut, found.wedge), rel=1e-9)
        assert found.wedge.tolist() == nearest_wedge(found.point, n).tolist()
        assert found.loss <= float(wedge_loss(cut.origin, n))


@pytest.mark.parametrize(("n", "d"), [(3, 2), (5, 1), (4, 3), (1, 4)])
def test_scipy_finds_nothing_lower_near_a_minimum_or_anywhere(n, d):
    for seed in range(3):
        cut, generator = drawn(d, seed), np.random.default_rng(seed)
        found = minimise_in_cut(cut, n, starts=100, generator=generator)
        there = (found.point - cut.origin) @ cut.basis.T
        for spread in (1e-3, 2.0):
            start = there + spread * generator.standard_normal(d)
            other = minimize(
                lambda place, cut=cut: float(wedge_loss(cut.origin + place @ cut.basis, n)),
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-10, "fatol": 1e-12, "maxfev": 2000},
            )
            assert other.fun >= found.loss * (1 - 1e-9)
            if spread < 1:
                assert other.fun == pytest.approx(found.loss, rel=1e-6)


@pytest.mark.parametrize("dimension", [1, 5, 12])
def test_a_cut_meets_a_wedge_if_and_only_if_the_dimensions_sum_to_the_whole_or_more(dimension):
    """From a single start, for d = D - n too: there cut and wedge share one point."""
    for n, d in itertools.product(range(dimension + 1), repeat=2):
        cut = drawn(d, [n, d], dimension)
        found = minimise_in_cut(cut, n)
        assert (found.loss == 0) == (d + n >= dimension), (n, d)
        if d + n >= dimension:
            largest = max(1, np.abs(found.point).max())
            assert float(wedge_loss(found.point, n)) <= 1e-11 * largest
        else:
            assert found.loss > 1e-6


def test_at_the_limit_a_wedge_shares_one_point_with_the_cut_and_above_it_more():
    for n, d in [(3, 5), (5, 3), (3, 6), (5, 4)]:
        cut = drawn(d, [n, d])
        found = minimise_in_cut(cut, n)
        inside = cut.basis[:, np.setdiff1d(np.arange(D), found.wedge)]
        assert d - np.linalg.matrix_rank(inside) == d + n - D


def test_above_the_limit_the_point_is_the_wedges_nearest_to_the_origin_of_the_cut():
    for seed in range(5):
        cut = drawn(6, seed)
        found = minimise_in_cut(cut, 4)
        away = np.delete(np.arange(D), nearest_wedge(cut.origin, 4))
        inside, outside = cut.basis[:, away], cut.origin[away]
        place = minimize(
            lambda place: float(place @ place),
            np.zeros(6),
            constraints={"type": "eq", "fun": lambda place, a=inside, b=outside: place @ a + b},
        )
        assert found.distance == pytest.approx(np.sqrt(place.fun), rel=1e-5)


@pytest.mark.parametrize(("n", "d"), [(5, 1), (3, 2), (0, 4), (4, 0)])
def test_the_mean_squared_distance_from_a_given_wedge_is_what_is_missing_to_the_limit(n, d):
    generator = np.random.default_rng(0)
    squares = [apart(random_cut(D, d, generator), range(n)) ** 2 for _ in range(1000)]
    # Chi-squared with D - n - d degrees of freedom.
    assert stats.kstest(squares, stats.chi2(D - n - d).cdf).pvalue > 0.01
    assert np.mean(squares) == pytest.approx(D - n - d, rel=0.1)


@pytest.mark.parametrize("above", [0, 1, 2])
def test_how_far_away_a_meeting_is_has_a_tail_of_a_power_that_grows_above_the_limit(above):
    """The share farther than t falls as t to the power -(1 + above): at the limit there is no mean."""
    generator, n, draws = np.random.default_rng(0), 4, 40_000
    d = D - n + above
    basis, _ = np.linalg.qr(generator.standard_normal((draws, D, d)))
    origins = generator.standard_normal((draws, D - n, 1))
    moves = np.linalg.pinv(basis[:, : D - n]) @ -origins
    near, far = np.quantile(np.linalg.norm(moves, axis=(1, 2)), [0.99, 0.999])
    assert np.log(10) / np.log(far / near) == pytest.approx(1 + above, rel=0.15)


@pytest.mark.parametrize("n", range(D + 1))
def test_a_step_of_rate_one_ends_in_the_nearest_wedge_and_others_shrink_the_loss_by_their_factor(n):
    point = np.random.default_rng(n).standard_normal(D)
    last, losses = descend(point, n, 1)
    assert last == pytest.approx(np.where(short_axes(point, n), 0, point), abs=1e-15)
    assert losses[1] < 1e-15
    for rate in (0.1, 0.5, 1.3):
        _, losses = descend(point, n, 5, rate=rate)
        # Steps beyond the wedge never lengthen an axis, so the short ones stay short.
        assert losses == pytest.approx(losses[0] * abs(1 - rate) ** np.arange(6), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(5, 2), (3, 6), (6, 3), (8, 2), (4, 0)])
@pytest.mark.parametrize("rate", [0.3, 1.0, 1.7])
def test_a_step_in_a_cut_is_that_of_autograd(n, d, rate):
    cut = drawn(d, [n, d])
    place = torch.zeros(d, dtype=torch.float64)
    point = cut.origin
    for _ in range(4):
        place.requires_grad_()
        there = torch.tensor(cut.origin) + place @ torch.tensor(cut.basis)
        half = there.abs().sort().values[: D - n].square().sum() / 2
        if d and n < D:
            half.backward()
            place = (place - rate * place.grad).detach()
        point, losses = descend(point, n, 1, basis=cut.basis, rate=rate)
        assert losses[0] == pytest.approx((2 * half.item()) ** 0.5, rel=1e-12)
        assert point == pytest.approx(cut.origin + place.detach().numpy() @ cut.basis, abs=1e-13)


@pytest.mark.parametrize(("n", "d"), [(2, 2), (4, 1), (4, 3), (5, 2), (6, 1)])
def test_descent_in_a_cut_never_rises_and_ends_where_no_step_lowers_the_loss(n, d):
    cuts = [drawn(d, seed) for seed in range(5)]
    basis = np.stack([cut.basis for cut in cuts])
    last, losses = descend(np.stack([cut.origin for cut in cuts]), n, 2000, basis=basis)
    assert (np.diff(losses, axis=0) <= 1e-14).all()
    for cut, point, loss in zip(cuts, last, losses[-1], strict=True):
        assert loss >= least(cut, n) - 1e-12
        assert loss == pytest.approx(apart(cut, nearest_wedge(point, n)), rel=1e-4)


def test_descent_reaches_a_wedge_above_the_limit():
    cuts = [drawn(6, seed) for seed in range(10)]
    basis = np.stack([cut.basis for cut in cuts])
    last, losses = descend(np.stack([cut.origin for cut in cuts]), 5, 3000, basis=basis)
    assert losses[-1].max() < 1e-9
    assert wedge_loss(last, 5) == pytest.approx(losses[-1], abs=1e-15)


def test_stacked_points_and_cuts_descend_as_each_alone():
    cuts = [drawn(3, seed) for seed in range(4)]
    basis = np.stack([cut.basis for cut in cuts])
    last, losses = descend(np.stack([cut.origin for cut in cuts]), 6, 20, basis=basis)
    assert (last.shape, losses.shape) == ((4, D), (21, 4))
    for cut, point, path in zip(cuts, last, losses.T, strict=True):
        alone, expected = descend(cut.origin, 6, 20, basis=cut.basis)
        assert point == pytest.approx(alone, abs=1e-13)
        assert path == pytest.approx(expected, abs=1e-13)


def test_a_table_has_both_sides_of_every_limit_and_follows_the_rule():
    table = cut_table(24, [6, 12, 20], 20, seed=0, reach=4)
    assert [(row.wedge, row.cut) for row in table] == [
        (n, 24 - n + step) for n in (6, 12, 20) for step in range(-4, 5)
    ]
    for row in table:
        assert (row.dimension, row.limit, row.repeats) == (24, 24 - row.wedge, 20)
        assert row.succeeded == (row.cut >= row.limit)
        assert (row.reached == 0) == (row.cut >= row.limit)
        assert row.descent_succeeded <= row.succeeded
    # Descent arrives more often the farther above the limit, and seldom at it.
    for n in (6, 12, 20):
        shares = [row.descent_succeeded for row in table if row.wedge == n]
        assert shares[:4] == [0] * 4
        assert shares[4] < 0.3
        assert shares[-1] > 0.5


def test_a_row_is_what_its_own_cuts_give_whatever_else_is_in_the_table():
    table = cut_table(12, [3, 8], 6, seed=5, reach=2, steps=30, starts=1)
    assert [row for row in table if row.wedge == 8] == cut_table(12, [8], 6, 5, reach=2, steps=30, starts=1)
    assert table != cut_table(12, [3, 8], 6, seed=6, reach=2, steps=30, starts=1)
    row = next(row for row in table if (row.wedge, row.cut) == (8, 3))
    generator = np.random.default_rng([5, 12, 8, 3])
    cuts = [random_cut(12, 3, generator) for _ in range(6)]
    found = [minimise_in_cut(cut, 8) for cut in cuts]
    descended = [descend(cut.origin, 8, 30, basis=cut.basis)[1][-1] for cut in cuts]
    assert row.reached == np.median([one.loss for one in found])
    assert row.distance == np.median([one.distance for one in found])
    assert row.descent_reached == pytest.approx(np.median(descended), rel=1e-9)
    assert row.steps == 30


def test_a_table_reaches_no_farther_than_the_space():
    assert [row.cut for row in cut_table(4, [0, 4], 1, seed=0, reach=2, steps=0)] == [2, 3, 4, 0, 1, 2]


CUT = drawn(3, 0)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: random_cut(5, 6, np.random.default_rng(0)), "d = 6 dimensions of a cut in D = 5 cannot be"),
        (lambda: Cut(np.ones(3), np.eye(4)), "an origin (3,) and a basis (4, 4) make no cut"),
        (lambda: Cut(np.ones(2), np.ones((3, 2))), "an origin (2,) and a basis (3, 2) make no cut"),
        (lambda: Cut(np.ones(3), 2 * np.eye(3)), "the basis is 3 away from orthonormal rows"),
        (lambda: Cut(np.ones(3), np.eye(3) * np.nan), "the basis is nan away from"),
        (lambda: minimise_in_cut(CUT, 9), "n = 9 long axes in D = 8"),
        (lambda: minimise_in_cut(CUT, 4, starts=0), "starts = 0: give 1, or more with a generator"),
        (lambda: minimise_in_cut(CUT, 4, starts=2), "starts = 2: give 1, or more with a generator"),
        (lambda: descend(np.ones(4), 2, -1), "-1 steps of rate 1: give 0 or more"),
        (lambda: descend(np.ones(4), 2, 1, rate=2.0), "of a rate between 0 and 2"),
        (lambda: descend(np.ones(4), 2, 1, rate=np.nan), "of a rate between 0 and 2"),
        (lambda: cut_table(8, [9], 5, 0), "n = 9 long axes in D = 8"),
        (lambda: cut_table(8, [4], 0, 0), "repeats = 0, reach = 6: give 1 or more, and 0 or more"),
        (lambda: cut_table(8, [4], 1, 0, reach=-1), "reach = -1"),
    ],
)
def test_what_cannot_be_is_told_with_its_numbers(act, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        act()


def test_the_example_draws_its_figures(tmp_path, capsys):
    example.main(tmp_path / "drawn", repeats=2)
    names = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("surfaces", "limits", "paths") for kind in ("svg", "png")}
    assert capsys.readouterr().out.startswith("surfaces, limits, paths: ")


def test_the_examples_connector_has_points_in_wedges_over_equal_parts_of_the_line():
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 20))
    corners = example.minimised(first, second, 15, 4)
    line = second - first
    assert (corners - first) @ line / (line @ line) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert wedge_loss(corners[1:-1], 15) == pytest.approx(np.zeros(3), abs=1e-12)


def test_the_examples_paths_go_through_their_corners_at_an_even_pace():
    corners = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    shares, points = example.along(corners, 5)
    assert shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert points.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1]]
