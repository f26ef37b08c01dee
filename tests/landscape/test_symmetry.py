"""Which channels may change their order: against the logits, which must not change."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CASES, TASK, called, family, lively, logits, random_orders
from torch import nn

from ensembudget.errors import SymmetryError
from ensembudget.families._build import describe
from ensembudget.families._layers import Conv2d, Dropout, Linear
from ensembudget.landscape.axes import Factor, Ties
from ensembudget.landscape.symmetry import ChannelAxis, Channels, Symmetries, permute, reorder, symmetries
from ensembudget.records import Task
from helpers import ROOT

every_family = pytest.mark.parametrize("case", CASES, ids=called)
PERCEPTRON = ROOT / "examples" / "plugin" / "ensembudget_example" / "perceptron.py"


def assert_logits_stay(network, task=TASK):
    """Random orders of all channels move most of the state and none of the logits, in both modes."""
    found = symmetries(network, task)
    state = lively(network)
    moved = permute(state, found, random_orders(found))
    for training in (False, True):
        before, after = (logits(network, one, task, training=training) for one in (state, moved))
        spread = float(before.std(0).max())
        assert spread > 1e-3  # or nothing could change them
        torch.testing.assert_close(after, before, rtol=0, atol=1e-9 * spread)
    return found


@every_family
@pytest.mark.parametrize(("width", "size"), [(1, 8), (3, 16)])
def test_logits_do_not_depend_on_the_order_of_channels(case, width, size):
    name, options, multiples = case
    task = Task(5, 2, size)
    found = assert_logits_stay(family(name, options, width, task), task)
    groups = sorted(width * multiple for multiple, count in multiples.items() for _ in range(count))
    # A single channel has no order.
    assert sorted(channels.size for channels in found.channels) == [size for size in groups if size > 1]


def test_the_map_that_vgg_averages_at_the_end_is_followed():
    task = Task(5, 2, 64)
    assert len(assert_logits_stay(family("vgg", {"depth": 11}, 1, task), task).channels) == 9


@pytest.mark.parametrize("case", [CASES[3], CASES[6], CASES[9]], ids=called)
def test_logits_depend_on_the_order_along_each_axis_alone(case):
    """So every axis that is named is needed, and the tests above could fail."""
    network = family(*case[:2], 2)
    found = symmetries(network, TASK)
    state = lively(network)
    before = logits(network, state)
    for channels in found.channels:
        for axis in channels.axes:
            turned = reorder(state, Channels(channels.size, (axis,)), np.roll(np.arange(channels.size), 1))
            change = logits(network, {**state, **turned}) - before
            assert change.abs().max() > 1e-9 * before.std(0).max(), axis


@every_family
def test_only_images_kernels_and_classes_keep_their_order(case):
    network = family(*case[:2], 2)
    found = symmetries(network, TASK)
    free = {(where.name, where.axis) for channels in found.channels for where in channels.axes}
    kept = {
        (name, axis)
        for name, tensor in network.state_dict().items()
        for axis in range(tensor.ndim)
        if (name, axis) not in free
    }
    weights = [name for name, tensor in network.named_parameters() if tensor.ndim > 1]
    kernels = {(name, axis) for name in weights for axis in (2, 3) if network.state_dict()[name].ndim == 4}
    head = weights[-1].removesuffix(".weight")
    classes = {(name, 0) for name in (f"{head}.weight", f"{head}.bias") if name in network.state_dict()}
    assert kept == {*kernels, *classes, (weights[0], 1)}


@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_left_as_it_was_and_may_have_no_memory(training):
    network = family("wide_resnet", {"depth": 10}, 2).train(training)
    network.bn.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = symmetries(network, TASK)
    assert network.training is training
    assert not network.bn.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert symmetries(describe("wide_resnet", 2, TASK, options={"depth": 10}), TASK) == found


def test_a_family_of_another_package_needs_no_second_file(install):
    install("elsewhere", families={"perceptron": PERCEPTRON.read_text()})
    network = family("perceptron", {}, 2)
    found = assert_logits_stay(network)
    assert [(channels.size, len(channels.axes)) for channels in found.channels] == [(16, 7)]


class Net(nn.Module):
    """Layers by name, and what is done with them."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.does = forward

    def forward(self, x):
        return self.does(self, x)


def conv(c_in, c_out, kernel=3, **options):
    return Conv2d(c_in, c_out, kernel, members=1, **options)


def linear(c_in, c_out):
    return Linear(c_in, c_out, members=1)


def tied():
    first, second = linear(4, 4), linear(4, 4)
    second.weight = first.weight
    return Net(
        lambda n, x: n.head(F.relu(n.second(F.relu(n.first(n.stem(x.mean((2, 3)))))))),
        stem=linear(2, 4), first=first, second=second, head=linear(4, 5),
    )  # fmt: skip


def scaled(scale, persistent=True):
    network = Net(
        lambda n, x: n.head((n.conv(x) * n.scale[:, None, None]).amax((2, 3))),
        conv=conv(2, 4),
        head=linear(4, 5),
    )
    if isinstance(scale, nn.Parameter):
        network.scale = scale
    else:
        network.register_buffer("scale", scale, persistent)
    return network


# What operations do to channels, and the sizes of the groups that are left.
NETWORKS = {
    "a flattened map": (
        lambda: nn.Sequential(conv(2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear(48, 5)),
        [3],
    ),
    "a map pooled to fewer pixels": (
        lambda: nn.Sequential(
            conv(2, 3), nn.AdaptiveAvgPool2d(4), nn.AdaptiveMaxPool2d(2), nn.Flatten(), linear(12, 5)
        ),
        [3],
    ),
    "channels last, then flattened": (
        lambda: Net(
            lambda n, x: n.head(n.conv(x).permute(0, 2, 3, 1).flatten(1)),
            conv=conv(2, 3), head=linear(192, 5),
        ),
        [3],
    ),
    "each channel's rows as features": (
        lambda: Net(
            lambda n, x: n.head(n.row(n.conv(x).transpose(1, 3).mean(1)).relu().flatten(1)),
            conv=conv(2, 3), row=nn.Linear(3, 4), head=linear(32, 5),
        ),
        [3, 4],
    ),
    "both axes in the residual stream": (
        lambda: Net(
            lambda n, x: n.head((n.stem(x) + n.conv(F.relu(n.stem(x)))).mean((2, 3))),
            stem=conv(2, 4), conv=conv(4, 4), head=linear(4, 5),
        ),
        [4],
    ),
    "a gate": (
        lambda: Net(
            lambda n, x: n.head((n.conv(x) * n.gate(x.mean((2, 3))).sigmoid()[..., None, None]).sum((2, 3))),
            conv=conv(2, 4), gate=linear(2, 4), head=linear(4, 5),
        ),
        [4],
    ),
    "products of channels": (
        lambda: Net(
            lambda n, x: n.head((n.one(x[..., 0, 0])[..., None] * n.two(x[..., 1, 1])[:, None]).flatten(1)),
            one=linear(2, 3), two=linear(2, 4), head=linear(12, 5),
        ),
        [3, 4],
    ),
    "a sum over channels": (
        lambda: Net(lambda n, x: n.head(n.conv(x).sum(1).flatten(1)), conv=conv(2, 4), head=linear(64, 5)),
        [4],
    ),
    "a convolution across channels": (
        lambda: Net(
            lambda n, x: n.head(n.across(n.conv(x).transpose(1, 3)).flatten(1)),
            conv=conv(2, 4), across=conv(8, 3), head=linear(96, 5),
        ),
        [3],
    ),
    "pooling across channels": (
        lambda: Net(
            lambda n, x: n.head(F.max_pool2d(n.conv(x).transpose(1, 3), 2).flatten(1)),
            conv=conv(2, 4), head=linear(64, 5),
        ),
        [],
    ),
    "one weight, two layers": (tied, [4]),
    "a scale that is trained": (lambda: scaled(nn.Parameter(torch.ones(4))), [4]),
    "a scale that is stored": (lambda: scaled(torch.arange(4.0)), [4]),
    "a scale that is no part of the state": (lambda: scaled(torch.arange(4.0), persistent=False), []),
    "a constant": (
        lambda: Net(
            lambda n, x: n.head(n.conv(x).mean((2, 3)) + torch.arange(4, device=x.device)),
            conv=conv(2, 4), head=linear(4, 5),
        ),
        [],
    ),
    "positions that are cut": (
        lambda: Net(
            lambda n, x: n.head(n.conv(x)[:, :, 1:5, ::2][..., 0].flatten(1)),
            conv=conv(2, 3, stride=1), head=linear(12, 5),
        ),
        [3],
    ),
    "a strided 1x1 convolution": (
        lambda: nn.Sequential(
            conv(2, 3), nn.AvgPool2d(2), conv(3, 4, 1, stride=2), nn.Flatten(), linear(16, 5)
        ),
        [3, 4],
    ),
    "an offset that is spread": (
        lambda: Net(
            lambda n, x: n.head(n.bias.expand(len(x), -1) * x.mean((1, 2, 3)).unsqueeze(1)),
            bias=nn.Parameter(torch.ones(1, 4)), head=linear(4, 5),
        ),
        [4],
    ),
    "a layer that is not used": (
        lambda: Net(lambda n, x: n.head(x.mean((2, 3))), head=linear(2, 5), other=linear(4, 4)), []
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NETWORKS)
def test_operations_take_channels_along(what):
    make, sizes = NETWORKS[what]
    found = assert_logits_stay(make().double())
    assert [channels.size for channels in found.channels] == sizes


def test_a_flattened_map_has_as_many_inputs_a_channel_as_pixels():
    (channels,) = symmetries(NETWORKS["a flattened map"][0](), TASK).channels
    assert channels.axes[-1] == ChannelAxis("4.weight", 1, 16)
    (channels,) = symmetries(NETWORKS["channels last, then flattened"][0](), TASK).channels
    assert channels.axes[-1] == ChannelAxis("head.weight", 1, 1)


def test_dropout_draws_no_part_in_it():
    network = nn.Sequential(conv(2, 4), Dropout(members=1), nn.Dropout(0.5), nn.Flatten(), linear(256, 5))
    network[1].rate = 0.5
    assert [channels.size for channels in symmetries(network.train(), TASK).channels] == [4]


REFUSED = {
    "module '1' (GroupNorm) applies 'native_group_norm'": lambda: nn.Sequential(
        conv(2, 4), nn.GroupNorm(2, 4), nn.Flatten(), linear(256, 5)
    ),
    "module '1' (Conv2d) applies 'convolution' to channels, and it has 2 groups": lambda: nn.Sequential(
        conv(2, 4), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), linear(144, 5)
    ),
    "module '1' (ConvTranspose2d) applies 'convolution' to channels, and it is transposed": lambda: (
        nn.Sequential(conv(2, 4), nn.ConvTranspose2d(4, 4, 3), nn.Flatten(), linear(400, 5))
    ),
    "the network applies 'slice' to channels, and it takes some channels": lambda: Net(
        lambda n, x: n.head(n.conv(x)[:, :2].flatten(1)), conv=conv(2, 4), head=linear(128, 5)
    ),
    "the network applies 'view' to channels, and it makes (2, 2, 128) of (2, 4, 8, 8)": lambda: Net(
        lambda n, x: n.head(n.conv(x).view(len(x), 2, 128).mean(1)), conv=conv(2, 4), head=linear(128, 5)
    ),
    "the network applies 'cat' to channels": lambda: Net(
        lambda n, x: n.head(torch.cat([n.conv(x), x], 1).flatten(1)), conv=conv(2, 4), head=linear(384, 5)
    ),
    "the network applies 'rand_like' to channels": lambda: Net(
        lambda n, x: n.head((n.conv(x) + torch.rand_like(n.conv(x))).flatten(1)),
        conv=conv(2, 4), head=linear(256, 5),
    ),
    "the network applies 'add' to channels": lambda: Net(
        lambda n, x: n.head(torch.add(n.conv(x), 1, out=torch.empty_like(x).repeat(1, 2, 1, 1)).flatten(1)),
        conv=conv(2, 4), head=linear(256, 5),
    ),
    "the network does not run on inputs of shape (2, 2, 8, 8) without memory": lambda: Net(
        lambda n, x: n.head(x.flatten(1)) if x.mean() > 0 else n.head(-x.flatten(1)), head=linear(128, 5)
    ),
    "the network gives a tuple, not a tensor of logits": lambda: Net(
        lambda n, x: (n.head(x.flatten(1)), 0), head=linear(128, 5)
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_understood_is_refused_and_its_module_named(message):
    with pytest.raises(SymmetryError) as error:
        symmetries(REFUSED[message](), TASK)
    assert message in str(error.value)


def test_a_network_for_other_images_does_not_run():
    with pytest.raises(SymmetryError, match=r"inputs of shape \(2, 3, 8, 8\)"):
        symmetries(describe("convnet", 2, Task(5, 2, 8)), Task(5, 3, 8))


def convnet(width, seed=0):
    network = family("convnet", {}, width, seed=seed)
    return network.state_dict(), symmetries(network, TASK)


def test_weights_of_another_network_are_refused_and_both_shapes_named():
    state, found = convnet(2)
    wider, _ = convnet(3)
    orders = random_orders(found)
    with pytest.raises(SymmetryError, match=r"shape \(3, 2, 3, 3\), and the network's has \(2, 2, 3, 3\)"):
        permute(wider, found, orders)
    with pytest.raises(SymmetryError, match=r"it lacks head\.bias and has tail, which the network lacks\."):
        permute(
            {**{k: v for k, v in state.items() if k != "head.bias"}, "tail": state["head.bias"]},
            found,
            orders,
        )


def test_orders_that_are_not_of_these_channels_are_refused():
    state, found = convnet(2)
    first, *others = random_orders(found)
    with pytest.raises(SymmetryError, match="3 orders are given for a network with 4 groups"):
        permute(state, found, others)
    with pytest.raises(
        SymmetryError, match=r"of 2 channels must have each of 0 to 1 once: \[1, 1\] does not"
    ):
        permute(state, found, [np.ones_like(first), *others])


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.data())
@settings(max_examples=50, deadline=None)
def test_an_order_is_applied_position_by_position(outer, size, inner, axis, data):
    order = np.array(data.draw(st.permutations(range(size))))
    shape = [2, 3, 2]
    shape[axis] = outer * size * inner
    values = np.arange(math.prod(shape)).reshape(shape)
    where = ChannelAxis("x", axis, inner)
    found = Symmetries((Channels(size, (where,)),), {"x": tuple(shape)}, ("x",))
    (moved,) = permute({"x": values}, found, [order]).values()
    (as_tensor,) = permute({"x": torch.from_numpy(values)}, found, [order]).values()
    assert np.array_equal(as_tensor.numpy(), moved)
    for position in range(shape[axis]):
        block, rest = divmod(position, size * inner)
        channel, pixel = divmod(rest, inner)
        from_there = (block * size + order[channel]) * inner + pixel
        assert np.array_equal(moved.take(position, axis), values.take(from_there, axis))


def positions(axis, orders):
    """The order of an axis' positions when its channels are put in theirs."""
    grid = np.arange(math.prod(factor.size for factor in axis)).reshape([factor.size for factor in axis])
    for dim, factor in enumerate(axis):
        if factor.key is not None:
            grid = grid.take(orders[factor.key], dim)
    return grid.ravel()


@st.composite
def tied_axes(draw):
    """Pairs of axes of 12 positions, made of channels of several sizes and of fixed positions."""
    ties = Ties()
    pool = [ties.fresh(size)[0] for size in (2, 2, 3, 4, 6, 12, 12) for _ in range(2)]
    pool += [Factor(size) for size in (2, 3, 4, 6, 12)]

    def axis():
        factors, left = [], 12
        while left > 1:
            factors.append(draw(st.sampled_from([one for one in pool if left % one.size == 0])))
            left //= factors[-1].size
        return tuple(factors)

    return ties, [(axis(), axis()) for _ in range(draw(st.integers(1, 6)))]


@given(tied_axes(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_axes_that_are_tied_have_one_order_of_positions(made, seed):
    ties, pairs = made
    for one, other in pairs:
        ties.tie(one, other)
    resolved = [(ties.resolve(one), ties.resolve(other)) for one, other in pairs]
    rng = np.random.default_rng(seed)
    factors = {factor for pair in resolved for axis in pair for factor in axis}
    orders = {key: rng.permutation(size) for size, key in factors if key is not None}
    for one, other in resolved:
        assert np.array_equal(positions(one, orders), positions(other, orders))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=8), st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_channels_stay_apart_unless_something_ties_them(pairs, pinned):
    ties = Ties()
    axes = [ties.fresh(3) for _ in range(8)]
    reached = np.eye(8, dtype=bool)
    for one, other in pairs:
        ties.tie(axes[one], axes[other])
        reached[one, other] = reached[other, one] = True
    ties.tie(axes[pinned], (Factor(3),))
    reached = np.linalg.matrix_power(reached.astype(int), 8) > 0
    for one in range(8):
        assert ties.free(axes[one]) is not bool(reached[one, pinned])
        for other in range(8):
            same = ties.resolve(axes[one]) == ties.resolve(axes[other])
            assert same is bool(reached[one, other] or (reached[one, pinned] and reached[other, pinned]))
