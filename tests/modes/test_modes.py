"""Modes: a step on a sphere is the papers', norms stay, members are alone, and what cannot be is said."""

import dataclasses
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Generator

from ensembudget.catalog import MODES
from ensembudget.families._build import describe, materialise
from ensembudget.families._invariance import DEGREES, invariant_of
from ensembudget.packing.network import build_network
from ensembudget.records import Recipe, Recording, Run, Task
from ensembudget.stepping.step import train_batch
from ensembudget.training.loop import train

TASK = Task(4, 1, 8)
SPHERES = ("sphere", "sphere_filters")
BUILT = {
    "convnet": {},
    "resnet18": {},
    "wide_resnet": {"depth": 10},
    "vgg": {"depth": 11, "batch_norm": True},
}
EVERY = [
    pytest.param(family, {**options, "invariance": degree}, id=f"{family}-{degree}")
    for family, options in BUILT.items()
    for degree in DEGREES
]
# Families whose filters are each invariant alone; wide_resnet where some of its weights are invariant.
FILTERS = [
    pytest.param("convnet", {"invariance": "full"}, id="convnet-full"),
    pytest.param("convnet", {"invariance": "practical"}, id="convnet-practical"),
    pytest.param("vgg", {"depth": 11, "batch_norm": True, "invariance": "full"}, id="vgg-full"),
    pytest.param("vgg", {"depth": 11, "batch_norm": True}, id="vgg"),
    pytest.param("wide_resnet", {"depth": 10}, id="wide_resnet"),
]
MEMBERS = 2


def recipe_of(**changes):
    fields = {"epochs": 1, "learning_rate": 0.03, "weight_decay": 0.0, "momentum": 0.0}
    return Recipe(**{**fields, "effective_learning_rate": 0.02, **changes})


def packed(family, options, *, width=2, members=MEMBERS, eps=None, factor=1.0):
    """A float64 network in training mode, its invariant weights scaled by a factor."""
    network = describe(family, width, TASK, members=members, options=options)
    materialise(network, [Generator().manual_seed(i) for i in range(members)]).double().train()
    for module in network.modules():
        if eps is not None and isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eps = eps
    with torch.no_grad():
        for tensor in invariant_of(network, members).tensors:
            tensor.mul_(factor)
    return network


def batches_of(count, members=MEMBERS):
    random = Generator().manual_seed(9)
    return [
        (
            torch.randn(12, members, 8, 8, dtype=torch.float64, generator=random),
            torch.randint(4, (members, 12), generator=random),
        )
        for _ in range(count)
    ]


def trained_by(mode, network, batches, members=MEMBERS, **changes):
    """The network after these steps of a mode, and its optimiser."""
    optimizer = MODES[mode].optimizer(network, recipe_of(**changes), invariant_of(network, members))
    for batch in batches:
        train_batch(network, optimizer, *batch)
    return optimizer


def arrays_of(network):
    """Trained tensors by name, (member, ...), in NumPy."""
    return {
        name: np.stack([one.detach().numpy().copy() for one in tensor.chunk(MEMBERS)])
        for name, tensor in network.named_parameters()
    }


def gradients_of(network, weights, images, labels):
    """By autograd at given weights, nothing of the trainer: zeros for what is frozen."""
    leaves = {k: torch.from_numpy(w).flatten(0, 1).requires_grad_() for k, w in weights.items()}
    fixed = {k: v.clone() for k, v in network.named_buffers()}
    logits = torch.func.functional_call(network, (leaves, fixed), images).reshape(12, MEMBERS, 4)
    loss = sum(F.cross_entropy(logits[:, i], labels[i]) for i in range(MEMBERS))
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    found = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    return {
        name: np.zeros_like(weights[name])
        if name in frozen
        else gradient.unflatten(0, (MEMBERS, -1)).numpy().copy()
        for name, gradient in found.items()
    }


def history_of(result, name="epochs"):
    columns = pq.read_table(result.history / f"{name}.parquet").to_pydict()
    return {name: np.array(column) for name, column in columns.items()}


def norms(result):
    """Of single tensors, (tensor, epoch)."""
    return np.stack([column for name, column in history_of(result).items() if name.startswith("norm/")])


# One step.


@pytest.mark.parametrize("mode", list(MODES))
def test_a_modes_norm_is_what_it_says(mode):
    """Fixed: steps leave it. Free: gradients at right angles raise it, weight decay lowers it."""

    def change(**recipe):
        network = packed("convnet", {"invariance": "full"})
        before = invariant_of(network, MEMBERS).squares(invariant_of(network, MEMBERS).tensors).sum(0)
        trained_by(mode, network, batches_of(3), **recipe)
        after = invariant_of(network, MEMBERS).squares(invariant_of(network, MEMBERS).tensors).sum(0)
        return (after / before).log().tolist()

    if MODES[mode].norm == "fixed":
        assert change() == pytest.approx([0, 0], abs=1e-12)
    else:
        assert all(one > 0 for one in change(effective_learning_rate=None))
        assert all(one < 0 for one in change(effective_learning_rate=None, weight_decay=10.0))


@pytest.mark.parametrize(("family", "options"), EVERY)
def test_steps_on_the_sphere_are_the_papers(family, options):
    """w - ELR rho0^2 g for the invariant tensors, then one factor for all; w - lr g for the others."""
    network, batches = packed(family, options), batches_of(3)
    weights = arrays_of(network)
    inside = invariant_of(network, MEMBERS).names
    start = [np.sqrt(sum((weights[n][i] ** 2).sum() for n in inside)) for i in range(MEMBERS)]
    trained_by("sphere", network, batches, effective_learning_rate=0.02, learning_rate=0.03)

    for images, labels in batches:
        gradients = gradients_of(network, weights, images, labels)
        for i in range(MEMBERS):
            for name in weights:
                rate = 0.02 * start[i] ** 2 if name in inside else 0.03
                weights[name][i] -= rate * gradients[name][i]
            now = np.sqrt(sum((weights[n][i] ** 2).sum() for n in inside))
            for name in inside:
                weights[name][i] *= start[i] / now
    for name, tensor in arrays_of(network).items():
        np.testing.assert_allclose(tensor, weights[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(("family", "options"), FILTERS)
def test_steps_on_the_spheres_of_filters_are_each_filters_own(family, options):
    network, batches = packed(family, options), batches_of(3)
    weights = arrays_of(network)
    inside = invariant_of(network, MEMBERS).names
    start = {n: np.sqrt((weights[n] ** 2).sum(tuple(range(2, weights[n].ndim)))) for n in inside}
    trained_by("sphere_filters", network, batches, effective_learning_rate=0.02, learning_rate=0.03)

    for images, labels in batches:
        gradients = gradients_of(network, weights, images, labels)
        for name in weights:
            if name not in inside:
                weights[name] -= 0.03 * gradients[name]
                continue
            for i, j in np.ndindex(start[name].shape):
                moved = weights[name][i, j] - 0.02 * start[name][i, j] ** 2 * gradients[name][i, j]
                weights[name][i, j] = moved * (start[name][i, j] / np.linalg.norm(moved))
    for name, tensor in arrays_of(network).items():
        np.testing.assert_allclose(tensor, weights[name], rtol=1e-9, atol=1e-11, err_msg=name)


def fix_all_elr(network, batches, rate, plain):
    """The official rule: all filters at rho / sqrt(F), steps of rate x rho^2, and filters scaled back."""
    filters = invariant_of(network).tensors
    others = [p for p in network.parameters() if p.requires_grad and all(p is not t for t in filters)]
    squared = sum(float(tensor.detach().square().sum()) for tensor in filters)
    common = (squared / sum(map(len, filters))) ** 0.5
    for batch in [None, *batches]:
        if batch:
            network.zero_grad()
            F.cross_entropy(network(batch[0]).reshape(12, 4), batch[1][0]).backward()
        with torch.no_grad():
            for tensor in others if batch else ():
                tensor.sub_(plain * tensor.grad)
            for tensor in filters:
                moved = tensor - rate * squared * tensor.grad if batch else tensor
                tensor.copy_(common * F.normalize(moved.flatten(1), dim=1).view_as(tensor))


@pytest.mark.parametrize("steps", [1, 2, 6])
@pytest.mark.parametrize(("family", "options"), FILTERS)
def test_the_papers_rate_of_filters_is_ours_divided_by_their_number(family, options, steps):
    ours, theirs = (packed(family, options, members=1, eps=1e-18) for _ in range(2))
    batches, rate = batches_of(steps, members=1), 2e-3
    count = sum(map(len, invariant_of(ours).tensors))
    trained_by("sphere_filters", ours, batches, 1, effective_learning_rate=rate * count, learning_rate=0.03)
    fix_all_elr(theirs, batches, rate, plain=0.03)
    filters = {id(tensor) for tensor in invariant_of(ours).tensors}
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        if id(one) in filters:
            one, other = (F.normalize(tensor.flatten(1), dim=1) for tensor in (one, other))
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_at_one_rate_the_papers_filters_turn_by_a_tangent_sixty_times_ours():
    """A convnet of width 4 has 4 + 8 + 16 + 32 filters."""
    networks = [packed("convnet", {"invariance": "full"}, width=4, members=1, eps=1e-18) for _ in range(3)]
    _, ours, theirs = networks
    batches = batches_of(1, members=1)
    trained_by("sphere_filters", ours, batches, 1, effective_learning_rate=1e-3)
    fix_all_elr(theirs, batches, 1e-3, plain=0.03)
    start, one, other = (
        [F.normalize(tensor.detach().flatten(1), dim=1) for tensor in invariant_of(network).tensors]
        for network in networks
    )
    for was, mine, papers in zip(start, one, other, strict=True):
        tangents = [((now / (now * was).sum(1, keepdim=True)) - was).norm(dim=1) for now in (mine, papers)]
        torch.testing.assert_close(tangents[1], 60 * tangents[0], rtol=1e-6, atol=0)


@pytest.mark.parametrize(("family", "options"), FILTERS)
def test_every_filter_keeps_its_norm(family, options):
    network = packed(family, options)
    tensors = invariant_of(network, MEMBERS).tensors
    before = [tensor.detach().clone() for tensor in tensors]
    trained_by("sphere_filters", network, batches_of(8), effective_learning_rate=0.1)
    for was, tensor in zip(before, tensors, strict=True):
        torch.testing.assert_close(
            tensor.flatten(1).norm(dim=1), was.flatten(1).norm(dim=1), rtol=1e-12, atol=0
        )
        assert (tensor - was).abs().max() > 1e-3


def test_on_the_common_sphere_filters_do_not_keep_their_norms():
    network = packed("convnet", {"invariance": "full"})
    (first, *_) = invariant_of(network, MEMBERS).tensors
    before = first.detach().flatten(1).norm(dim=1)
    trained_by("sphere", network, batches_of(8), effective_learning_rate=0.1)
    assert ((first.detach().flatten(1).norm(dim=1) / before - 1).abs() > 1e-3).all()


@pytest.mark.parametrize(("family", "options"), EVERY)
def test_the_scale_of_the_initial_weights_does_not_matter_on_the_sphere(family, options):
    small, large = (packed(family, options, eps=1e-16, factor=factor) for factor in (1, 7))
    for network in (small, large):
        trained_by("sphere", network, batches_of(3))
    inside = {id(tensor) for tensor in invariant_of(large, MEMBERS).tensors}
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        scaled = 7 * one if id(other) in inside else one
        torch.testing.assert_close(other, scaled, rtol=1e-6, atol=1e-8)


def test_the_scale_of_every_filter_does_not_matter_on_its_sphere():
    plain, scaled = (packed("convnet", {"invariance": "full"}, eps=1e-16) for _ in range(2))
    tensors, random = invariant_of(scaled, MEMBERS).tensors, Generator().manual_seed(1)
    factors = [torch.rand(len(t), 1, 1, 1, dtype=torch.float64, generator=random) * 5 + 0.2 for t in tensors]
    with torch.no_grad():
        for tensor, factor in zip(tensors, factors, strict=True):
            tensor.mul_(factor)
    for network in (plain, scaled):
        trained_by("sphere_filters", network, batches_of(6))
    for one, other, factor in zip(invariant_of(plain, MEMBERS).tensors, tensors, factors, strict=True):
        torch.testing.assert_close(other, one * factor, rtol=1e-6, atol=1e-8)


def test_a_conventional_step_is_not_the_same_at_every_scale():
    small, large = (packed("convnet", {"invariance": "full"}, eps=1e-16, factor=factor) for factor in (1, 7))
    for network in (small, large):
        trained_by("bn_wd", network, batches_of(2), effective_learning_rate=None)
    (one, *_), (other, *_) = small.parameters(), large.parameters()
    assert (other / 7 - one).abs().max() > 1e-3


def test_a_frozen_last_layer_stays():
    network = packed("convnet", {"invariance": "full"})
    was = network.head.weight.detach().clone()
    optimizer = trained_by("sphere", network, batches_of(3))
    assert torch.equal(network.head.weight, was)
    assert len(optimizer.param_groups) == 1


def test_the_first_group_is_that_of_the_invariant_weights():
    network = packed("vgg", {"depth": 11, "batch_norm": True})
    recipe, invariant = recipe_of(), invariant_of(network, MEMBERS)
    sphere, plain = MODES["sphere"].optimizer(network, recipe, invariant).param_groups
    assert {id(p) for p in sphere["params"]} == {id(p) for p in invariant.tensors}
    assert sphere["lr"] == 0.02
    assert {id(p) for group in (sphere, plain) for p in group["params"]} == {
        id(p) for p in network.parameters()
    }
    assert plain["lr"] == 0.03


def test_effective_rates_are_the_spheres_own_or_follow_the_norm():
    squared = torch.tensor([4.0, 0.25])
    for mode in SPHERES:
        assert MODES[mode].effective(0.5, squared).tolist() == [0.5, 0.5]
    assert MODES["bn_wd"].effective(0.5, squared).tolist() == [0.125, 2.0]


# Whole runs.


SPHERE_RECIPE = {
    "effective_learning_rate": 0.02,
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "momentum": 0.0,
    "schedule": "constant",
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("family", ["convnet", "resnet18", "wide_resnet"])
def test_the_norm_of_the_invariant_weights_stays_and_those_of_tensors_drift(
    make_cell, digits, tmp_path, family, degree, precision
):
    cell = make_cell(
        family=family, options={**BUILT[family], "invariance": degree}, width=2, mode="sphere", epochs=5,
        precision=precision, record=Recording(test_size=0), **SPHERE_RECIPE,
    )  # fmt: skip
    for result in train([Run(cell=cell, seed=seed) for seed in (0, 1)], digits, histories=tmp_path):
        history = history_of(result)
        network = build_network([result.run], digits.task, torch.device("cpu"))
        start = np.sqrt(sum(float(t.detach().square().sum()) for t in invariant_of(network).tensors))
        np.testing.assert_allclose(history["norm"], start, rtol=1e-5)
        drift = np.ptp(norms(result), axis=1) / norms(result)[:, 0]
        assert drift.max() > 1e-2
        np.testing.assert_allclose((norms(result) ** 2).sum(0), history["norm"] ** 2, rtol=1e-5)
        np.testing.assert_allclose(history["effective_learning_rate"], 0.02, rtol=1e-6)
        assert history["cosine_to_start"][-1] < 0.99


def test_on_spheres_of_filters_no_tensors_norm_drifts(make_cell, digits, tmp_path):
    cell = make_cell(
        family="convnet", options={"invariance": "full"}, mode="sphere_filters", epochs=5,
        record=Recording(test_size=0), **SPHERE_RECIPE,
    )  # fmt: skip
    (result,) = train([Run(cell=cell, seed=0)], digits, histories=tmp_path)
    found = norms(result)
    np.testing.assert_allclose(found, found[:, :1].repeat(5, 1), rtol=1e-5)
    assert history_of(result)["cosine_to_start"][-1] < 0.99


PACKS = [
    pytest.param("sphere", "convnet", {"invariance": "full"}, id="sphere-convnet-full"),
    pytest.param("sphere", "convnet", {"invariance": "practical"}, id="sphere-convnet-practical"),
    pytest.param("sphere", "resnet18", {"invariance": "full"}, id="sphere-resnet18-full"),
    pytest.param("sphere", "wide_resnet", {"depth": 10, "invariance": "practical"}, id="sphere-wide_resnet"),
    pytest.param("sphere", "vgg", {"depth": 11, "batch_norm": True}, id="sphere-vgg"),
    pytest.param("sphere_filters", "convnet", {"invariance": "full"}, id="sphere_filters-convnet-full"),
    pytest.param(
        "sphere_filters", "convnet", {"invariance": "practical"}, id="sphere_filters-convnet-practical"
    ),
    pytest.param("sphere_filters", "vgg", {"depth": 11, "batch_norm": True}, id="sphere_filters-vgg"),
]


@pytest.mark.parametrize(("mode", "family", "options"), PACKS)
def test_members_of_a_pack_train_as_alone(make_cell, digits, mode, family, options):
    changes = {**SPHERE_RECIPE, "effective_learning_rate": 2e-3, "precision": "float64"}
    cell = make_cell(family=family, options=options, width=2, mode=mode, **changes)
    runs = [Run(cell=cell, seed=seed) for seed in (4, 0, 1)]
    for run, together in zip(runs, train(runs, digits, keep_weights=True), strict=True):
        (alone,) = train([run], digits, keep_weights=True)
        assert together.weights.keys() == alone.weights.keys()
        for name, tensor in alone.weights.items():
            np.testing.assert_allclose(together.weights[name], tensor, rtol=1e-8, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(together.test_logits, alone.test_logits, rtol=1e-6, atol=1e-6)


# What cannot be trained so.


PLAIN_VGG = ("vgg", {"depth": 11})
CONVNET = ("convnet", {})
ON_SPHERES = [
    pytest.param(PLAIN_VGG, {}, "batch norm follows no layer.*batch_norm = true", id="no-batch-norm"),
    pytest.param(
        CONVNET, {"weight_decay": 1e-4}, r"recipe\.weight_decay = 0\.0001: .* 0,", id="weight-decay"
    ),
    pytest.param(CONVNET, {"momentum": 0.9}, r"recipe\.momentum = 0\.9: .*momentum = 0,", id="momentum"),
    pytest.param(CONVNET, {"effective_learning_rate": None}, r"needs recipe\.effective_l", id="no-rate"),
]
TOGETHER = [
    pytest.param(("resnet18", {}), r"12 of the 20 .*layers\.0\.weight.*mode 'sphere'", id="resnet18"),
    pytest.param(
        ("wide_resnet", {"depth": 10, "invariance": "full"}), "only together with others", id="wide_resnet"
    ),
]


def faults_of(mode, network, **changes):
    family, options = network
    invariant = invariant_of(describe(family, 2, TASK, options=options))
    return MODES[mode].faults(recipe_of(**changes), invariant)


@pytest.mark.parametrize("mode", SPHERES)
@pytest.mark.parametrize(("network", "changes", "sentence"), ON_SPHERES)
def test_what_cannot_be_trained_on_spheres_is_said(mode, network, changes, sentence):
    (found,) = faults_of(mode, network, **changes)
    assert re.search(sentence, found)
    assert found.endswith(".")


@pytest.mark.parametrize("mode", SPHERES)
def test_everything_that_is_wrong_is_said_at_once(mode):
    changes = {"weight_decay": 1e-3, "momentum": 0.9, "effective_learning_rate": None}
    assert len(faults_of(mode, PLAIN_VGG, **changes)) == 4


@pytest.mark.parametrize(("network", "sentence"), TOGETHER)
def test_filters_that_are_invariant_only_with_others_have_no_spheres_of_their_own(network, sentence):
    (found,) = faults_of("sphere_filters", network)
    assert re.search(sentence, found)
    assert faults_of("sphere", network) == []


def test_conventional_training_refuses_an_effective_rate():
    (found,) = faults_of("bn_wd", CONVNET)
    assert re.search(r"effective_learning_rate 0\.02 belongs to mode 'sphere'", found)


@pytest.mark.parametrize(("family", "options"), EVERY)
def test_what_a_mode_can_train_has_no_fault(family, options):
    network = (family, options)
    assert faults_of("sphere", network) == []
    assert (faults_of("sphere_filters", network) == []) == (family in ("convnet", "vgg"))
    conventional = {"effective_learning_rate": None, "weight_decay": 1e-3, "momentum": 0.9}
    assert faults_of("bn_wd", network, **conventional) == []


def test_conventional_training_needs_no_batch_norm():
    assert faults_of("bn_wd", PLAIN_VGG, effective_learning_rate=None) == []


# The schedule of two stages.


@pytest.mark.parametrize("mode", list(MODES))
def test_two_stages_multiply_every_rate_from_the_drop_on(make_cell, digits, tmp_path, plug_in, mode):
    changes = SPHERE_RECIPE | {"schedule": "two_stage", "drop_epoch": 3, "drop_factor": 0.1}
    if mode not in SPHERES:
        changes["effective_learning_rate"] = None
    cell = make_cell(
        family="convnet", options={}, mode="noted", epochs=5, record=Recording(steps=1), **changes
    )
    made, seen = [], []

    def noted(*args):
        made.append(MODES[mode].optimizer(*args))
        return made[-1]

    plug_in("modes", "noted", mode=dataclasses.replace(MODES[mode], optimizer=noted))
    (result,) = train(
        [Run(cell=cell, seed=0)], digits, histories=tmp_path,
        on_epoch=lambda epoch: seen.append([group["lr"] for group in made[0].param_groups]),
    )  # fmt: skip
    factors = np.array([1, 1, 1, 0.1, 0.1])
    rate = 0.02 if mode in SPHERES else 0.05
    np.testing.assert_allclose(history_of(result)["rate"], rate * factors, rtol=1e-6)
    np.testing.assert_allclose(history_of(result, "steps")["rate"], rate * factors.repeat(4), rtol=1e-6)
    wanted = [rate] if mode == "bn_wd" else [rate, 0.05]  # a group of invariant weights, or of decayed ones
    np.testing.assert_allclose(seen, np.outer(factors, wanted), rtol=1e-12)


TWO = {"schedule": "two_stage", "epochs": 6, "drop_epoch": 4, "drop_factor": 0.1}


def test_a_recipe_may_drop_at_its_last_epoch():
    assert recipe_of(**TWO | {"drop_epoch": 5}).drop_epoch == 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"drop_epoch": 6}, "longer than the run.*at most 5", id="drop-at-the-end"),
        pytest.param({"drop_epoch": 9}, "drops after epoch 9 of 6", id="drop-after-the-end"),
        pytest.param({"drop_epoch": None}, "needs drop_epoch and drop_factor", id="no-epoch"),
        pytest.param({"drop_factor": None}, "needs drop_epoch and drop_factor", id="no-factor"),
        pytest.param({"drop_epoch": None, "drop_factor": None}, "needs drop_epoch", id="neither"),
        pytest.param({"drop_epoch": 0}, "greater than 0", id="drop-before-the-start"),
        pytest.param({"drop_factor": 1.0}, "less than 1", id="no-drop"),
        pytest.param({"schedule": "constant"}, "belong to schedule 'two_stage'", id="constant"),
        pytest.param({"schedule": "cosine", "drop_factor": None}, "and this is 'cosine'", id="only-an-epoch"),
        pytest.param({"schedule": "cosine", "drop_epoch": None}, "and this is 'cosine'", id="only-a-factor"),
    ],
)
def test_a_recipe_refuses_stages_that_do_not_fit(changes, sentence):
    with pytest.raises(ValidationError, match=f"(?s){sentence}"):
        recipe_of(**TWO | changes)
