"""Points of a tunnel: their distance against a scan of many distances."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.methods.tunnel import DOUBLINGS, FIRST, HALVINGS, bracket
from ensembudget.packing.parts import parts_of
from ensembudget.packing.streams import stream
from ensembudget.tasks.images import Pixels, scale_of
from ensembudget.training.loop import train
from ensembudget.training.statistics import refit_statistics

from .runs import network_of, runs_of

FARTHEST = FIRST * 2**DOUBLINGS


@given(st.lists(st.floats(1e-3, 10), min_size=1, max_size=5))
def test_the_largest_distance_is_just_below_where_the_loss_has_risen(walls):
    wall = torch.tensor(walls, dtype=torch.float64)
    first = torch.full_like(wall, FIRST)
    found = bracket(lambda distances: distances > wall, first, DOUBLINGS, HALVINGS)
    for distance, beyond, true in zip(*(one.tolist() for one in found), walls, strict=True):
        if true >= FARTHEST:
            assert (distance, beyond) == (FARTHEST, np.inf)
        else:
            step = max(FIRST, distance) * 2.0**-HALVINGS
            assert distance <= true <= beyond <= distance + step


def test_a_loss_that_is_never_low_gives_no_distance():
    first = torch.full((2,), FIRST)
    low, _ = bracket(lambda distances: torch.ones(2, dtype=torch.bool), first, DOUBLINGS, HALVINGS)
    assert low.tolist() == [0, 0]


RISE = 0.2


def test_the_radius_is_that_of_a_scan(make_cell, digits):
    """Every point of a grid is tried, with statistics gathered anew and losses in double precision."""
    cell = make_cell(epochs=12, crop_padding=0, flip=False)
    (unit,) = train(runs_of(cell, "tunnel", (4,), predictors=2, rise=RISE), digits)
    (alone,) = train(runs_of(cell, "independent", (4,)), digits, keep_weights=True)
    parts = parts_of(cell, digits.arrays)
    scale = scale_of("dataset", parts.inputs)
    network = network_of(cell, alone.weights, digits)
    centre = {name: one.detach().clone() for name, one in network.named_parameters()}
    norm = torch.cat([one.flatten() for one in centre.values()]).double().norm()

    @torch.no_grad()
    def loss_at(direction, distance):
        for name, one in network.named_parameters():
            one.copy_(centre[name] + distance * norm * direction[name])
        refit_statistics(network, parts.inputs, Pixels(scale), 1, 32)
        logits = network.eval()(scale(parts.inputs).permute(0, 3, 1, 2)).double()
        return float(F.cross_entropy(logits, parts.labels))

    radii = []
    for number in range(2):
        generator = stream(unit.run.stream_key, "method", number)
        drawn = {name: torch.randn(one.shape, generator=generator) for name, one in centre.items()}
        length = torch.cat([one.flatten() for one in drawn.values()]).double().norm()
        direction = {name: (one / length).float() for name, one in drawn.items()}
        ceiling = loss_at(direction, 0.0) + RISE
        grid = np.arange(1, 400) / 400
        risen = [loss_at(direction, distance) > ceiling for distance in grid]
        radii.append(grid[int(np.argmax(risen))])
        assert any(risen)
        assert not risen[0]
    # Found from below by steps of 1/32 of the distance; the scan is a step of 1/400 beyond the wall.
    assert unit.unit.radius == pytest.approx(np.mean(radii), rel=0.06, abs=0.005)
    assert unit.unit.radius <= np.mean(radii)
