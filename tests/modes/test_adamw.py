"""Mode `adamw`: its steps are those of the paper, of torch and of a member alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from ensembudget.catalog import MODES
from ensembudget.families._build import describe, materialise, member_state
from ensembudget.families._invariance import invariant_of
from ensembudget.records import Recipe, Run, Stepping, Task
from ensembudget.stepping.step import train_batch
from ensembudget.training.loop import train

TASK = Task(4, 1, 8)
MEMBERS = 3
FAMILIES = [
    pytest.param("convnet", {}, id="convnet"),
    pytest.param("wide_resnet", {"depth": 10}, id="wide_resnet"),
    pytest.param("vgg", {"depth": 11}, id="vgg"),
    pytest.param("convnet", {"invariance": "full"}, id="convnet-full"),
]


def recipe_of(**changes):
    fields = {"epochs": 1, "learning_rate": 0.01, "weight_decay": 0.3, "momentum": 0.8, "beta2": 0.95}
    return Recipe(**{**fields, **changes})


def packed(family, options, members=MEMBERS):
    network = describe(family, 2, TASK, members=members, options=options)
    return materialise(network, [Generator().manual_seed(i) for i in range(members)]).double().train()


def batches_of(count):
    random = Generator().manual_seed(9)
    return [
        (
            torch.randn(12, MEMBERS, 8, 8, dtype=torch.float64, generator=random),
            torch.randint(4, (MEMBERS, 12), generator=random),
        )
        for _ in range(count)
    ]


def stepped(family, options, count, **changes):
    network = packed(family, options)
    optimizer = MODES["adamw"].optimizer(network, recipe_of(**changes), invariant_of(network, MEMBERS))
    for batch in batches_of(count):
        train_batch(network, optimizer, *batch)
    return network


def alone(family, options, member):
    network = packed(family, options, members=1)
    network.load_state_dict(member_state(packed(family, options), member, MEMBERS))
    return network


def decayed(name, network):
    """Weights of convolutions and linear layers: no bias, no norm. By kind of layer, not by shape."""
    layer = network.get_submodule(name.rpartition(".")[0])
    return name.endswith("weight") and "Norm" not in type(layer).__name__


@pytest.mark.parametrize(("family", "options"), FAMILIES)
def test_packed_members_step_as_torch_steps_each_alone(family, options):
    network = stepped(family, options, 5)
    for member in range(MEMBERS):
        single = alone(family, options, member)
        trained = {n: p for n, p in single.named_parameters() if p.requires_grad}
        groups = [
            {
                "params": [p for n, p in trained.items() if decayed(n, single) == yes],
                "weight_decay": 0.3 * yes,
            }
            for yes in (True, False)
        ]
        optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95), foreach=False)
        for images, labels in batches_of(5):
            optimizer.zero_grad()
            F.cross_entropy(single(images[:, member : member + 1]), labels[member]).backward()
            optimizer.step()
        found = member_state(network, member, MEMBERS)
        # A bias ahead of batch norm has no gradient but rounding, which Adam divides by epsilon.
        for name, wanted in single.state_dict().items():
            torch.testing.assert_close(found[name], wanted, rtol=1e-7, atol=1e-7, msg=name)


def test_steps_are_those_of_the_papers_algorithm():
    """Loshchilov & Hutter 2019, algorithm 2, in NumPy, with gradients that are given."""
    network = packed("convnet", {})
    optimizer = MODES["adamw"].optimizer(network, recipe_of(), invariant_of(network, MEMBERS))
    random = np.random.default_rng(0)
    now = {name: p.detach().numpy().copy() for name, p in network.named_parameters()}
    mean = {name: np.zeros_like(array) for name, array in now.items()}
    square = {name: np.zeros_like(array) for name, array in now.items()}
    for step in range(1, 5):
        for name, parameter in network.named_parameters():
            gradient = random.normal(size=now[name].shape)
            parameter.grad = torch.from_numpy(gradient.copy())
            mean[name] = 0.8 * mean[name] + 0.2 * gradient
            square[name] = 0.95 * square[name] + 0.05 * gradient**2
            adapted = mean[name] / (1 - 0.8**step) / (np.sqrt(square[name] / (1 - 0.95**step)) + 1e-8)
            decay = 0.3 if decayed(name, network) else 0.0
            now[name] = now[name] - 0.01 * (adapted + decay * now[name])
        optimizer.step()
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), now[name], rtol=1e-10, err_msg=name)


def test_the_first_group_has_the_invariant_weights_and_the_second_is_not_decayed():
    network = packed("vgg", {"depth": 11, "batch_norm": True})
    invariant = invariant_of(network, MEMBERS)
    groups = MODES["adamw"].optimizer(network, recipe_of(), invariant).param_groups
    assert {id(p) for p in invariant.tensors} <= {id(p) for p in groups[0]["params"]}
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    together = [id(p) for group in groups for p in group["params"]]
    assert sorted(together) == sorted(id(p) for p in network.parameters())


def test_a_step_of_scaled_weights_is_as_large_an_angle_as_the_effective_rate_says():
    """Scaled by 4, invariant weights have a quarter of the gradient, which Adam takes as the whole."""
    squared = torch.tensor([4.0, 0.25])
    assert MODES["adamw"].effective(0.5, squared).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    "changes", [{}, {"clip": 0.3}, {"warmup_steps": 5, "schedule": "linear", "schedule_by": "step"}], ids=str
)
@pytest.mark.parametrize("way", ["grouped", "separate", "vmap"])
def test_a_member_of_a_pack_is_the_member_trained_alone(make_cell, digits, way, changes):
    cell = make_cell(mode="adamw", family="convnet", options={}, learning_rate=0.01, **changes)
    runs = [Run(cell=cell, seed=seed) for seed in (5, 0, 2)]
    together = train(runs, digits, stepping=Stepping(pack=3, way=way))
    for run, one in zip(runs, together, strict=True):
        (single,) = train([run], digits)
        np.testing.assert_allclose(one.test_logits, single.test_logits, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(one.train_loss, single.train_loss, rtol=1e-4)


def test_what_a_recipe_of_another_mode_has_is_refused():
    invariant = invariant_of(packed("convnet", {}), MEMBERS)
    assert MODES["adamw"].faults(recipe_of(), invariant) == []
    (wrong,) = MODES["adamw"].faults(recipe_of(effective_learning_rate=0.02), invariant)
    assert "effective_learning_rate 0.02 belongs to mode 'sphere'. Mode 'adamw'" in wrong
    (wrong,) = MODES["bn_wd"].faults(recipe_of(), invariant)
    assert "beta2 = 0.95 belongs to mode 'adamw'" in wrong
    assert "beta2 = 0.999" in wrong
    on_sphere = {"weight_decay": 0.0, "momentum": 0.0, "effective_learning_rate": 0.1}
    (wrong,) = MODES["sphere"].faults(recipe_of(**on_sphere), invariant)
    assert "beta2 = 0.95" in wrong
    (wrong,) = MODES["sphere"].faults(recipe_of(**on_sphere, beta2=0.999, clip=2.0), invariant)
    assert "recipe.clip = 2" in wrong
