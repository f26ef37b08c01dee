"""What a family says is scale-invariant is, what it does not say is not, and the counts are the papers'."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from ensembudget.catalog import FAMILIES
from ensembudget.families._build import describe, materialise
from ensembudget.families._invariance import DEGREES, FILTER, HEAD_NORM, invariant_of
from ensembudget.records import Task

TASK = Task(5, 2, 16)
BUILT = {
    "vgg": {"depth": 11, "batch_norm": True},
    "wide_resnet": {"depth": 16},
    "convnet": {},
    "resnet18": {},
}
VARIANTS = [(family, {**options, "invariance": d}) for family, options in BUILT.items() for d in DEGREES]
PLAIN = [("vgg", {"depth": 11, "batch_norm": True}), ("wide_resnet", {"depth": 16})]
cases = pytest.mark.parametrize(
    ("family", "options"), [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in (*VARIANTS, *PLAIN)]
)


def make(family, options, members=1, dtype=torch.float64):
    """A network in training mode whose batch norm has next to no eps, which alone is not invariant."""
    network = describe(family, 3, TASK, members=members, options=options)
    materialise(network, [Generator().manual_seed(i) for i in range(members)])
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eps = 1e-12
    return network.to(dtype).train()


@pytest.fixture(scope="module")
def images():
    return torch.randn(12, 2, 16, 16, generator=Generator().manual_seed(3), dtype=torch.float64)


def test_every_family_that_can_be_invariant_is_tried_here():
    assert {name for name in FAMILIES if "invariance" in FAMILIES[name].choices} == set(BUILT)


@cases
def test_scaling_all_invariant_tensors_by_seven_leaves_the_logits(family, options, images):
    network = make(family, options)
    before = network(images)
    with torch.no_grad():
        for tensor in invariant_of(network).tensors:
            tensor.mul_(7)
    torch.testing.assert_close(network(images), before, rtol=1e-6, atol=1e-6)


@cases
def test_every_group_can_be_scaled_by_a_factor_of_its_own_and_every_filter_too(family, options, images):
    network = make(family, options)
    before, invariant = network(images), invariant_of(network)
    factors, random = {}, Generator().manual_seed(0)
    with torch.no_grad():
        for group, tensor in zip(invariant.groups, invariant.tensors, strict=True):
            shape = (len(tensor), *[1] * (tensor.ndim - 1)) if group == FILTER else ()
            own = torch.rand(shape, generator=random, dtype=torch.float64) * 5 + 0.2
            tensor.mul_(own if group == FILTER else factors.setdefault(group, own))
    torch.testing.assert_close(network(images), before, rtol=1e-6, atol=1e-6)


def logits_move(network, tensor, images):
    """How far the logits go when one tensor is scaled by seven."""
    before = network(images)
    with torch.no_grad():
        tensor.mul_(7)
        moved = float((network(images) - before).abs().max())
        tensor.div_(7)
    return moved


@pytest.mark.parametrize(("family", "options"), [v for v in VARIANTS if v[0] in ("wide_resnet", "resnet18")])
def test_a_tensor_of_a_group_cannot_be_scaled_alone(family, options, images):
    network = make(family, options)
    invariant = invariant_of(network)
    shared = [g for g in set(invariant.groups) - {FILTER} if invariant.groups.count(g) > 1]
    assert len(shared) >= 3
    for group in shared:
        assert logits_move(network, invariant.tensors[invariant.groups.index(group)], images) > 1e-3, group


@cases
def test_a_weight_that_is_not_declared_does_change_the_logits(family, options, images):
    network = make(family, options)
    declared = {id(t) for t in invariant_of(network).tensors}
    others = {n: p for n, p in network.named_parameters() if p.ndim > 1 and id(p) not in declared}
    assert others  # the last layer at least
    for name, parameter in others.items():
        assert logits_move(network, parameter, images) > 1e-3, name


@cases
def test_the_gradient_stands_at_right_angles_to_the_invariant_weights(family, options, images):
    network = make(family, options)
    F.cross_entropy(network(images), torch.arange(12) % 5).backward()
    invariant = invariant_of(network)
    along = invariant.dots(invariant.tensors, invariant.gradients)
    size = (invariant.squares(invariant.tensors) * invariant.squares(invariant.gradients)).sqrt()
    assert along.sum().abs() < 1e-6 * size.sum()


def test_a_network_without_batch_norm_has_no_invariant_weights():
    assert invariant_of(describe("vgg", 3, TASK, options={"depth": 11})).names == ()


@pytest.mark.parametrize(("family", "options"), [v for v in VARIANTS if v[1]["invariance"] == "full"])
def test_of_a_fully_invariant_network_nothing_else_is_trained(family, options):
    network = make(family, options, members=3)
    declared = {id(t) for t in invariant_of(network, 3).tensors}
    trained = [p for p in network.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == declared
    (weight,) = [p for p in network.parameters() if p.ndim > 1 and not p.requires_grad]
    assert [float(one.norm()) for one in weight.chunk(3)] == pytest.approx([HEAD_NORM] * 3, rel=1e-5)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("k", [1, 4, 8, 16, 32, 45, 64])
def test_convnet_and_resnet18_have_the_papers_invariant_parameters(k, degree):
    for family, square in (("convnet", 378), ("resnet18", 2724)):
        network = describe(family, k, Task(10, 3, 32), options={"invariance": degree})
        assert invariant_of(network).parameters == 27 * k + square * k**2


def test_the_papers_widths_have_the_papers_counts():
    assert invariant_of(describe("convnet", 32, Task(10, 3, 32))).parameters == 387_936
    assert invariant_of(describe("resnet18", 32, Task(10, 3, 32))).parameters == 2_790_240


@cases
def test_sums_over_a_pack_are_those_of_its_members(family, options):
    packed = make(family, options, members=3)
    found = invariant_of(packed, 3)
    with torch.no_grad():
        squares = found.squares(found.tensors)
        dots = found.dots(found.tensors, [2 * tensor for tensor in found.tensors])
    assert squares.shape == dots.shape == (len(found.names), 3)
    for (i, tensor), member in itertools.product(enumerate(found.tensors), range(3)):
        expected = float(tensor.detach().chunk(3)[member].square().sum())
        assert float(squares[i, member]) == pytest.approx(expected)
        assert float(dots[i, member]) == pytest.approx(2 * expected)
