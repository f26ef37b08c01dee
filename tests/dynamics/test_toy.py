"""The toy on the sphere against its exact boundary, its own formulas written anew, and autograd."""

import numpy as np
import pytest
import torch

from examples import toy

# Of 20,000 steps, where 0.99 of the boundary has fallen far enough; transients differ much among starts.
STARTS = [
    ([1.0], 0),
    ([2.5], 3),
    ([1.0, 2.0, 4.0], 1),
    ([1.0, 2.0, 4.0], 2),
    ([0.5] * 5, 0),
    ([3.0, 0.1], 1),
    ([1.0, 1.0, 1.0, 10.0], 2),
    ([0.01, 100.0], 3),
]
STEPS = 20_000


def value(alphas, points):
    """F of points (group, 2), by angles: a sin^2 of each group's."""
    angles = np.arctan2(points[:, 0], points[:, 1])
    return float((np.asarray(alphas) * np.sin(angles) ** 2).sum())


def by_torch(alphas, point):
    """F of a point (2, group)."""
    x, y = point
    return (torch.tensor(alphas, dtype=torch.float64) * x**2 / (x**2 + y**2)).sum()


def trajectory(alphas, rate, steps, seed):
    """The points (step, group, 2) once more, in polar coordinates."""
    start = np.random.default_rng(seed).standard_normal((2, len(alphas))).T
    points = [start / np.linalg.norm(start)]
    a = np.asarray(alphas)
    for _ in range(steps):
        radii = np.hypot(*points[-1].T)
        angles = np.arctan2(points[-1][:, 0], points[-1][:, 1])
        # F has no radial slope; along the tangent it is a sin(2 angle) / radius.
        tangents = np.stack([np.cos(angles), -np.sin(angles)], 1)
        moved = points[-1] - rate * (a * np.sin(2 * angles) / radii)[:, None] * tangents
        points.append(moved / np.sqrt((moved**2).sum()))
    return np.array(points)


@pytest.mark.parametrize(("alphas", "expected"), [([1.0], 1.0), ([1.0, 3.0], 0.25), ([0.5] * 4, 0.5)])
def test_the_boundary_is_one_over_the_sum(alphas, expected):
    assert toy.boundary(alphas) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("alphas", "seed"), STARTS)
def test_just_below_the_boundary_the_loss_falls_to_nothing(alphas, seed):
    losses = toy.descend(alphas, 0.99 * toy.boundary(alphas), STEPS, seed=seed)
    assert losses.shape == (STEPS + 1,)
    assert losses[-1] < 1e-30


@pytest.mark.parametrize(("alphas", "seed"), STARTS)
def test_just_above_the_boundary_the_loss_never_does(alphas, seed):
    losses = toy.descend(alphas, 1.01 * toy.boundary(alphas), STEPS, seed=seed)
    assert losses.min() > 1e-5 * sum(alphas)
    # Of one group the loss stays where cos(2 angle) = 1 / (rate x alpha); of several that is the mean.
    assert losses[-2000:].mean() == pytest.approx(sum(alphas) / 2 * (1 - 1 / 1.01), rel=2e-3)


@pytest.mark.parametrize("factor", [1.01, 1.5, 1.9])
def test_a_single_group_above_the_boundary_settles_on_two_points_of_a_known_loss(factor):
    losses = toy.descend([2.0], factor * toy.boundary([2.0]), 5000, seed=1)
    assert losses[-10:] == pytest.approx(np.full(10, 1 - 1 / factor), rel=1e-9)


@pytest.mark.parametrize("factor", [100, 1000, 1e6])
@pytest.mark.parametrize("alphas", [[1.0], [1.0, 2.0, 4.0], [3.0, 0.1], [0.5] * 5])
def test_far_above_the_boundary_the_mean_is_that_of_a_random_point(alphas, factor):
    losses = toy.descend(alphas, factor * toy.boundary(alphas), 3000, seed=4)
    assert losses[100:].mean() == pytest.approx(sum(alphas) / 2, rel=0.03)
    assert losses[100:].min() >= 0
    assert losses.max() <= sum(alphas) * (1 + 1e-12)


@pytest.mark.parametrize("alphas", [[1.0], [1.0, 2.0, 4.0], [0.3, 7.0]])
@pytest.mark.parametrize("rate", [1e-3, 0.2, 5.0])
def test_a_step_is_along_the_gradient_of_autograd(alphas, rate):
    for seed in range(10):
        start = np.random.default_rng(seed).standard_normal((2, len(alphas)))
        point = torch.tensor(start / np.linalg.norm(start), requires_grad=True)
        before = by_torch(alphas, point)
        (gradient,) = torch.autograd.grad(before, point)
        point = point.detach()
        assert abs((gradient * point).sum()) < 1e-12  # at right angles to where it is
        moved = point - rate * gradient
        expected = [before.item(), by_torch(alphas, moved / moved.norm()).item()]
        assert toy.descend(alphas, rate, 1, seed=seed) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_a_small_step_lowers_the_loss_by_the_squared_gradient_of_finite_differences(seed):
    alphas, rate, reach = [1.0, 2.0, 4.0], 1e-6, 1e-5
    start = trajectory(alphas, 0.0, 0, seed)[0]
    gradient = np.zeros_like(start)
    for place in np.ndindex(start.shape):
        aside = np.zeros_like(start)
        aside[place] = reach
        gradient[place] = (value(alphas, start + aside) - value(alphas, start - aside)) / (2 * reach)
    before, after = toy.descend(alphas, rate, 1, seed=seed)
    assert (before - after) / rate == pytest.approx((gradient**2).sum(), rel=1e-3)


@pytest.mark.parametrize("factor", [0.3, 0.99, 1.01])
@pytest.mark.parametrize(("alphas", "seed"), STARTS[:6])
def test_every_loss_is_that_of_steps_in_polar_coordinates_from_norm_one_to_norm_one(alphas, seed, factor):
    # Close above the boundary errors of rounding grow: only as many steps as both agree on.
    rate = factor * toy.boundary(alphas)
    points = trajectory(alphas, rate, 100, seed)
    assert np.sqrt((points**2).sum((1, 2))) == pytest.approx(np.ones(101), abs=1e-14)
    losses = toy.descend(alphas, rate, 100, seed=seed)
    assert losses == pytest.approx([value(alphas, point) for point in points], rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.01, 3.0])
def test_inverse_group_rates_sum_to_the_inverse_rate_at_every_step(factor):
    alphas = [1.0, 2.0, 4.0]
    rate = factor * toy.boundary(alphas)
    points = trajectory(alphas, rate, 500, 1)
    of_groups = rate / (points**2).sum(2)
    assert (1 / of_groups).sum(1) == pytest.approx(np.full(501, 1 / rate), rel=1e-12)


# Starts that have settled by then; elsewhere a group that is just unstable may take long to grow again.
@pytest.mark.parametrize(("alphas", "seed"), [([1.0, 2.0, 4.0], 5), ([3.0, 0.1], 0), ([0.01, 100.0], 3)])
def test_groups_are_all_stable_where_training_has_settled_and_never_above_the_boundary(alphas, seed):
    a = np.asarray(alphas)
    for factor in (0.99, 1.01):
        rate = factor * toy.boundary(alphas)
        own = a * rate / (trajectory(alphas, rate, 6000, seed) ** 2).sum(2)
        if factor < 1:
            assert (own[-1] < 1).all()
        else:
            assert (own.max(1) > 1).all()


def test_a_run_comes_from_its_seed_alone():
    one, same, other = (toy.descend([1.0, 2.0], 0.1, 20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_step_gives_the_loss_of_the_start():
    assert toy.descend([1.0, 2.0], 0.1, 0, seed=2) == pytest.approx(
        [value([1.0, 2.0], trajectory([1.0, 2.0], 0.1, 0, 2)[0])]
    )


def test_what_the_module_prints_has_both_sides_of_the_boundary(capsys):
    toy.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("boundary 0.1429")
    last = [float(line.split("last loss ")[1].split(",")[0]) for line in lines[1:-1]]
    assert [line.split()[0] for line in lines[1:-1]] == ["0.50", "0.99", "1.01", "3.00", "100.00"]
    assert max(last[:2]) < 1e-30
    assert min(last[2:]) > 1e-3
    assert "3.5 " in lines[-1]
