"""Gradients are clipped member by member, as torch clips those of a single network."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from ensembudget.families._build import describe, materialise, member_state
from ensembudget.records import Run, Stepping, Task
from ensembudget.stepping.check import faults
from ensembudget.stepping.clip import clip_
from ensembudget.stepping.step import batch_losses, told_and_trained
from ensembudget.training.loop import train

TASK = Task(4, 1, 8)
MEMBERS = 3


def packed(members=MEMBERS, **options):
    network = describe("wide_resnet", 2, TASK, members=members, options={"depth": 10, **options})
    return materialise(network, [Generator().manual_seed(i) for i in range(members)]).double().train()


def batch():
    random = Generator().manual_seed(1)
    images = torch.randn(6, MEMBERS, 8, 8, dtype=torch.float64, generator=random)
    images[:, 1] *= 30  # members' gradients are of different lengths
    return images, torch.randint(4, (MEMBERS, 6), generator=random)


@pytest.mark.parametrize("largest", [1e-3, 0.5, 2.0, 1e3])
def test_each_member_of_a_real_network_is_clipped_as_torch_clips_it_alone(largest):
    network, (images, labels) = packed(), batch()
    batch_losses(network, images, labels).sum().backward()
    clip_(network.parameters(), MEMBERS, largest)
    for member in range(MEMBERS):
        single = packed(1)
        single.load_state_dict(member_state(network, member, MEMBERS), strict=True)
        F.cross_entropy(single(images[:, member : member + 1]), labels[member]).backward()
        nn.utils.clip_grad_norm_(single.parameters(), largest)
        for (name, p), alone in zip(network.named_parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(
                p.grad.chunk(MEMBERS)[member], alone.grad, rtol=1e-7, atol=1e-9, msg=name
            )


@settings(max_examples=50)
@given(
    numbers=st.lists(st.floats(-1e3, 1e3), min_size=12, max_size=12),
    largest=st.floats(1e-3, 1e4),
)
def test_no_gradient_is_longer_than_allowed_and_short_ones_stay(numbers, largest):
    given_ = torch.tensor(numbers, dtype=torch.float64)
    weight, bias = (nn.Parameter(torch.zeros(*shape).double()) for shape in ((4, 2), (4,)))
    weight.grad, bias.grad = given_[:8].view(4, 2).clone(), given_[8:].clone()
    clip_([weight, bias], 2, largest)
    for rows in (slice(2), slice(2, 4)):
        before = math.hypot(*given_[:8].view(4, 2)[rows].flatten(), *given_[8:][rows])
        after = math.hypot(*weight.grad[rows].flatten(), *bias.grad[rows])
        assert after <= largest * (1 + 1e-9)
        assert after == pytest.approx(
            before if before + 1e-6 <= largest else largest * before / (before + 1e-6)
        )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_member_that_diverges_changes_no_other(bad):
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.tensor([[bad, 1.0], [3.0, 4.0]])
    clip_([weight, nn.Parameter(torch.zeros(2))], 2, 1.0)
    assert weight.grad[1].tolist() == pytest.approx([0.6, 0.8])
    assert not weight.grad[0].isfinite().all()


def test_training_by_a_recipe_of_clip_bounds_every_step(make_cell, digits):
    """Without momentum and decay a step of gradient descent is the rate times the clipped gradient."""
    cell = make_cell(
        family="convnet", options={}, momentum=0.0, weight_decay=0.0, clip=0.01, train_size=32,
        validation_size=0, epochs=1, learning_rate=0.5, schedule="constant",
    )  # fmt: skip
    (trained,) = train([Run(cell=cell, seed=0)], digits, keep_weights=True)
    still = cell.model_copy(update={"recipe": cell.recipe.model_copy(update={"learning_rate": 1e-30})})
    # Stream keys leave out recipes, so both begin with the same weights.
    (first,) = train([Run(cell=still, seed=0)], digits, keep_weights=True)
    names = [n for n, p in describe("convnet", 4, digits.task, options={}).named_parameters()]
    moved = math.sqrt(sum(float(np.square(trained.weights[n] - first.weights[n]).sum()) for n in names))
    assert moved == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_captured_steps_refuse_a_rate_that_changes_from_step_to_step(make_cell):
    for changes in ({"warmup_steps": 3}, {"schedule_by": "step"}):
        wrong = faults(Stepping(captured=True), make_cell(**changes).recipe, "cuda", recorded=False)
        assert any("changes from step to step" in one for one in wrong)
    still = faults(Stepping(captured=True), make_cell().recipe, "cuda", recorded=False)
    assert not any("changes from step to step" in one for one in still)


# Smoothed labels.


@pytest.mark.parametrize("positions", [(), (5,)])
@given(smoothing=st.floats(0.01, 0.99))
def test_smoothed_labels_train_and_are_not_told(positions, smoothing):
    """The oracle is cross-entropy against the distribution; positions without a label count nowhere."""
    random = Generator().manual_seed(2)
    classes = 4
    labels = torch.randint(classes, (MEMBERS, 6, *positions), generator=random)
    if positions:
        labels[:, 1:, -2:] = -100
    shape = (6, MEMBERS * positions[0], classes) if positions else (6, MEMBERS * classes)
    logits = torch.randn(shape, generator=random, dtype=torch.float64)
    told, trained = told_and_trained(lambda inputs: inputs, logits, labels, smoothing)
    rows = logits.unflatten(1, (MEMBERS, -1)).transpose(0, 1).reshape(MEMBERS, -1, classes)
    for member in range(MEMBERS):
        flat = labels[member].flatten()
        log_probs, some = rows[member][flat >= 0].log_softmax(-1).numpy(), flat[flat >= 0].numpy()
        exact = np.eye(classes)[some]
        smooth = (1 - smoothing) * exact + smoothing / classes
        assert float(told[member]) == pytest.approx(-(exact * log_probs).sum(1).mean())
        assert float(trained[member]) == pytest.approx(-(smooth * log_probs).sum(1).mean())


def test_smoothing_changes_the_member_and_its_loss_is_told_without(make_cell, digits):
    """At a rate of nearly 0 nothing is learned, so what is told is the same whatever trains."""
    plain, smooth = (
        train([Run(cell=make_cell(label_smoothing=share, learning_rate=1e-9), seed=0)], digits)[0]
        for share in (0.0, 0.5)
    )
    np.testing.assert_allclose(smooth.train_loss, plain.train_loss, rtol=1e-5)
    plain, smooth = (
        train([Run(cell=make_cell(label_smoothing=share), seed=0)], digits)[0] for share in (0.0, 0.5)
    )
    assert np.abs(smooth.test_logits - plain.test_logits).max() > 0.05
