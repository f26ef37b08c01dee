"""Averages and samples of weights, against means and covariances computed by hand in double precision."""

import numpy as np
import pytest
import torch

from ensembudget.methods import _tail
from ensembudget.methods.swag import Gaussian
from ensembudget.packing.parts import parts_of
from ensembudget.packing.streams import stream
from ensembudget.records import Recipe
from ensembudget.tasks.images import Pixels, scale_of
from ensembudget.training.loop import train
from ensembudget.training.statistics import refit_statistics

from .runs import images_of, logits_of, network_of, runs_of, watcher

TAIL = {"start": 0.5, "rate": 0.4}


def seen_by(plug_in, make_cell, digits, options):
    """Packed tensors at the ends of all epochs, at the rates of an average with these options."""
    seen, cell = [], make_cell(epochs=8)
    plug_in(
        "methods",
        "watching",
        method=watcher(seen, lambda epoch, factor: _tail.rate(cell.recipe, options, epoch, factor)),
    )
    train(runs_of(cell, "watching"), digits)
    return seen


@pytest.mark.parametrize(
    ("more", "epochs"), [({}, [4, 5, 6, 7]), ({"cycle": 2, "low": 0.1}, [5, 7])], ids=["constant", "cyclical"]
)
def test_the_average_is_the_mean_of_the_weights_at_the_ends(plug_in, make_cell, digits, more, epochs):
    seen = seen_by(plug_in, make_cell, digits, {**TAIL, **more})
    members = train(runs_of(make_cell(epochs=8), "swa", **TAIL, **more), digits, keep_weights=True)
    for i, one in enumerate(members):
        state = {name: torch.from_numpy(array) for name, array in one.weights.items()}
        network = network_of(one.run.cell, state, digits)
        for name, parameter in network.named_parameters():
            each = [seen[epoch][name].chunk(2)[i].double().numpy() for epoch in epochs]
            np.testing.assert_allclose(parameter.detach().numpy(), np.mean(each, 0), rtol=1e-5, atol=1e-6)
        # Statistics are of the average, and the logits are those of the network with both.
        parts = parts_of(one.run.cell, digits.arrays)
        before = {name: buffer.clone() for name, buffer in network.named_buffers()}
        refit_statistics(network, parts.inputs, Pixels(scale_of("dataset", parts.inputs)), 1, 32)
        for name, buffer in network.named_buffers():
            torch.testing.assert_close(buffer, before[name], rtol=1e-4, atol=1e-5)
        logits = logits_of(network.eval(), images_of(one.run.cell, digits)[1])
        np.testing.assert_allclose(one.test_logits, logits, rtol=1e-3, atol=1e-3)


def test_rates_are_the_recipes_own_before_the_average_and_fall_by_cycles_in_it():
    """Izmailov et al. 2018, section 3: (1 - t) high + t low, t from 0 to 1 over the epochs of a cycle."""
    recipe, options = Recipe(epochs=20, learning_rate=0.1, weight_decay=0.0), {"start": 0.25, "rate": 0.6}
    cyclical = {**options, "cycle": 5, "low": 0.1}
    for epoch in range(20):
        within = (epoch - 5) % 5 / 4
        wanted = 0.77 if epoch < 5 else (1 - within) * 0.6 + within * 0.1
        assert _tail.rate(recipe, cyclical, epoch, 0.77) == pytest.approx(wanted)
        assert _tail.rate(recipe, options, epoch, 0.77) == (0.77 if epoch < 5 else 0.6)
    assert _tail.ends(recipe, cyclical) == [9, 14, 19]


class Weights(torch.nn.Module):
    """Two members of five weights, in two tensors; a frozen one is not gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.zeros(2 * 3))
        self.second = torch.nn.Parameter(torch.zeros(2 * 1, 2))
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def of(self, member):
        return self.both()[member]

    def both(self):
        parts = [one.detach().reshape(2, -1) for one in (self.first, self.second)]
        return torch.cat(parts, 1).double().numpy()


@pytest.fixture
def gathered():
    """Weights of six epochs for two members, (epoch, member, weight), and what was gathered of them."""
    recipe = Recipe(epochs=8, learning_rate=0.1, weight_decay=0.0)
    gaussian = Gaussian(recipe, {"predictors": 1, "deviations": 3, "start": 0.25, "rate": 1.0})
    network, rng, walk = Weights(), np.random.default_rng(0), []
    for epoch in range(8):
        with torch.no_grad():
            for one in (network.first, network.second):
                one.copy_(torch.from_numpy(rng.normal(1.0, 0.3, one.shape)))
        gaussian.keep(epoch, network)
        walk.append(network.both())
    return np.array(walk[2:]), gaussian


def packed(weights):
    return torch.cat([weights["first"].reshape(2, -1), weights["second"].reshape(2, -1)], 1).numpy()


def test_moments_are_those_of_the_weights(gathered):
    walk, gaussian = gathered
    assert gaussian.count == len(walk) == 6
    np.testing.assert_allclose(packed(gaussian.mean), walk.mean(0), rtol=1e-5)
    second = (walk**2).mean(0) - walk.mean(0) ** 2
    np.testing.assert_allclose(packed(gaussian.squares) / 6, second, rtol=1e-4)
    running = np.cumsum(walk, 0) / np.arange(1, 7)[:, None, None]
    for kept, wanted in zip(gaussian.deviations, (walk - running)[-3:], strict=True):
        np.testing.assert_allclose(packed(kept), wanted, rtol=1e-4, atol=1e-6)
    assert set(gaussian.mean) == {"first", "second"}


def test_samples_have_the_mean_and_the_covariance_of_the_closed_form(gathered):
    walk, gaussian = gathered
    draws = 6_000
    found = np.stack(
        [packed(gaussian.sample([stream("a", "m", i), stream("b", "m", i)])) for i in range(draws)]
    )
    running = np.cumsum(walk, 0) / np.arange(1, 7)[:, None, None]
    for member in (0, 1):
        deviations = (walk - running)[-3:, member]
        variance = (walk[:, member] ** 2).mean(0) - walk[:, member].mean(0) ** 2
        wanted = np.diag(variance) / 2 + deviations.T @ deviations / (2 * 2)
        error = np.sqrt(np.diag(wanted).max() ** 2 * 2 / draws)
        np.testing.assert_allclose(np.cov(found[:, member].T, ddof=0), wanted, atol=5 * error)
        np.testing.assert_allclose(found[:, member].mean(0), walk[:, member].mean(0), atol=0.02)
    # Members are drawn apart.
    across = np.corrcoef(found[:, 0, 0], found[:, 1, 0])[0, 1]
    assert abs(across) < 5 / np.sqrt(draws)


def test_a_sample_does_not_depend_on_who_is_beside_it(gathered):
    _, gaussian = gathered
    one = packed(gaussian.sample([stream("a", "m"), stream("b", "m")]))
    other = packed(gaussian.sample([stream("a", "m"), stream("c", "m")]))
    assert np.array_equal(one[0], other[0])
    assert not np.allclose(one[1], other[1])
