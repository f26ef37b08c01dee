"""Every parameter and buffer of a network is initialised from the members' generators, or refused by name."""

import math
import re

import pytest
import torch
from torch import Generator, nn

from ensembudget.catalog import FAMILIES
from ensembudget.errors import PlanError, StudyError
from ensembudget.families._build import materialise
from ensembudget.families._layers import Conv2d
from ensembudget.planning.check import narrowest
from ensembudget.records import Run
from ensembudget.studies import parse
from ensembudget.training.loop import train


class Ordinary(nn.Module):
    """Layers as torch has them, one of each kind."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, padding=1)
        self.norm = nn.LayerNorm(64)
        self.places = nn.Embedding(500, 64)
        self.attention = nn.MultiheadAttention(64, 4)
        self.memory = nn.GRU(64, 8)
        self.last_norm = nn.BatchNorm1d(64)
        self.head = nn.Linear(64, 5)


def described(make):
    with torch.device("meta"):
        return make()


def filled(make, *seeds):
    return materialise(described(make), [Generator().manual_seed(seed) for seed in seeds or (0,)])


def test_ordinary_torch_layers_start_as_torch_would_start_them():
    network = filled(Ordinary)
    assert not any(tensor.is_meta or tensor.isnan().any() for tensor in network.state_dict().values())
    bound = 1 / math.sqrt(3 * 9)
    assert network.stem.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
    assert network.stem.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert network.norm.weight.eq(1).all()
    assert network.norm.bias.eq(0).all()
    assert network.places.weight.std().item() == pytest.approx(1, rel=0.05)
    # Attention sets its inner layer's bias to zero after that layer was initialised.
    assert network.attention.in_proj_weight.abs().max().item() == pytest.approx(math.sqrt(6 / 256), rel=0.02)
    assert network.attention.out_proj.bias.eq(0).all()
    assert network.last_norm.running_var.eq(1).all()
    assert network.last_norm.num_batches_tracked == 0


def test_a_generator_decides_ordinary_layers_and_torchs_own_stays_as_it_was():
    before = torch.get_rng_state()
    first, same, other = (filled(Ordinary, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for name in (
        "stem.weight",
        "places.weight",
        "attention.in_proj_weight",
        "memory.weight_hh_l0",
        "head.bias",
    ):
        assert torch.equal(first[name], same[name])
        assert not torch.equal(first[name], other[name])


class Scaled(nn.Linear):
    """A parameter beside those that the inherited reset knows of."""

    def __init__(self):
        super().__init__(3, 2)
        self.scale = nn.Parameter(torch.ones(2))


class Outermost(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.head = nn.Linear(3, 2)


class Computed(nn.Module):
    """A buffer that was computed where nothing is computed."""

    def __init__(self, make):
        super().__init__()
        self.register_buffer("table", make())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), Scaled()), ["module '1' (Scaled)", "'scale'"]),
        (Outermost, ["the outermost module (Outermost)", "'scale'"]),
        (lambda: nn.Sequential(Computed(lambda: torch.ones(3).sin())), ["module '0' (Computed)", "'table'"]),
        (lambda: Computed(lambda: torch.arange(3)), ["(Computed)", "'table'"]),
        (lambda: nn.ParameterList([torch.ones(2)]), ["(ParameterList)", "'0'"]),
    ],
)
def test_what_nothing_initialises_is_refused_by_name_with_what_to_do(make, words):
    with pytest.raises(PlanError, match=r"nothing initialises.*`initialise\(generators\)`") as caught:
        filled(make)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_module_initialises_its_own_parameters_by_a_reset_or_from_the_generators():
    class Reset(Outermost):
        def reset_parameters(self):
            nn.init.normal_(self.scale)
            nn.init.zeros_(self.head.weight)

    class Drawn(Outermost):
        def initialise(self, generators):
            self.scale.normal_(generator=generators[0])

    reset, again, drawn = filled(Reset, 4), filled(Reset, 4), filled(Drawn, 4)
    assert torch.equal(reset.scale, again.scale)
    assert reset.scale.std() > 0
    assert reset.head.weight.eq(0).all()  # the outer module has the last word
    assert drawn.scale.std() > 0
    assert drawn.head.weight.std() > 0


def test_a_buffer_with_values_keeps_them():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([1.0, 2.0], device="cpu"))

    assert filled(Masked).mask.tolist() == [1.0, 2.0]


def test_a_parameter_that_two_modules_share_stays_one():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(7, 3)
            self.head = nn.Linear(3, 7, bias=False)
            self.head.weight = self.words.weight

    network = filled(Tied)
    assert network.head.weight is network.words.weight
    assert [tensor.numel() for tensor in network.parameters()] == [21]


def test_a_frozen_parameter_stays_frozen():
    class Frozen(nn.Linear):
        def __init__(self):
            super().__init__(3, 2)
            self.weight.requires_grad_(False)

    network = filled(Frozen)
    assert (network.weight.requires_grad, network.bias.requires_grad) == (False, True)


def test_an_ordinary_layer_among_several_members_is_refused():
    def make():
        return nn.Sequential(Conv2d(3, 4, 3, members=2), nn.LayerNorm(8))

    with pytest.raises(PlanError, match=re.escape("module '1' (LayerNorm)")) as caught:
        filled(make, 0, 1)
    assert "2 are asked for. Train with packs of 1" in str(caught.value)


def test_batch_norm_of_torch_holds_any_number_of_members():
    network = filled(lambda: nn.Sequential(Conv2d(3, 4, 3, members=2), nn.BatchNorm2d(8)), 0, 1)
    assert network[1].weight.eq(1).all()


def test_of_our_families_nothing_is_left_unset():
    for family in FAMILIES:
        network = materialise(narrowest(family), [Generator().manual_seed(0)])
        assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


PATCHES = '''
    """Patches of four pixels, mixed and averaged: ordinary torch layers alone."""

    from torch import nn

    from ensembudget.families._base import Family


    class Patches(nn.Module):
        def __init__(self, width, task, members):
            super().__init__()
            self.stem = nn.Conv2d(task.channels, 8 * width, 4, 4)
            self.norm = nn.LayerNorm(8 * width)
            self.head = nn.Linear(8 * width, task.classes)

        def forward(self, x):
            return self.head(self.norm(self.stem(x).flatten(2).mT).relu().mean(1))


    family = Family(Patches)
'''

STUDY = """
name = "plugin"
description = "a family of another package"
family = "patches"
dataset = "digits"
budgets = ["1k"]
"""


def test_a_family_of_ordinary_layers_trains_the_same_member_twice(install, make_cell, digits):
    install("other", families={"patches": PATCHES})
    cell = make_cell(family="patches", options={}, width=2, epochs=20, learning_rate=0.1)
    found = [train([Run(cell=cell, seed=seed)], digits)[0] for seed in (0, 0, 1)]
    first, same, other = (one.test_logits for one in found)
    assert (first == same).all()
    assert (first != other).any()
    right = (first.argmax(1) == digits.arrays.test_labels).mean()
    assert right > 0.2, "guessing is right in a tenth"


def test_a_study_of_a_family_that_cannot_be_initialised_is_refused_when_it_is_read(install):
    source = PATCHES.replace("self.norm =", "self.scale = nn.Parameter(0 * self.stem.bias); self.norm =")
    install("other", families={"patches": source, "sound": PATCHES})
    with pytest.raises(StudyError, match=r"family: the outermost module \(Patches\).*'scale'"):
        parse(STUDY, "plugin")
    assert parse(STUDY.replace("patches", "sound"), "plugin").family == "sound"
