"""What every family keeps: counts without memory, any task, and members that never meet."""

import importlib
import itertools
import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from ensembudget.catalog import FAMILIES, TASKS
from ensembudget.errors import PlanError, UnknownPartError
from ensembudget.families._build import describe, materialise, member_state, resolve_options
from ensembudget.families._layers import set_dropout
from ensembudget.records import Task, TokenTask
from ensembudget.timm import timm_name

MEMBERS = 4
SMALL = Task(5, 2, 8)
SMALL_TASKS = {
    "images": SMALL,
    "text_classification": TokenTask("text_classification", classes=5, vocabulary=11, length=6),
    "language_model": TokenTask("language_model", classes=11, vocabulary=11, length=6),
    "translation": TokenTask("translation", classes=11, vocabulary=11, length=9, source=4),
}

# Options worth a run of their own; a family that is not listed runs on its defaults.
OPTIONS = {
    "vgg": [
        {"depth": 11},
        {"depth": 11, "batch_norm": True},
        {"depth": 11, "batch_norm": True, "invariance": "practical"},
        {"depth": 11, "batch_norm": True, "invariance": "full"},
        {"depth": 16},
    ],
    "wide_resnet": [
        {"depth": 10},
        {"depth": 16},
        {"depth": 10, "invariance": "practical"},
        {"depth": 10, "invariance": "full"},
    ],
    "convnet": [{}, {"invariance": "full"}],
    "resnet18": [{}, {"invariance": "full"}],
}
IMAGE_FAMILIES = [name for name in FAMILIES if "images" in FAMILIES[name].tasks]
CASES = [
    pytest.param(
        name, options, SMALL_TASKS[kind], id="-".join([name, *(f"{k}={v}" for k, v in options.items()), kind])
    )
    for name in FAMILIES
    for options in OPTIONS.get(name, [{}])
    for kind in sorted(FAMILIES[name].tasks)
]
every_family = pytest.mark.parametrize(("family", "options", "task"), CASES)
every_image_family = pytest.mark.parametrize(
    ("family", "options"),
    [(name, options) for name in IMAGE_FAMILIES for options in OPTIONS.get(name, [{}])],
    ids=str,
)


def count(network):
    return sum(p.numel() for p in network.parameters())


def generators(*seeds):
    return [Generator().manual_seed(seed) for seed in seeds]


def width_of(family, options, number=3):
    """The family's number-th narrowest width."""
    return number * FAMILIES[family].multiple_of(resolve_options(family, options))


def make(family, options, width=None, task=SMALL, seeds=(0,)):
    width = width or width_of(family, options)
    network = describe(family, width, task, members=len(seeds), options=options)
    return materialise(network, generators(*seeds))


def inputs_of(task, samples, members=1, seed=0):
    """Random inputs of a packed network, and one member's labels each, (member, sample, ...)."""
    generator = Generator().manual_seed(seed)
    drawn = [TASKS[task.kind].random(task, samples, generator) for _ in range(members)]
    labels = torch.stack([theirs for _, theirs in drawn])
    if task.kind != "images":
        return torch.cat([tokens for tokens, _ in drawn], 1).long(), labels
    shape = (samples, members * task.channels, task.image_size, task.image_size)
    return torch.randn(shape, generator=generator), labels


def loss_of(logits, labels):
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


@every_family
def test_the_count_without_memory_is_the_count_of_the_network(family, options, task):
    for number in (1, 2, 5):
        width = width_of(family, options, number)
        described = describe(family, width, task, options=options)
        assert all(t.is_meta for t in described.state_dict().values())
        real = make(family, options, width, task)
        assert count(described) == count(real)
        assert not any(t.is_meta for t in real.state_dict().values())


@every_family
def test_the_count_grows_with_width(family, options, task):
    widths = [width_of(family, options, number) for number in range(1, 24)]
    counts = [count(describe(family, width, task, options=options)) for width in widths]
    assert all(a < b for a, b in itertools.pairwise(counts))


@every_family
def test_n_members_have_n_times_the_parameters(family, options, task):
    width = width_of(family, options)
    one, four = (describe(family, width, task, members=n, options=options) for n in (1, 4))
    assert count(four) == 4 * count(one)
    for name, tensor in four.state_dict().items():
        if tensor.ndim:
            assert tensor.shape[0] == 4 * one.state_dict()[name].shape[0], name


@every_image_family
@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 9, 28, 32, 64])
def test_any_images_are_answered_with_their_classes(family, options, classes, channels, size):
    task = Task(classes, channels, size)
    described = describe(family, 2, task, options=options).eval()
    shape = described(torch.empty(3, channels, size, size, device="meta")).shape
    assert shape == (3, classes)


@every_family
def test_logits_have_the_shape_that_the_task_says(family, options, task):
    network = make(family, options, task=task, seeds=(0, 1)).eval()
    inputs, labels = inputs_of(task, 3, 2)
    of_one = (*labels.shape[2:], task.classes)  # (class,) or (position, class)
    assert network(inputs).shape == (3, 2 * of_one[0], *of_one[1:])


@every_image_family
@pytest.mark.parametrize("size", [8, 9, 28])
def test_any_size_of_images_trains(family, options, size):
    check_training(family, options, Task(3, 1, size), 2)


@every_family
def test_every_task_trains(family, options, task):
    check_training(family, options, task, width_of(family, options))


def check_training(family, options, task, width):
    network = make(family, options, width, task).train()
    inputs, labels = inputs_of(task, 4, seed=1)
    loss = loss_of(network(inputs), labels)
    loss.backward()
    assert loss.isfinite()
    for parameter in network.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad
        assert not parameter.requires_grad or parameter.grad.isfinite().all()


@every_family
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_packed_network_gives_each_members_logits_and_gradients(family, options, task, dropout):
    seeds = range(10, 10 + MEMBERS)
    # Batch norm over six samples of one pixel, layer after layer, magnifies float32's rounding.
    dtype = torch.float64 if "invariance" in options else torch.float32
    inputs, labels = inputs_of(task, 6, MEMBERS)
    if inputs.is_floating_point():
        inputs = inputs.to(dtype)
    each = inputs.chunk(MEMBERS, 1)

    packed = make(family, options, task=task, seeds=seeds).to(dtype)
    set_dropout(packed, dropout, generators(*seeds))
    optimizer = torch.optim.SGD(packed.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    together = packed.train()(inputs).unflatten(1, (MEMBERS, -1))
    sum(loss_of(together[:, i], labels[i]) for i in range(MEMBERS)).backward()
    gradients = {name: p.grad.chunk(MEMBERS) for name, p in packed.named_parameters() if p.requires_grad}
    optimizer.step()
    after = packed.eval()(torch.cat([each[0]] * MEMBERS, 1)).unflatten(1, (MEMBERS, -1))

    for i, seed in enumerate(seeds):
        single = make(family, options, task=task, seeds=[seed]).to(dtype)
        set_dropout(single, dropout, generators(seed))
        optimizer = torch.optim.SGD(single.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
        alone = single.train()(each[i])
        loss_of(alone, labels[i]).backward()
        torch.testing.assert_close(together[:, i], alone, rtol=1e-5, atol=1e-5)
        for name in gradients:
            parameter = single.get_parameter(name)
            torch.testing.assert_close(
                gradients[name][i], parameter.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
            )
        optimizer.step()
        torch.testing.assert_close(after[:, i], single.eval()(each[0]), rtol=1e-4, atol=1e-5)


@every_family
def test_a_members_state_makes_the_single_network(family, options, task):
    seeds = range(MEMBERS)
    packed = make(family, options, task=task, seeds=seeds)
    for i in seeds:
        single = make(family, options, task=task, seeds=[i])
        taken = member_state(packed, i, MEMBERS)
        assert taken.keys() == single.state_dict().keys()
        for name, tensor in single.state_dict().items():
            assert torch.equal(taken[name], tensor), name
        single.load_state_dict(taken)


@every_family
def test_members_of_different_generators_differ_and_of_the_same_agree(family, options, task):
    first, second, third = (make(family, options, task=task, seeds=[seed]) for seed in (1, 1, 2))
    inputs, _ = inputs_of(task, 2)
    one, same, other = (network.eval()(inputs) for network in (first, second, third))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


@every_family
def test_one_members_samples_do_not_touch_anothers_logits(family, options, task):
    packed = make(family, options, task=task, seeds=range(3)).train()
    inputs, _ = inputs_of(task, 4, 3)
    changed = inputs.clone()
    changed.chunk(3, 1)[1].copy_(inputs_of(task, 4, seed=5)[0] if task.kind != "images" else math.nan)
    before, after = (packed(x).unflatten(1, (3, -1)) for x in (inputs, changed))
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert (after[:, 1] != before[:, 1]).flatten(1).any(1).all()


@every_family
def test_making_a_network_leaves_the_global_random_state_alone(family, options, task):
    before = torch.get_rng_state()
    make(family, options, task=task, seeds=range(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("k", [6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181])
def test_vgg16_has_the_papers_parameters(k, classes):
    network = describe("vgg", k, Task(classes, 3, 32), options={"depth": 16})
    assert count(network) == 3719 * k**2 + (109 + 8 * classes) * k + classes


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("k", [20, 28, 40, 56, 57, 80, 113, 160, 226, 320, 453])
def test_wide_resnet_28_has_the_papers_parameters(k, classes):
    network = describe("wide_resnet", k, Task(classes, 3, 32), options={"depth": 28})
    assert count(network) == 1432 * k**2 + (204 + 4 * classes) * k + classes


def test_the_papers_standard_networks_have_the_papers_counts():
    assert count(describe("vgg", 64, Task(100, 3, 32))) == 15_291_300
    assert count(describe("vgg", 64, Task(10, 3, 32))) == 15_245_130
    assert count(describe("wide_resnet", 160, Task(100, 3, 32))) == 36_755_940
    assert count(describe("wide_resnet", 160, Task(10, 3, 32))) == 36_698_250


def test_vgg_convolutions_start_as_the_papers_and_the_rest_as_pytorchs():
    network = make("vgg", {"depth": 11}, 24, Task(10, 3, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            wanted = math.sqrt(2 / (9 * module.out_channels))
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.15)
            assert not module.bias.any()
    head = network.classifier[-1]
    bound = 1 / math.sqrt(head.weight.shape[1])
    assert head.weight.abs().max() <= bound
    assert head.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_wide_resnet_starts_as_pytorch_would_start_it():
    network = make("wide_resnet", {"depth": 10}, 16, Task(10, 3, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            reference = torch.nn.Conv2d(
                module.in_channels, module.out_channels, module.kernel_size, device="meta"
            ).to_empty(device="cpu")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                reference.reset_parameters()
            assert module.weight.std().item() == pytest.approx(reference.weight.std().item(), rel=0.15)
            assert module.weight.abs().max().item() == pytest.approx(
                reference.weight.abs().max().item(), rel=0.05
            )


def test_dropout_keeps_its_share_and_its_mean():
    network = make("vgg", {"depth": 11}, 64, Task(5, 1, 8))
    set_dropout(network, 0.25, generators(3))
    layer = network.classifier[0].train()
    out = layer(torch.ones(500, 512))
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert out[out != 0].unique().tolist() == pytest.approx([4 / 3])


@pytest.fixture(scope="module")
def timm():
    importlib.import_module("ensembudget.timm")
    return importlib.import_module("timm")


def test_registering_with_timm_a_second_time_is_no_fault(timm):
    from ensembudget.timm import register

    register()


def test_timm_makes_every_family_of_images_and_trains_it(timm):
    from timm.optim import create_optimizer_v2

    for name in IMAGE_FAMILIES:
        network = timm.create_model(timm_name(name), width=3, num_classes=7, in_chans=1, img_size=8)
        assert count(network) == count(describe(name, 3, Task(7, 1, 8)))
        assert network.num_classes == 7
        optimizer = create_optimizer_v2(network, opt="sgd", lr=0.01, momentum=0.9)
        images = torch.randn(8, 1, 8, 8, generator=Generator().manual_seed(0))
        labels = torch.arange(8) % 7
        before = [p.detach().clone() for p in network.parameters()]
        F.cross_entropy(network.train()(images), labels).backward()
        optimizer.step()
        assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_timm_has_no_family_without_images(timm):
    others = [name for name in FAMILIES if name not in IMAGE_FAMILIES]
    assert others == ["transformer"]
    assert not any(timm.is_model(timm_name(name)) for name in others)


def test_a_name_that_timm_has_already_stays_timms(timm):
    assert timm_name("resnet18") == "ensembudget_resnet18"
    assert timm.create_model("resnet18", num_classes=3).fc.out_features == 3


def test_timm_makes_the_weights_that_torchs_seed_decides(timm):
    states = []
    with torch.random.fork_rng(devices=[]):
        for seed in (5, 5, 6):
            torch.manual_seed(seed)
            states.append(timm.create_model("wide_resnet", width=2, depth=10).state_dict())
    first, same, other = (state["head.weight"] for state in states)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_timm_refuses_pretrained_weights_and_unknown_options(timm):
    with pytest.raises(ValueError, match="no pretrained weights of 'vgg'"):
        timm.create_model("vgg", pretrained=True, width=3)
    with pytest.raises(PlanError, match="no option 'dpth'"):
        timm.create_model("vgg", width=3, dpth=16)


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("wide_resnet", {"depth": 27}, ["27", "6n+4", "22 or 28"]),
        ("wide_resnet", {"depth": 4}, ["4", "nearest is 10"]),
        ("wide_resnet", {"depth": -5}, ["-5", "nearest is 10"]),
        ("vgg", {"depth": 17}, ["17", "11, 13, 16, 19", "nearest is 16"]),
        ("wide_resnet", {"dept": 28}, ["no option 'dept'", "Did you mean 'depth'?"]),
        ("vgg", {"zzz": 1}, ["no option 'zzz'", "Known: depth, batch_norm"]),
        ("wide_resnet", {"depth": "28"}, ["depth = '28'", "type int"]),
        ("wide_resnet", {"depth": 28.0}, ["depth = 28.0", "type int"]),
        ("wide_resnet", {"depth": True}, ["depth = True", "type int"]),
        ("vgg", {"batch_norm": 1}, ["batch_norm = 1", "type bool"]),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_the_nearest_that_can(family, options, words):
    for ask in (
        lambda: resolve_options(family, options),
        lambda: describe(family, 2, Task(2, 1, 8), options=options),
    ):
        with pytest.raises(PlanError) as caught:
            ask()
        assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("width", "task", "members", "words"),
    [
        (0, Task(10, 3, 32), 1, "width 0 of family '{}' is below 1"),
        (-3, Task(10, 3, 32), 1, "width -3"),
        (2, Task(10, 3, 4), 1, "image size 4 of family '{}' is below 8"),
        (2, Task(1, 3, 32), 1, "classes 1 of family '{}' is below 2"),
        (2, Task(10, 0, 32), 1, "channels 0"),
        (2, Task(10, 3, 32), 0, "members 0"),
    ],
)
@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_a_size_that_cannot_be_is_refused_with_the_smallest_that_can(family, width, task, members, words):
    with pytest.raises(PlanError, match=re.escape(words.format(family))):
        describe(family, width, task, members=members)


@pytest.mark.parametrize(
    ("family", "options", "kind"), [(name, {}, k) for name in FAMILIES for k in TASKS if k in SMALL_TASKS]
)
def test_a_task_that_a_family_does_not_do_is_refused_with_families_that_do(family, options, kind):
    if kind in FAMILIES[family].tasks:
        describe(family, width_of(family, options), SMALL_TASKS[kind])
        return
    with pytest.raises(PlanError) as caught:
        describe(family, width_of(family, options), SMALL_TASKS[kind])
    able = [name for name in FAMILIES if kind in FAMILIES[name].tasks]
    assert f"asks for {kind}. Families that do: {', '.join(able)}." in str(caught.value)


def test_a_misspelt_family_is_refused_with_the_one_meant():
    with pytest.raises(UnknownPartError, match="Did you mean 'wide_resnet'"):
        describe("wide_resnt", 2, Task(2, 1, 8))
