"""Descent within planes, cuts and curves, against torch's own optimiser and automatic differentiation."""

import math

import pytest
import torch

from ensembudget.landscape.cuts import hull_centre, trained_in_cut
from ensembudget.landscape.descent import descend, normal_to, orthonormal, within
from ensembudget.landscape.paths import (
    SAMPLED,
    along,
    barrier,
    bent,
    between,
    curve,
    halvings,
    spread,
    through_planes,
    weights_of,
)
from ensembudget.landscape.site import load, train_losses
from ensembudget.packing.streams import stream
from ensembudget.records import Point
from ensembudget.stepping.step import batch_losses


def free(points, _):
    """A chart without a constraint."""
    return points, lambda slopes: slopes


def test_without_a_constraint_it_is_sgd_with_momentum(make_site):
    """Torch's own, over the same batches, its rate falling as a cosine from step to step."""
    site, epochs, rate = make_site(2), 2, 0.05
    ended = descend(site, site.points, free, epochs=epochs, rate=rate, purpose="free")
    network = site.network(site.points).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    generator, done = site.stream("free"), 0
    steps = epochs * math.ceil(len(site.parts.labels) / site.cell.recipe.batch_size)
    for _ in range(epochs):
        for some, labels in site.batches(2, generator):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * done / steps)) / 2
            optimizer.zero_grad()
            batch_losses(network, some, labels).sum().backward()
            optimizer.step()
            done += 1
    expected = site.network(ended)
    for one, other in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_in_a_plane_nothing_moves_along_the_normal_and_the_loss_falls(make_site):
    site = make_site(2)
    start, end = site.points
    unit = (end - start) / (end - start).norm()
    knots = through_planes(site, start, end, 4, epochs=3, rate=0.05)
    straight = between(start, end, spread(5))
    torch.testing.assert_close(knots @ unit, straight @ unit, rtol=0.0, atol=1e-4)
    assert torch.equal(knots[0], start)
    assert torch.equal(knots[-1], end)
    assert (train_losses(site, knots[1:-1]) < train_losses(site, straight[1:-1])).all()


def test_each_knot_starts_between_its_neighbours_where_the_line_is_halved(make_site):
    """Three levels of five segments, each by itself: places 2, then 1 and 3, then 4."""
    site, how = make_site(2), {"epochs": 2, "rate": 0.05, "purpose": "planes"}
    start, end = site.points
    plane = normal_to(orthonormal((end - start)[None]))
    (second,) = descend(site, (start + 0.4 * (end - start))[None], plane, **how)
    first, third = descend(
        site, torch.stack([(start + second) / 2, second + (end - second) / 3]), plane, **how
    )
    (fourth,) = descend(site, ((third + end) / 2)[None], plane, **how)
    counts = []
    knots = through_planes(site, start, end, 5, epochs=2, rate=0.05, on_epoch=counts.append)
    torch.testing.assert_close(knots, torch.stack([start, first, second, third, fourth, end]))
    assert counts == [1, 2, 4, 6, 7, 8]


def test_knots_that_are_not_moved_lie_on_the_line(make_site):
    site = make_site(2)
    start, end = site.points
    knots = through_planes(site, start, end, 7, epochs=0, rate=0.05)
    torch.testing.assert_close(knots, between(start, end, spread(8)))


@pytest.mark.parametrize("segments", range(2, 41))
def test_halving_comes_to_every_place_once_with_both_neighbours_known(segments):
    known, levels = {0, segments}, halvings(segments)
    for level in levels:
        for left, middle, right in level:
            assert left < middle < right
            assert {left, right} <= known
        known |= {middle for _, middle, _ in level}
    assert known == set(range(segments + 1))
    assert sum(map(len, levels)) == segments - 1
    assert len(levels) == math.ceil(math.log2(segments))


def test_a_hulls_centre_moves_at_right_angles_to_all_members(make_site):
    site = make_site(4)
    centre = hull_centre(site, epochs=3, rate=0.05)
    moved = centre - site.points.mean(0)
    assert moved.norm() > 0.1
    for difference in site.points[1:] - site.points[0]:
        assert abs(float(moved @ difference)) < 1e-3 * float(moved.norm() * difference.norm())
    before, after = train_losses(site, torch.stack([site.points.mean(0), centre]))
    assert after < before


def test_training_in_a_cut_stays_in_it_and_learns(make_site):
    site, dimension = make_site(1), 40
    end = trained_in_cut(site, dimension, epochs=4, rate=0.2)
    origin = trained_in_cut(site, dimension, epochs=0, rate=0.2)
    drawn = torch.randn(dimension, site.dimension, generator=site.stream("cut"))
    basis = torch.linalg.qr(drawn.double().T).Q
    moved = (end - origin).double()
    outside = moved - basis @ (basis.T @ moved)
    assert outside.norm() < 1e-4 * moved.norm()
    before, after = train_losses(site, torch.stack([origin, end]))
    assert after < before


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_basis_is_orthonormal_and_spans_the_rows(rows):
    drawn = torch.randn(rows, 40, generator=stream("rows", "basis"), dtype=torch.float64)
    basis = orthonormal(drawn)
    torch.testing.assert_close(basis @ basis.T, torch.eye(rows, dtype=torch.float64))
    torch.testing.assert_close(drawn @ basis.T @ basis, drawn)


def test_charts_project_slopes():
    basis = orthonormal(torch.randn(3, 20, generator=stream("charts", "basis")).double())
    slopes = torch.randn(2, 20, generator=stream("charts", "slopes")).double()
    origin = torch.randn(20, generator=stream("charts", "origin")).double()
    _, pull = normal_to(basis)(slopes, stream("charts", "any"))
    assert (pull(slopes) @ basis.T).abs().max() < 1e-12
    torch.testing.assert_close(pull(slopes) + slopes @ basis.T @ basis, slopes)
    z = torch.randn(2, 3, generator=stream("charts", "z"), dtype=torch.float64, requires_grad=True)
    points, pull = within(origin, basis)(z, stream("charts", "any"))
    (expected,) = torch.autograd.grad((points * slopes).sum(), z)
    torch.testing.assert_close(pull(slopes), expected)


@pytest.mark.parametrize("shape", ["bezier", "chain"])
def test_the_bend_lowers_the_loss_along_the_curve(make_site, shape):
    site = make_site(2)
    start, end = site.points
    bend = bent(site, start, end, shape, epochs=4, rate=0.05)
    shares = spread(9)
    straight = train_losses(site, between(start, end, shares)).mean()
    assert train_losses(site, curve(start, bend, end, shape, shares)).mean() < straight


@pytest.mark.parametrize("shape", ["bezier", "chain"])
def test_the_bends_slope_is_that_of_the_mean_loss_at_the_points_that_are_drawn(make_site, shape):
    """By automatic differentiation through the curve, on the first batch: one step, without momentum yet."""
    site, rate = make_site(2), 0.5
    start, end = site.points
    images = len(site.parts.labels)
    recipe = site.cell.recipe.model_copy(update={"batch_size": images})
    site = type(site)(
        site.cell.model_copy(update={"recipe": recipe}),
        site.data,
        site.parts,
        site.states,
        site.key,
        site.device,
    )
    bend = bent(site, start, end, shape, epochs=1, rate=rate)
    generator = site.stream(shape)
    torch.rand(SAMPLED, generator=generator)  # the first points only make the network
    some, labels = next(site.batches(SAMPLED, generator))
    shares = [(i + float(r)) / SAMPLED for i, r in enumerate(torch.rand(SAMPLED, generator=generator))]
    middle = between(start, end, [0.5])[0].requires_grad_()
    network = site.network(torch.zeros(SAMPLED, len(start))).train()
    points = curve(start, middle, end, shape, shares)
    load(network, points)
    batch_losses(network, some, labels).mean().backward()
    slopes = torch.cat([tensor.grad.reshape(SAMPLED, -1) for tensor in network.parameters()], 1)
    (expected,) = torch.autograd.grad(points, middle, slopes)
    torch.testing.assert_close(middle.detach() - rate * expected, bend, rtol=1e-4, atol=1e-5)


def test_paths_pass_through_their_knots_and_are_straight_between():
    knots = torch.tensor([[0.0, 0.0], [1.0, 2.0], [4.0, 2.0]])
    found = along(knots, [0.0, 0.25, 0.5, 0.75, 1.0])
    expected = torch.tensor([[0.0, 0.0], [0.5, 1.0], [1.0, 2.0], [2.5, 2.0], [4.0, 2.0]])
    torch.testing.assert_close(found, expected)
    ends = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    torch.testing.assert_close(between(*ends, [0.0, 0.25, 1.0]), along(ends, [0.0, 0.25, 1.0]))


@pytest.mark.parametrize("shape", ["bezier", "chain"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_a_curves_weights_sum_to_1_and_its_ends_are_the_members(shape, share):
    assert sum(weights_of(shape, share)) == pytest.approx(1)
    assert weights_of(shape, 0.0) == (1, 0, 0)
    assert weights_of(shape, 1.0) == (0, 0, 1)
    if shape == "bezier":  # De Casteljau's construction
        lower, upper = 1 - share, share
        assert weights_of(shape, share) == pytest.approx((lower * lower, 2 * lower * upper, upper * upper))


def points_with(losses):
    return [
        Point(at=at, train_loss=loss, train_error=0.0, test_nll=None, test_error=0.0)
        for at, loss in zip(spread(len(losses)), losses, strict=True)
    ]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 1.0, 1.0], 0.0),
        ([0.0, 2.0, 1.0], 1.5),
        ([0.0, 0.1, 1.0], 0.0),  # below the line between the ends
        ([3.0, 2.5, 4.0, 2.0, 1.0], 2.0),
        ([0.0, None, 1.0], None),
    ],
)  # fmt: skip
def test_a_barrier_is_the_rise_above_the_line_between_the_ends(losses, expected):
    assert barrier(points_with(losses), lambda point: point.train_loss) == expected
