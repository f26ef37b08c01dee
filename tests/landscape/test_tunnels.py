"""Radii against a scan, and short directions against the whole Hessian."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ensembudget.families._build import describe, materialise
from ensembudget.landscape.site import Site, train_losses
from ensembudget.landscape.tunnels import directions, lanczos, radii, short_directions
from ensembudget.packing.streams import stream
from ensembudget.training.curvature import without_memory


def test_directions_have_length_1_and_are_drawn_anew_for_another_purpose():
    units = directions(500, 3, stream("one", "directions"))
    torch.testing.assert_close(units.norm(dim=1), torch.ones(3))
    assert (units @ units.T - torch.eye(3)).abs().max() < 0.2
    assert not torch.equal(units, directions(500, 3, stream("other", "directions")))


def test_a_radius_is_where_a_scan_first_finds_the_rise(make_site):
    site, rise = make_site(1), 0.3
    centre = site.points[0]
    units = directions(len(centre), 2, site.stream("directions"))
    found = radii(site, centre, units, rise)
    limit = float(train_losses(site, centre[None])[0]) + rise
    for unit, radius in zip(units, found, strict=True):
        scan = torch.linspace(0.0, 2 * float(radius), 81)
        losses = train_losses(site, centre + scan[:, None] * unit)
        first = int((losses > limit).nonzero()[0])
        assert scan[first - 1] - 0.01 * radius <= radius <= scan[first] + 0.01 * radius


def test_a_wider_rise_gives_a_wider_tunnel(make_site):
    site = make_site(1)
    units = directions(site.dimension, 3, site.stream("directions"))
    narrow, wide = (radii(site, site.points[0], units, rise) for rise in (0.1, 0.5))
    assert (narrow < wide).all()


def test_a_loss_that_never_rises_so_far_has_no_radius(make_site):
    site = make_site(1)
    units = directions(site.dimension, 1, site.stream("directions"))
    assert radii(site, site.points[0], units, 1e6).isinf().all()


def symmetric(size, purpose):
    drawn = torch.randn(size, size, generator=stream("matrix", purpose), dtype=torch.float64)
    return drawn + drawn.T


def test_as_many_steps_as_coordinates_give_the_whole_spectrum():
    matrix = symmetric(12, "whole")
    start = torch.randn(12, generator=stream("start", "whole"), dtype=torch.float64)
    values, weights = lanczos(lambda v: matrix @ v, start, 12)
    expected, vectors = np.linalg.eigh(matrix.numpy())
    np.testing.assert_allclose(values, expected, atol=1e-9)
    unit = (start / start.norm()).numpy()
    np.testing.assert_allclose(weights, (vectors.T @ unit) ** 2, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_nodes_and_weights_integrate_polynomials_of_the_operator(steps):
    """Gauss quadrature: exact up to degree 2 steps - 1."""
    matrix = symmetric(20, "gauss") / 10
    start = torch.randn(20, generator=stream("start", "gauss"), dtype=torch.float64)
    unit = start / start.norm()
    values, weights = lanczos(lambda v: matrix @ v, unit, steps)
    for degree in range(2 * steps):
        power = torch.linalg.matrix_power(matrix, degree)
        assert float(weights @ values**degree) == pytest.approx(float(unit @ power @ unit), abs=1e-9)


def test_an_invariant_subspace_ends_the_steps():
    matrix = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    values, weights = lanczos(lambda v: matrix @ v, torch.tensor([1.0, 0.0, 1.0, 0.0]), 4)
    np.testing.assert_allclose(values, [1.0, 3.0])
    np.testing.assert_allclose(weights, [0.5, 0.5])


@pytest.fixture(scope="module")
def small(make_cell, digits):
    """A network whose Hessian can be written out, at a point of no special kind."""
    from ensembudget.packing.parts import parts_of

    cell = make_cell(width=1, family="convnet", options={}, precision="float64")
    network = materialise(describe("convnet", 1, digits.task), [stream("small", "weights")])
    state = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    return Site(cell, digits, parts_of(cell, digits.arrays), (state,), "b" * 64, torch.device("cpu"))


def eigenvalues(site):
    """Of the Hessian, by differentiating every gradient."""
    network = without_memory(site.network(site.points))
    images = site.parts.inputs[:500]
    loss = F.cross_entropy(network(site.feed(images[None])), site.parts.labels[:500])
    tensors = [one for one in network.parameters() if one.requires_grad]
    slopes = torch.cat([g.flatten() for g in torch.autograd.grad(loss, tensors, create_graph=True)])
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(slope, tensors, retain_graph=True)])
        for slope in slopes
    ]
    return torch.linalg.eigvalsh(torch.stack(rows))


def test_short_directions_are_about_as_many_as_large_eigenvalues(small):
    exact = eigenvalues(small)
    for rank in (10, 60):
        threshold = float(exact[-rank - 1 : len(exact) - rank + 1].mean())
        count = int((exact > threshold).sum())
        found = np.mean(
            [
                short_directions(small, small.points[0], threshold, stream("draws", "short", i))
                for i in range(2)
            ]
        )
        # Each of 8 vectors knows the count to a relative error of sqrt(2 / count).
        assert found == pytest.approx(count, rel=4 * (2 / (8 * count)) ** 0.5)
