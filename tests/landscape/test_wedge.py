"""The wedge model against brute force over all wedges, autograd, finite differences and counts by rank."""

import itertools
import math
import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ensembudget.errors import ArgumentError
from ensembudget.landscape.wedge import (
    connect,
    expected_at_meeting,
    loss_and_gradient,
    nearest_wedge,
    short_axes,
    short_directions,
    wedge_loss,
)

D = 8
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
# Few values, so that ties and zeros are common, and many.
COORDINATES = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 2.0]), st.floats(-1e3, 1e3))
POINTS = arrays(np.float64, D, elements=COORDINATES)


def wedges(n, dimension=D):
    """The long axes of every wedge."""
    return list(itertools.combinations(range(dimension), n))


# Matrices that project onto every wedge, by n: (wedge, axis, axis).
PROJECTIONS = [np.stack([np.diag(np.isin(range(D), one) * 1.0) for one in wedges(n)]) for n in range(D + 1)]


def distances(point, n):
    """To every wedge: what is left after projecting onto it."""
    return np.linalg.norm(point - PROJECTIONS[n] @ point, axis=1)


def in_a_wedge(n, dimension, generator):
    point = generator.standard_normal(dimension)
    point[generator.permutation(dimension)[n:]] = 0
    return point


@pytest.mark.parametrize("n", range(D + 1))
@given(point=POINTS)
@QUICK
def test_loss_and_nearest_wedge_are_those_of_brute_force_over_all_wedges(n, point):
    expected = pytest.approx(distances(point, n).min(), rel=1e-12, abs=1e-12)
    assert float(wedge_loss(point, n)) == expected
    assert float(loss_and_gradient(point, n)[0]) == expected
    long = nearest_wedge(point, n)
    assert distances(point, n)[wedges(n).index(tuple(long))] == expected
    assert list(np.flatnonzero(~short_axes(point, n))) == list(long)


@pytest.mark.parametrize("n", range(D + 1))
def test_of_ties_the_first_axes_are_long(n):
    assert nearest_wedge(np.ones(D), n).tolist() == list(range(n))
    assert nearest_wedge([3.0, 1.0, -1.0, 0.0, 1.0], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 5), (2, 3, 7), (0, 4)])
def test_points_in_any_number_of_dimensions_are_each_as_alone(shape):
    points = np.random.default_rng(0).integers(-2, 3, shape).astype(float)
    for n in range(shape[-1] + 1):
        losses, gradients = loss_and_gradient(points, n)
        assert losses.shape == wedge_loss(points, n).shape == shape[:-1]
        assert gradients.shape == short_axes(points, n).shape == shape
        assert nearest_wedge(points, n).shape == (*shape[:-1], n)
        for place in np.ndindex(shape[:-1]):
            loss, gradient = loss_and_gradient(points[place], n)
            assert (losses[place], gradients[place].tolist()) == (loss, gradient.tolist())
            assert wedge_loss(points, n)[place] == pytest.approx(float(loss), rel=1e-14)
            assert nearest_wedge(points, n)[place].tolist() == nearest_wedge(points[place], n).tolist()
            assert short_directions(points, n)[place] == short_directions(points[place], n)


@pytest.mark.parametrize("n", range(D + 1))
def test_the_gradient_is_that_of_autograd_and_of_finite_differences(n):
    for seed in range(20):
        point = np.random.default_rng(seed).standard_normal(D)
        tensor = torch.tensor(point, requires_grad=True)
        by_torch = tensor.abs().sort().values[: D - n].square().sum().sqrt()
        loss, gradient = loss_and_gradient(point, n)
        assert float(loss) == pytest.approx(by_torch.item(), rel=1e-14)
        if n == D:
            assert not gradient.any()
            continue
        by_torch.backward()
        assert gradient == pytest.approx(tensor.grad.numpy(), abs=1e-14)
        aside = 1e-6 * np.eye(D)
        slopes = (wedge_loss(point + aside, n) - wedge_loss(point - aside, n)) / 2e-6
        assert gradient == pytest.approx(slopes, abs=1e-8)
        assert np.linalg.norm(gradient) == pytest.approx(1, rel=1e-14)


def test_inside_a_wedge_the_gradient_is_nothing():
    loss, gradient = loss_and_gradient([[5.0, 0.0, 0.0, 2.0], [5.0, 0.0, 0.1, 2.0]], 2)
    assert loss.tolist() == [0.0, 0.1]
    assert gradient.tolist() == [[0.0] * 4, [0.0, 0.0, 1.0, 0.0]]


def test_at_a_tie_the_gradient_is_the_limit_from_the_side_of_the_named_wedge():
    point = np.array([1.0, -1.0, 1.0])
    nearby = point.copy()
    nearby[nearest_wedge(point, 1)] *= 1 + 1e-9
    assert loss_and_gradient(point, 1)[1] == pytest.approx(loss_and_gradient(nearby, 1)[1], abs=1e-8)


@given(point=POINTS, n=st.integers(0, D), factor=st.floats(-10, 10))
@QUICK
def test_the_loss_scales_with_the_point_and_knows_no_order_of_axes(point, n, factor):
    loss = float(wedge_loss(point, n))
    assert float(wedge_loss(factor * point, n)) == pytest.approx(abs(factor) * loss, rel=1e-12, abs=1e-12)
    assert float(wedge_loss(-point[::-1], n)) == pytest.approx(loss, rel=1e-14)


def test_single_precision_is_summed_in_double():
    point = np.full(10**5, 0.1, np.float32)
    expected = math.sqrt(90_000) * float(np.float32(0.1))
    assert float(wedge_loss(point, 10_000)) == pytest.approx(expected, rel=1e-12)
    assert float(loss_and_gradient(point, 10_000)[0]) == pytest.approx(expected, rel=1e-12)


def rank_around(point, n, generator, reach=1e-6, samples=300):
    """The dimension of what the gradients at points close by span."""
    nearby = point + reach * generator.standard_normal((samples, len(point)))
    return np.linalg.matrix_rank(loss_and_gradient(nearby, n)[1], tol=1e-9)


@pytest.mark.parametrize(("dimension", "n"), [(8, 5), (8, 0), (8, 8), (30, 24), (30, 12)])
def test_short_directions_are_the_rank_of_gradients_nearby_in_wedges_and_where_two_meet(dimension, n):
    for seed in range(5):
        generator = np.random.default_rng(seed)
        first, second = (in_a_wedge(n, dimension, generator) for _ in range(2))
        assert short_directions(first, n) == rank_around(first, n, generator) == dimension - n
        path = connect(first, second, n)
        for corner in [path[1], path[2], (path[1] + path[2]) / 2]:
            # The axes that are short at either end, counted from the ends alone.
            either = 0 if n == dimension else np.count_nonzero((first == 0) | (second == 0))
            assert short_directions(corner, n) == either == rank_around(corner, n, generator)


def test_outside_wedges_short_directions_are_the_rank_of_the_hessian():
    """That of L^2 / 2, by finite differences of L times its gradient."""
    dimension, n, reach = 10, 6, 1e-5
    for seed in range(5):
        point = np.random.default_rng(seed).standard_normal(dimension)
        hessian = np.zeros((dimension, dimension))
        for axis in range(dimension):
            for sign in (1, -1):
                aside = point.copy()
                aside[axis] += sign * reach
                loss, gradient = loss_and_gradient(aside, n)
                hessian[axis] += sign * loss * gradient / (2 * reach)
        values = np.linalg.eigvalsh(hessian)
        assert values == pytest.approx([0] * n + [1] * (dimension - n), abs=1e-9)
        assert short_directions(point, n) == np.count_nonzero(values > 0.5)


def test_a_tolerance_takes_in_axes_that_are_a_little_longer():
    point = [5.0, 7.0, 0.0, 0.01, 1e-12]
    assert [int(short_directions(point, 2, width)) for width in (0, 0.02, 5, 10)] == [3, 3, 4, 5]
    assert [int(short_directions(point, 3, width)) for width in (0, 0.02)] == [2, 3]


@pytest.mark.parametrize(("dimension", "n"), [(1, 0), (1, 1), (6, 4), (9, 3), (60, 50)])
def test_random_wedges_meet_with_the_expected_short_directions(dimension, n):
    """Exactly, over all second wedges: the first may be any."""
    if dimension < 10:
        both = [n - len(set(range(n)) & set(one)) for one in wedges(n, dimension)]
        expected = np.mean(both) + dimension - n
        assert expected_at_meeting(dimension, n) == pytest.approx(expected, rel=1e-12)
    short = dimension - n
    assert expected_at_meeting(dimension, n) == pytest.approx(2 * short - short**2 / dimension)
    generator = np.random.default_rng(1)
    counts = [
        short_directions(connect(*(in_a_wedge(n, dimension, generator) for _ in range(2)), n)[1], n)
        for _ in range(400)
    ]
    assert np.mean(counts) == pytest.approx(expected_at_meeting(dimension, n), abs=0.3)


@pytest.mark.parametrize(("dimension", "n"), [(8, 5), (40, 35), (40, 20), (5, 5), (5, 0)])
def test_the_path_through_the_meeting_stays_in_wedges_and_the_straight_line_does_not(dimension, n):
    for seed in range(5):
        generator = np.random.default_rng(seed)
        first, second = (in_a_wedge(n, dimension, generator) for _ in range(2))
        path = connect(first, second, n)
        assert path[[0, 3]].tolist() == [first.tolist(), second.tolist()]
        shares = np.linspace(0, 1, 21)[:, None]
        for start, end in itertools.pairwise(path):
            assert wedge_loss(start + shares * (end - start), n).max() == 0
        if 0 < n < dimension:
            assert wedge_loss(first + shares * (second - first), n).max() > 0.01


def test_a_path_from_outside_falls_first_and_stays_below_its_ends():
    generator = np.random.default_rng(3)
    first, second = generator.standard_normal((2, 12))
    path = connect(first, second, 8)
    assert wedge_loss(path[1:3], 8).tolist() == [0, 0]
    shares = np.linspace(0, 1, 21)[:, None]
    falling = wedge_loss(path[0] + shares * (path[1] - path[0]), 8)
    assert (np.diff(falling) < 0).all()


def test_a_chain_of_wedges_that_differ_by_one_axis_needs_one_more_short_direction_only():
    """As the module says: twice as many are of two wedges that meet, not of every path between them."""
    dimension, n = 30, 20
    generator = np.random.default_rng(0)
    first, second = (in_a_wedge(n, dimension, generator) for _ in range(2))
    point, counts = first.copy(), []
    out = [axis for axis in np.flatnonzero(first) if second[axis] == 0]
    into = [axis for axis in np.flatnonzero(second) if first[axis] == 0]
    for leaving, entering in zip(out, into, strict=True):
        for axis in (leaving, entering):
            end = point.copy()
            end[axis] = second[axis]
            middle = (point + end) / 2
            assert wedge_loss(np.stack([middle, end]), n).max() == 0
            counts += [int(short_directions(one, n)) for one in (middle, end)]
            point = end
    assert set(counts) == {dimension - n, dimension - n + 1}
    assert nearest_wedge(point, n).tolist() == nearest_wedge(second, n).tolist()


def test_a_step_in_a_million_dimensions_takes_a_few_times_as_long_as_one_partition():
    point = np.random.default_rng(0).standard_normal(10**6)

    def seconds(action):
        spent = []
        for _ in range(3):
            start = time.perf_counter()
            action()
            spent.append(time.perf_counter() - start)
        return min(spent)

    step = seconds(lambda: loss_and_gradient(point, 900_000))
    assert step < 30 * seconds(lambda: np.partition(np.abs(point), 100_000))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: wedge_loss(np.ones(4), 5), "n = 5 long axes in D = 4 cannot be: give a whole number, 0"),
        (lambda: wedge_loss(np.ones(4), -1), "n = -1 long axes in D = 4"),
        (lambda: nearest_wedge(np.ones(4), 2.0), "n = 2.0 long axes"),
        (lambda: wedge_loss(3.0, 0), "points of shape () have no axes"),
        (lambda: loss_and_gradient(np.ones((3, 0)), 0), "points of shape (3, 0) have no axes"),
        (lambda: short_axes([1.0, np.nan, np.inf], 1), "2 of 3 coordinates are not finite"),
        (lambda: short_directions(np.ones(4), 2, -0.5), "tolerance -0.5 must be 0 or above"),
        (lambda: short_directions(np.ones(4), 2, np.nan), "tolerance nan must be"),
        (lambda: expected_at_meeting(0, 0), "D = 0 must be a whole number, 1 or more"),
        (lambda: connect(np.ones(4), np.ones(5), 2), "shapes (4,) and (5,) are not joined"),
        (lambda: connect(np.ones((2, 4)), np.ones((2, 4)), 2), "shapes (2, 4) and (2, 4) are not joined"),
    ],
)
def test_what_cannot_be_is_told_with_its_numbers(act, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        act()
