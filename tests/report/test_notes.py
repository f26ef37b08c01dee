"""Notes say of every arm what a reader must know."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ensembudget.errors import StudyError
from ensembudget.packing.batches import epoch_batches, still
from ensembudget.planning.length import few_members, few_steps
from ensembudget.planning.plan import plan
from ensembudget.records import Arm, Study, TokenTask
from ensembudget.rendering.notes import result_notes
from ensembudget.store import Store
from ensembudget.tasks.images import Pixels, Scale
from ensembudget.verbs.evaluate import evaluate
from helpers import publish, trained_as

LABELS = np.arange(40) % 10


@pytest.fixture
def first_note(tmp_path, digits):
    """`first_note(family, options, arms)` is the first note, of members that were never trained."""

    def note(family, options=None, arms=()):
        study = Study(
            name="noted", description="", family=family, options=options or {}, dataset="digits",
            widths=[2], arms=list(arms),
        )  # fmt: skip
        planned = plan(study, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
        store = Store(tmp_path / "store")
        for seed, run in enumerate(planned.runs):
            logits = np.random.default_rng(seed).normal(size=(40, 10)).astype(np.float32)
            publish(store, trained_as(run, logits), LABELS)
        return result_notes(evaluate(planned, store))[0]

    return note


def test_the_options_of_every_arm_are_told(first_note):
    arms = [Arm(name="plain"), Arm(name="normed", options={"batch_norm": True})]
    said = first_note("vgg", {"depth": 11}, arms)
    assert said.startswith("vgg (depth 11, batch_norm False or depth 11, batch_norm True) on digits: ")


def test_options_that_all_arms_share_are_told_once(first_note):
    arms = [Arm(name="one", recipe={"epochs": 1}), Arm(name="two", recipe={"epochs": 2})]
    assert first_note("vgg", {"depth": 11}, arms).startswith("vgg (depth 11, batch_norm False) on digits: ")


def test_a_family_without_options_has_no_empty_brackets(first_note, install):
    source = """
        from ensembudget.families._base import Family
        from ensembudget.families.convnet import ConvNet

        family = Family(lambda width, task, members: ConvNet(width, task, members, "practical"))
    """
    install("other", families={"plain_net": source})
    assert first_note("plain_net").startswith("plain_net on digits: ")


# Pools of few members.


def plan_of(digits, **changes):
    fields = {
        "name": "few", "description": "", "family": "wide_resnet", "options": {"depth": 10},
        "dataset": "digits", "budgets": [5178, 11338], "members": [1, 2], "tolerance": 0.2, "pool": 2,
        "replicates": 1,
    }  # fmt: skip
    study = Study(**fields | changes)
    return plan(study, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)


def test_pools_of_few_members_are_told_with_their_widths(digits):
    (said,) = few_members(plan_of(digits))
    assert said.startswith("Pools of 2 members (widths 3, 4, 6): intervals are wide")
    assert said.endswith("8 is the default.")
    (said,) = few_members(plan_of(digits, pool=1, widths=[9]))
    assert said.startswith("Pools of 1 member (widths 6) and of 2 members (widths 3, 4): ")


def test_pools_of_five_members_are_not_told_nor_those_that_no_split_is_made_of(digits):
    assert few_members(plan_of(digits, pool=5)) == []
    assert few_members(plan_of(digits, budgets=[], widths=[2, 3], pool=1)) == []
    assert few_members(plan_of(digits, pool=Study.model_fields["pool"].default)) == []


def test_members_that_are_there_count_not_those_planned(digits):
    planned = plan_of(digits, pool=8)
    (said,) = few_members(planned, [8, 3, 0])
    assert said.startswith("Pools of 3 members (widths 4)")


# Training that is too short.


def lengths(tmp_path, digits, losses, **recipe):
    """What is said to be too short where every member's training losses are these, an epoch each."""
    study = Study(
        name="short", description="", family="wide_resnet", options={"depth": 10}, dataset="digits",
        widths=[2], pool=2, train_size=100, recipe={"epochs": len(losses), "batch_size": 32} | recipe,
    )  # fmt: skip
    planned = plan(study, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    store = Store(tmp_path / "store")
    for seed, run in enumerate(planned.runs):
        logits = np.random.default_rng(seed).normal(size=(40, 10)).astype(np.float32)
        trained = replace(trained_as(run, logits), train_loss=np.array(losses, np.float32))
        publish(store, trained, LABELS)
    return [note for note in result_notes(evaluate(planned, store)) if note.startswith("TOO SHORT")]


def test_a_loss_that_still_falls_is_told(tmp_path, digits):
    (said,) = lengths(tmp_path, digits, [2.3, 2.0, 1.8, 1.6])
    assert (
        "the training loss of width 2 was still falling at the end, by up to 11% in the last epoch of 4"
        in said
    )


def test_the_last_tenth_of_the_epochs_is_looked_at(tmp_path, digits):
    (said,) = lengths(tmp_path, digits, [2.3 - 0.04 * epoch for epoch in range(30)])
    assert "by up to 10% in the last 3 epochs of 30" in said  # 1.26 to 1.14


@pytest.mark.parametrize(
    "losses",
    [
        [2.3, 1.5, 1.5, 1.48],  # it levels off
        [2.3, 0.9, 0.3, 0.1],  # it has nearly gone
        [2.3, 1.5, 1.6, 1.7],  # it rises
    ],
    ids=["level", "fitted", "rising"],
)
def test_a_loss_that_levels_off_or_is_near_zero_is_not(losses, tmp_path, digits):
    assert lengths(tmp_path, digits, losses) == []


def test_fewer_steps_than_classes_are_told(tmp_path, digits):
    (said,) = lengths(tmp_path, digits, [2.3, 2.3])
    assert (
        "members of width 2 make as few as 8 steps for 10 classes (100 images in batches of 32, 2 epochs)"
        in said
    )


@pytest.mark.parametrize(
    ("kind", "source", "least", "of"),
    [
        ("text_classification", 0, 31, "for 31 classes (100 texts in"),
        ("language_model", 0, 4, "for 31 tokens (100 blocks in"),  # 8 positions a block
        ("translation", 3, 7, "for 31 tokens (100 sentence pairs in"),  # 5
    ],
)
def test_every_position_of_a_sample_is_a_chance_to_see_a_token(digits, make_cell, kind, source, least, of):
    planned = plan_of(digits, pool=5)
    task = TokenTask(kind, classes=31, vocabulary=31, length=8, source=source)

    def said(steps):
        cell = make_cell(train_size=100, batch_size=100, epochs=steps)
        cells = [planned.cells[0].model_copy(update={"cell": cell})]
        return few_steps(planned.model_copy(update={"task": task, "cells": cells}))

    assert said(least) == []
    (found,) = said(least - 1)
    assert f"{least - 1} steps {of}" in found


@pytest.mark.parametrize(
    ("size", "batch", "steps"), [(100, 32, 4), (97, 32, 3), (96, 32, 3), (2, 2, 1), (3, 2, 1)]
)
def test_the_steps_of_a_cell_are_those_that_its_batches_make(size, batch, steps, make_cell):
    cell = make_cell(train_size=size, batch_size=batch, epochs=5)
    images, labels = torch.zeros(size, 8, 8, 1, dtype=torch.uint8), torch.zeros(size, dtype=torch.int64)
    feed = Pixels(Scale(torch.zeros(1), torch.ones(1)))
    made = list(epoch_batches(images, labels, [still(size)], batch, feed))
    assert cell.steps == 5 * len(made) == 5 * steps


def test_a_train_size_of_one_image_is_refused(digits):
    with pytest.raises(StudyError, match="train_size 1 is below the 10 classes of 'digits'"):
        plan_of(digits, train_size=1)
