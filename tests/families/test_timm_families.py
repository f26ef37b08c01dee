"""timm's models as families: their widths, packs that are their single networks, and what is refused."""

import itertools

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Generator

from ensembudget.catalog import FAMILIES
from ensembudget.errors import PlanError, StudyError, UnknownPartError
from ensembudget.families._build import describe, materialise, member_state, resolve_options
from ensembudget.families._timm_design import design_of
from ensembudget.families._timm_widths import scale_of
from ensembudget.planning.widths import cost, split, step_of
from ensembudget.records import Task
from ensembudget.studies import parse
from helpers import ROOT

MEMBERS = 3
TASK = Task(5, 3, 32)
# A narrow network of each: its width and options.
NARROW = {
    "timm:resnet18": (4, {}),
    "timm:mobilenetv3_small_100": (4, {}),
    "timm:convnext_atto": (4, {}),
    "timm:vit_tiny_patch16_224": (12, {"patch_size": 8, "depth": 3}),
}
every_model = pytest.mark.parametrize("family", NARROW)


def generators(seeds):
    return [Generator().manual_seed(seed) for seed in seeds]


def make(family, seeds, task=TASK):
    width, options = NARROW[family]
    network = describe(family, width, task, members=len(seeds), options=options)
    return materialise(network, generators(seeds))


@every_model
def test_a_packed_network_is_its_single_networks_before_and_after_a_step(family):
    seeds = range(MEMBERS)
    images = torch.randn(MEMBERS, 6, 3, 32, 32, generator=Generator().manual_seed(0)).double()
    labels = torch.randint(5, (MEMBERS, 6), generator=Generator().manual_seed(1))
    packed = make(family, seeds).double().train()
    optimizer = torch.optim.SGD(packed.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    together = packed(images.transpose(0, 1).flatten(1, 2)).unflatten(1, (MEMBERS, 5))
    sum(F.cross_entropy(together[:, i], labels[i]) for i in seeds).backward()
    optimizer.step()
    after = packed.eval()(images[0].repeat(1, MEMBERS, 1, 1)).unflatten(1, (MEMBERS, 5))
    for i in seeds:
        single = make(family, [i]).double().train()
        optimizer = torch.optim.SGD(single.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
        alone = single(images[i])
        F.cross_entropy(alone, labels[i]).backward()
        optimizer.step()
        torch.testing.assert_close(together[:, i], alone, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(after[:, i], single.eval()(images[0]), rtol=1e-9, atol=1e-9)
        taken = member_state(packed, i, MEMBERS)
        assert taken.keys() == single.state_dict().keys()
        for name, tensor in single.state_dict().items():  # batch norm's statistics among them
            torch.testing.assert_close(taken[name], tensor, rtol=1e-9, atol=1e-9)


@every_model
def test_at_its_own_width_a_network_is_timms_own_from_the_same_seed(family):
    name = family.removeprefix("timm:")
    own = scale_of(design_of(name), {}).own
    ours = materialise(describe(family, own, Task(7, 3, 32)), generators([3])).eval()
    sizes = {"img_size": 32} if "vit" in name else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=Generator().manual_seed(3))))
        theirs = timm.create_model(name, num_classes=7, **sizes).eval()
    state = {key.removeprefix("one."): tensor for key, tensor in ours.state_dict().items()}
    assert state.keys() == theirs.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in theirs.state_dict().items())
    images = torch.randn(2, 3, 32, 32, generator=Generator().manual_seed(0))
    assert torch.equal(ours(images), theirs(images))


@every_model
def test_making_a_network_leaves_the_global_random_state_alone(family):
    before = torch.get_rng_state()
    network = make(family, range(2)).train()
    network(torch.zeros(2, 6, 32, 32))
    assert torch.equal(torch.get_rng_state(), before)


@every_model
def test_costs_never_fall_with_width_and_a_budget_gets_its_nearest_width(family):
    _, options = NARROW[family]
    step = step_of(family, options)
    widths = [step * i for i in range(1, 9)]
    costs = [cost(family, width, TASK, options=options) for width in widths]
    assert all(a <= b for a, b in itertools.pairwise(costs))
    assert costs[0] < costs[-1]
    budget = (costs[3] + 2 * costs[4]) // 3  # nearer to the fifth
    found = split(family, TASK, budget, 1, options=options)
    assert found.width % step == 0
    assert found.parameters_total == min(costs, key=lambda one: abs(one - budget))


def test_the_flops_of_a_vit_are_those_of_its_matrix_products():
    k, depth, tokens = 24, 3, 17
    block = 2 * tokens * k * (3 * k + k + 8 * k) + 2 * 2 * tokens * tokens * k
    patches = 2 * 16 * (3 * 8 * 8) * k
    counted = cost("timm:vit_tiny_patch16_224", k, TASK, "flops", options={"patch_size": 8, "depth": depth})
    assert counted == patches + depth * block + 2 * k * 5


def test_heads_keep_their_number_or_where_it_is_asked_their_size():
    def heads(width, **options):
        network = describe("timm:vit_tiny_patch16_224", width, TASK, options={"depth": 1, **options})
        return network.one.blocks[0].attn.num_heads

    assert [heads(width) for width in (12, 48, 192)] == [3, 3, 3]
    assert [heads(width, head_size=16) for width in (16, 48, 192)] == [1, 3, 12]
    assert step_of("timm:vit_tiny_patch16_224", {"head_size": 16}) == 16


def test_a_mapping_of_the_users_is_what_the_table_would_say():
    counts = [
        cost("timm:convnext_atto", 8, TASK, options=options)
        for options in ({}, {"width_argument": "dims"}, {"width_argument": "dims=1,2,4,8"})
    ]
    assert len(set(counts)) == 1
    assert cost("timm:convnext_atto", 8, TASK, options={"width_argument": "dims=1,1,1,1"}) < counts[0]
    assert cost("timm:regnetx_002", 8, TASK, options={"width_argument": "w0 wa=3/2"}) > 0


def test_a_model_whose_groups_need_wide_layers_has_multiples_of_its_own_width():
    assert step_of("timm:nfnet_f0", {}) == scale_of(design_of("nfnet_f0"), {}).own == 256


def test_patches_need_to_divide_the_images_of_the_study_and_not_timms_own():
    task, options = Task(5, 3, 48), {"patch_size": 6, "depth": 1}  # 6 does not divide timm's 224
    network = describe("timm:vit_tiny_patch16_224", 12, task, options=options)
    assert network.one.patch_embed.num_patches == (48 // 6) ** 2
    text = 'name = "s"\ndescription = "d"\ndataset = "digits"\nbudgets = ["100k"]\nimage_size = 48\n'
    text += 'family = "timm:vit_tiny_patch16_224"\noptions = { patch_size = 6, depth = 1 }\n'
    assert parse(text, "s").options == options
    with pytest.raises(PlanError, match=r"32x32 pixels: patches of 6 pixels do not divide"):
        describe("timm:vit_tiny_patch16_224", 12, TASK, options=options)


def test_an_option_enters_the_key_only_where_it_is_given():
    assert resolve_options("timm:vit_tiny_patch16_224", {}) == {}
    assert resolve_options("timm:vit_tiny_patch16_224", {"depth": 2}) == {"depth": 2}


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("timm:vgg16", {}, ["fixed width", "mlp_ratio", "width_argument", "'vgg'"]),
        ("timm:convnext_atto", {"width_argument": "dim"}, ["takes no argument 'dim'", "dims"]),
        ("timm:convnext_atto", {"width_argument": "dims=1,x"}, ["'1,x' is no list of multiples"]),
        ("timm:vit_tiny_patch16_224", {"width_argument": "depth"}, ["is no width", "embed_dim = k"]),
        ("timm:convnext_atto", {"width_argument": "depths"}, ["is no width", "dims = k x (1, 2, 4, 8)"]),
        ("timm:convnext_atto", {"width_argument": ";"}, ["names no argument"]),
        ("timm:regnetx_002", {"width_argument": "wm"}, ["wm is 2", "Say how much", "wm=1/64"]),
        ("timm:convnext_atto", {"head_size": 4}, ["head_size = 4", "as ViT is"]),
        ("timm:vit_tiny_patch16_224", {"head_size": 0}, ["below 1"]),
        ("timm:vit_tiny_patch16_224", {"dept": 2}, ["no option 'dept'", "Did you mean 'depth'?"]),
        ("timm:vit_tiny_patch16_224", {"depth": "two"}, ["depth = 'two'", "type int"]),
        ("timm:dm_nfnet_f0", {}, ["at 256, where", "skipinit_gain' is a single number", "timm:resnet18"]),
        (
            "timm:convnext_atto",
            {"width_argument": "dims=1,2"},
            ["timm cannot make that network", "timm:resnet18"],
        ),
    ],
)
def test_impossible_options_are_refused_with_the_possible_ones(family, options, words):
    with pytest.raises(PlanError) as caught:
        resolve_options(family, options)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("family", "width", "size", "words"),
    [
        ("timm:vit_tiny_patch16_224", 16, 32, ["width 16", "no multiple of 3", "15 and 18"]),
        ("timm:convnext_atto", 8, 8, ["8x8 pixels: timm cannot make that network", "image_size = 32"]),
        ("timm:vit_tiny_patch16_224", 12, 28, ["28x28 pixels", "patch_size = 7", "image_size = 32"]),
    ],
)
def test_a_width_and_images_that_cannot_be_are_refused_with_the_nearest(family, width, size, words):
    with pytest.raises(PlanError) as caught:
        describe(family, width, Task(5, 3, size))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet17", ["no model 'resnet17'", "Did you mean 'resnet"]),
        ("timm:resnet18.a1_in1k", ["'a1_in1k' names pretrained weights", "'timm:resnet18'"]),
        ("timm:", ["no model ''"]),
        ("tim:resnet18", ["no family 'tim:resnet18'"]),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused(name, words):
    assert name not in FAMILIES
    with pytest.raises(UnknownPartError) as caught:
        FAMILIES[name]
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert FAMILIES.fault(name) == str(caught.value)


def test_a_study_with_dropout_or_a_sphere_is_refused():
    text = 'name = "s"\ndescription = "d"\ndataset = "digits"\nbudgets = ["100k"]\nfamily = "timm:resnet18"\n'
    with pytest.raises(StudyError, match=r"dropout 0\.1 needs masks from each member's own random stream"):
        parse(text + "recipe = { dropout = 0.1 }", "s")
    with pytest.raises(StudyError, match="mode"):
        parse(text + 'mode = "sphere"', "s")


def test_families_of_timm_are_told_but_not_listed(capsys):
    from ensembudget.cli import main

    assert main(["ls", "families"]) == 0
    assert "timm:NAME" in capsys.readouterr().out
    assert not any(":" in name for name in FAMILIES)


@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_the_published_studies_can_be_planned(name):
    study = parse((ROOT / "tables" / f"cifar10-jpeg-timm-{name}" / "study.toml").read_text(), name)
    for budget, members in itertools.product(study.budgets, study.members):
        size = study.image_size or 32
        found = split(study.family, Task(10, 3, size), budget, members, options=study.options)
        assert abs(found.error_percent) <= 100 * study.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("family", ["timm:resnet18", "timm:vit_tiny_patch16_224"])
def test_two_models_are_trained_on_digits_at_one_and_four_members_and_exported(family, tmp_path, cache):
    import ensembudget

    vit = "vit" in family
    options = {"patch_size": 2, "depth": 2} if vit else {}
    recipe = "epochs = 12, learning_rate = 0.003" if vit else "epochs = 4, learning_rate = 0.03"
    study = parse(
        f'name = "s"\ndescription = "d"\ndataset = "digits"\nfamily = "{family}"\n'
        f'mode = "{"adamw" if vit else "bn_wd"}"\n'
        + "".join(f"options.{name} = {value}\n" for name, value in options.items())
        + f'budgets = ["{"40k" if vit else "200k"}"]\nmembers = [1, 4]\npool = 4\nreplicates = 1\n'
        "tolerance = 0.5\nkeep_weights = true\n"
        f"recipe = {{ {recipe}, batch_size = 25, crop_padding = 0, flip = false }}\n",
        "s",
    )
    plan = ensembudget.plan_study(study)
    assert sorted(split.members for split in plan.splits) == [1, 4]
    store = ensembudget.Store(tmp_path / "store")
    ensembudget.run(plan, store, executor="serial")
    choices = [ensembudget.choose_export(study, store, study.budgets[0], n) for n in (1, 4)]
    accuracies = [one.result.score.metrics["accuracy"].value for one in choices]
    assert all(accuracy > 0.5 for accuracy in accuracies), accuracies  # one in ten by chance
    # What is written is compared with the store on all test images, to 1e-5 of a probability.
    ensembudget.export(choices[1], store, tmp_path / "out", formats=["safetensors", "torch", "onnx"])
    images = ensembudget.load_data("digits").arrays.test_inputs[:5]
    found = ensembudget.load(tmp_path / "out").predict(images)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
