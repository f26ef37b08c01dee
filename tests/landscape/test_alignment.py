"""Weight matching: against brute force over all orders, and against networks whose channels were mixed."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CASES, TASK, called, family, lively, logits, random_orders
from torch import Generator, nn

from ensembudget.errors import SymmetryError
from ensembudget.families._layers import Linear
from ensembudget.landscape.alignment import align
from ensembudget.landscape.symmetry import permute, symmetries

every_family = pytest.mark.parametrize("case", CASES, ids=called)


def generator(seed=0):
    return Generator().manual_seed(seed)


def inner(one, other, names):
    return sum(float((one[name].double() * other[name].double()).sum()) for name in names)


def perceptron(*hidden):
    """Linear layers with these numbers of hidden units between the pixels and the classes."""
    widths = [TASK.channels * TASK.image_size**2, *hidden, TASK.classes]
    layers = [(Linear(one, other, members=1), nn.ReLU()) for one, other in itertools.pairwise(widths)]
    return nn.Sequential(nn.Flatten(), *itertools.chain(*layers)).double()


class Residual(nn.Module):
    """A layer whose inputs and outputs are one residual stream."""

    def __init__(self, width):
        super().__init__()
        self.stem, self.inner = Linear(TASK.channels, width, members=1), Linear(width, width, members=1)
        self.head = Linear(width, TASK.classes, members=1)

    def forward(self, x):
        stream = self.stem(x.mean((2, 3)))
        return self.head(stream + F.relu(self.inner(stream)))


@every_family
@pytest.mark.parametrize("width", [1, 3])
def test_a_network_is_recovered_from_its_channels_in_random_order(case, width):
    network = family(*case[:2], width)
    found = symmetries(network, TASK)
    # Initial weights are as distinct as channels get; batch norm's running values come last of all.
    state = {**lively(network), **dict(network.named_parameters())}
    state = {name: tensor.detach() for name, tensor in state.items()}
    mixed = permute(state, found, random_orders(found))
    aligned = align(state, mixed, found, generator())
    assert all(torch.equal(tensor, state[name]) for name, tensor in aligned.state.items())
    assert aligned.distances[1] == 0


@every_family
def test_alignment_moves_weights_closer_and_leaves_logits_alone(case):
    network = family(*case[:2], 3)
    found = symmetries(network, TASK)
    ours, theirs = lively(network, seed=1), lively(network, seed=2)
    aligned = align(ours, theirs, found, generator())
    for training in (False, True):
        before, after = (logits(network, one, training=training) for one in (theirs, aligned.state))
        torch.testing.assert_close(after, before, rtol=0, atol=1e-9 * float(before.std(0).max()))
    again = permute(theirs, found, aligned.orders)
    assert all(torch.equal(tensor, aligned.state[name]) for name, tensor in again.items())
    names = [name for name, _ in network.named_parameters()]
    assert len(aligned.objectives) > 1
    assert all(one < other for one, other in itertools.pairwise(aligned.objectives))
    for state, objective, distance in (
        (theirs, aligned.objectives[0], aligned.distances[0]),
        (aligned.state, aligned.objectives[-1], aligned.distances[1]),
    ):
        assert objective == pytest.approx(inner(ours, state, names), rel=1e-10)
        squared = inner(ours, ours, names) + inner(state, state, names) - 2 * objective
        assert distance == pytest.approx(squared, rel=1e-10)
    assert aligned.distances[1] < aligned.distances[0]


def all_orders(size):
    return [np.array(order) for order in itertools.permutations(range(size))]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_one_group_of_five_gets_the_best_of_all_120_orders(seed):
    network = perceptron(5)
    found = symmetries(network, TASK)
    ours, theirs = lively(network, seed), lively(network, seed + 1)
    aligned = align(ours, theirs, found, generator(seed))
    each = [inner(ours, permute(theirs, found, [order]), found.parameters) for order in all_orders(5)]
    assert aligned.objectives[-1] == pytest.approx(max(each), rel=1e-12)
    assert np.array_equal(aligned.orders[0], all_orders(5)[int(np.argmax(each))])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_in_the_end_no_group_by_itself_has_a_better_order(seed):
    network = perceptron(4, 3, 4)
    found = symmetries(network, TASK)
    ours, theirs = lively(network, seed), lively(network, seed + 1)
    aligned = align(ours, theirs, found, generator(seed))
    still = [np.arange(channels.size) for channels in found.channels]
    for index, channels in enumerate(found.channels):
        for order in all_orders(channels.size):
            other = permute(aligned.state, found, [*still[:index], order, *still[index + 1 :]])
            assert inner(ours, other, found.parameters) <= aligned.objectives[-1] + 1e-9


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_channels_on_both_axes_of_a_tensor_never_lower_the_objective(seed):
    network = Residual(5).double()
    found = symmetries(network, TASK)
    assert [where.axis for where in found.channels[0].axes if where.name == "inner.weight"] == [0, 1]
    ours, theirs = lively(network, seed), lively(network, seed + 1)
    aligned = align(ours, theirs, found, generator(seed))
    assert all(one < other for one, other in itertools.pairwise(aligned.objectives))
    assert aligned.objectives[-1] == pytest.approx(inner(ours, aligned.state, found.parameters), rel=1e-10)
    assert aligned.distances[1] <= aligned.distances[0]
    torch.testing.assert_close(logits(network, aligned.state), logits(network, theirs), rtol=0, atol=1e-9)


def test_a_network_that_is_aligned_stays_as_it_is():
    network = family("convnet", {}, 3)
    found = symmetries(network, TASK)
    aligned = align(lively(network), lively(network), found, generator())
    assert len(aligned.objectives) == 1
    assert all(np.array_equal(order, np.arange(len(order))) for order in aligned.orders)
    assert aligned.distances == (0, 0)


def test_running_statistics_count_for_nothing_and_go_along():
    network = family("convnet", {}, 3)
    found = symmetries(network, TASK)
    ours, theirs = lively(network, seed=1), lively(network, seed=2)
    running = {name: 1e3 * tensor for name, tensor in theirs.items() if "running" in name}
    one, other = (align(ours, state, found, generator()) for state in (theirs, {**theirs, **running}))
    assert all(map(np.array_equal, one.orders, other.orders))
    assert all(torch.equal(other.state[name], 1e3 * one.state[name]) for name in running)


def test_arrays_are_aligned_as_tensors_are_and_may_be_read_only():
    network = family("wide_resnet", {"depth": 10}, 2).float()
    found = symmetries(network, TASK)
    states = [lively(network, seed) for seed in (1, 2)]
    arrays = [{name: tensor.numpy() for name, tensor in state.items()} for state in states]
    for array in itertools.chain(*(state.values() for state in arrays)):
        array.flags.writeable = False
    one, other = align(*states, found, generator(3)), align(*arrays, found, generator(3))
    assert one.objectives == other.objectives
    for name, array in other.state.items():
        assert isinstance(array, np.ndarray)
        assert array.dtype == arrays[1][name].dtype
        assert np.array_equal(array, one.state[name].numpy())


def test_the_same_generator_gives_the_same_orders():
    network = family("vgg", {"depth": 11}, 2)
    found = symmetries(network, TASK)
    ours, theirs = lively(network, seed=1), lively(network, seed=2)
    before = torch.random.get_rng_state()
    first, second, other = (align(ours, theirs, found, generator(seed)) for seed in (4, 4, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.objectives == second.objectives
    assert first.objectives != other.objectives


def test_states_of_two_shapes_are_refused_and_both_named():
    network, wider = family("convnet", {}, 2), family("convnet", {}, 3)
    found = symmetries(network, TASK)
    told = r"is not of this network: 'features\.0\.weight' has shape \(3, 2, 3, 3\), and .* \(2, 2, 3, 3\)"
    with pytest.raises(SymmetryError, match=f"^the state {told}"):
        align(network.state_dict(), wider.state_dict(), found, generator())
    with pytest.raises(SymmetryError, match=f"^the reference {told}"):
        align(wider.state_dict(), network.state_dict(), found, generator())


def test_weights_that_are_not_finite_are_refused():
    network = family("convnet", {}, 2)
    found = symmetries(network, TASK)
    state = lively(network)
    broken = {**state, "head.bias": torch.full_like(state["head.bias"], torch.nan)}
    with pytest.raises(SymmetryError, match=r"the state cannot be aligned: 'head\.bias' has values"):
        align(state, broken, found, generator())
