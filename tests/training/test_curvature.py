"""Curvature: traces and eigenvalues are those of matrices written out, and the network is left alone."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from ensembudget.families._build import describe, materialise
from ensembudget.families._invariance import DEGREES, invariant_of
from ensembudget.records import Task
from ensembudget.training.curvature import VECTORS, curvature

TASK = Task(4, 1, 8)
SAMPLES = 12


def make(degree="full", *, eps=None, steps=0):
    """A float64 ConvNet of width 1, in training mode, some steps of descent from its start."""
    network = describe("convnet", 1, TASK, options={"invariance": degree})
    materialise(network, [Generator().manual_seed(5)]).double().train()
    for layer in network.modules():
        if eps is not None and isinstance(layer, torch.nn.BatchNorm2d):
            layer.eps = eps
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(IMAGES), LABELS).backward()
        optimizer.step()
    network.zero_grad()
    return network


def batch(seed=0):
    random = Generator().manual_seed(seed)
    images = torch.randn(SAMPLES, 1, 8, 8, dtype=torch.float64, generator=random)
    return images, torch.randint(4, (SAMPLES,), generator=random)


IMAGES, LABELS = batch()


def estimate(network, eigenvalues=3, seed=1, **options):
    generator = Generator().manual_seed(seed)
    return curvature(network, IMAGES, LABELS, eigenvalues=eigenvalues, generator=generator, **options)


def flat(network):
    """Logits as a function of the invariant weights in one vector, that vector, and its squared norm."""
    invariant = invariant_of(network)
    sizes = [tensor.numel() for tensor in invariant.tensors]
    fixed = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def logits(vector):
        given = dict(zip(invariant.names, vector.split(sizes), strict=True))
        given = {name: part.view(fixed[name].shape) for name, part in given.items()}
        return torch.func.functional_call(network, {**copy.deepcopy(fixed), **given}, IMAGES)

    vector = torch.cat([tensor.detach().flatten() for tensor in invariant.tensors])
    return logits, vector, float(vector @ vector)


def hessian_of(network):
    """All of it, a row at a time, times the squared norm."""
    logits, vector, squared = flat(network)
    vector.requires_grad_()
    loss = F.cross_entropy(logits(vector), LABELS)
    (gradient,) = torch.autograd.grad(loss, vector, create_graph=True)
    rows = [torch.autograd.grad(one, vector, retain_graph=True)[0] for one in gradient]
    return squared * torch.stack(rows).numpy()


def fisher_of(network):
    """J' (diag p - p p') J, the mean over the samples, times the squared norm."""
    logits, vector, squared = flat(network)
    jacobian = torch.autograd.functional.jacobian(logits, vector).numpy()
    probs = logits(vector).softmax(-1).detach().numpy()
    return squared * np.mean(
        [j.T @ (np.diag(p) - np.outer(p, p)) @ j for j, p in zip(jacobian, probs, strict=True)], axis=0
    )


def units(count, seed=1):
    drawn = torch.randn(VECTORS, count, generator=Generator().manual_seed(seed)).double().numpy()
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


CASES = [("full", 0), ("full", 20), ("practical", 20)]
cases = pytest.mark.parametrize(
    ("degree", "steps"), [pytest.param(*case, id=f"{case[0]}-{case[1]}-steps") for case in CASES]
)


@pytest.fixture(scope="module")
def matrices():
    """Network, Hessian and Fisher matrix of every case: an oracle that takes its time only once."""
    networks = {case: make(case[0], steps=case[1]) for case in CASES}
    return {case: (one, hessian_of(one), fisher_of(one)) for case, one in networks.items()}


@cases
def test_the_hessian_that_is_compared_with_is_that_of_torch(matrices, degree, steps):
    network, hessian, _ = matrices[degree, steps]
    logits, vector, squared = flat(network)
    random = Generator().manual_seed(3)
    for _ in range(3):
        direction = torch.randn(len(vector), dtype=torch.float64, generator=random)
        loss, product = torch.autograd.functional.hvp(
            lambda v: F.cross_entropy(logits(v), LABELS), vector, direction
        )
        np.testing.assert_allclose(hessian @ direction.numpy(), squared * product, rtol=1e-7, atol=1e-9)
    assert np.abs(hessian).max() > 0.1
    assert loss > 0.1


@cases
def test_traces_are_means_over_the_drawn_directions(matrices, degree, steps):
    network, hessian, fisher = matrices[degree, steps]
    found = estimate(network)
    for name, matrix in (("hessian_trace", hessian), ("fisher_trace", fisher)):
        wanted = np.mean([v @ matrix @ v for v in units(len(matrix))])
        assert found[name] == pytest.approx(wanted, rel=1e-6, abs=1e-9), name


@cases
def test_many_directions_come_to_the_trace_over_the_number_of_parameters(matrices, degree, steps):
    network, hessian, fisher = matrices[degree, steps]
    found = estimate(network, eigenvalues=0, vectors=200)
    for name, matrix in (("hessian_trace", hessian), ("fisher_trace", fisher)):
        count = len(matrix)
        # Of v'Av over random unit vectors.
        variance = 2 * (count * np.sum(matrix**2) - np.trace(matrix) ** 2) / (count**2 * (count + 2))
        assert abs(found[name] - np.trace(matrix) / count) < 4 * np.sqrt(variance / 200), name


@cases
@pytest.mark.parametrize("eigenvalues", [1, 4])
def test_eigenvalues_are_the_largest_of_the_hessian_in_order(matrices, degree, steps, eigenvalues):
    network, hessian, _ = matrices[degree, steps]
    found = estimate(network, eigenvalues)
    names = [name for name in found if name not in ("hessian_trace", "fisher_trace")]
    assert names == [f"hessian_{i + 1}" for i in range(eigenvalues)]
    wanted = np.linalg.eigvalsh(hessian)[::-1][:eigenvalues]
    np.testing.assert_allclose([found[name] for name in names], wanted, rtol=5e-3)


@cases
def test_the_fisher_matrix_is_the_hessian_without_the_networks_own_curvature(matrices, degree, steps):
    """The Gauss-Newton part: what is left is the mean of (p - y) times the logits' Hessians."""
    network, hessian, fisher = matrices[degree, steps]
    logits, vector, squared = flat(network)
    pull = logits(vector).softmax(-1).sub(F.one_hot(LABELS, 4)).detach() / SAMPLES
    rest = torch.autograd.functional.hessian(lambda v: (logits(v) * pull).sum(), vector)
    np.testing.assert_allclose(hessian, fisher + squared * rest.numpy(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_network_is_left_as_it_was(degree, training):
    network = make(degree, steps=2).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    asked = [p.requires_grad for p in network.parameters()]
    estimate(network)
    assert before.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert [p.requires_grad for p in network.parameters()] == asked
    assert all(layer.training == training for layer in network.modules())
    assert all(p.grad is None for p in network.parameters())


def test_running_statistics_play_no_part():
    network = make(steps=2)
    wanted = estimate(network)
    network.eval()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.fill_(3 if "num" in name else 0.3)
    assert estimate(network) == wanted


def test_equal_generators_give_equal_estimates_and_others_other_traces():
    network = make(steps=2)
    one, same, other = (estimate(network, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one["hessian_trace"] != other["hessian_trace"]
    assert one["hessian_1"] == pytest.approx(other["hessian_1"], rel=5e-3)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("factor", [1 / 7, 7])
def test_the_scale_of_the_weights_drops_out(degree, factor):
    network = make(degree, eps=1e-14, steps=5)
    wanted = estimate(network)
    with torch.no_grad():
        for tensor in invariant_of(network).tensors:
            tensor.mul_(factor)
    found = estimate(network)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


def test_no_random_state_but_the_generators_is_touched():
    before = torch.get_rng_state()
    estimate(make())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_whose_features_are_all_dead_has_no_curvature():
    """Batch norm's own parameters may come to silence every filter, and then the loss is flat."""
    network = make("practical")
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.bias.fill_(-100)
    assert estimate(network, eigenvalues=0) == {"hessian_trace": 0, "fisher_trace": 0}
    assert set(estimate(network).values()) == {0}
