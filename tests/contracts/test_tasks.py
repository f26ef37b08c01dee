"""What every kind of task keeps: samples, example and feed fit each other and a packed network."""

import pytest
import torch
from torch import Generator

from ensembudget.catalog import TASKS
from ensembudget.packing.batches import epoch_batches, feed_of, for_all
from ensembudget.records import Recipe, Task, TokenTask
from helpers import CELL

LARGER = {
    "images": Task(classes=5, channels=3, image_size=12),
    "text_classification": TokenTask("text_classification", classes=5, vocabulary=30, length=9),
    "language_model": TokenTask("language_model", classes=30, vocabulary=30, length=9),
    "translation": TokenTask("translation", classes=30, vocabulary=30, length=11, source=4),
}
CASES = [
    pytest.param(task, id=f"{name}-{size}")
    for name in TASKS
    for size, task in (("smallest", TASKS[name].smallest), ("larger", LARGER.get(name)))
    if task
]
every_task = pytest.mark.parametrize("task", CASES)

# All that changes samples is on: crops, mirrors.
RECIPE = Recipe(epochs=1, learning_rate=0.1, weight_decay=0, crop_padding=2, flip=True)
COUNT = 7


def generator(seed=0):
    return Generator().manual_seed(seed)


def samples(task, count=COUNT, seed=0):
    return TASKS[task.kind].random(task, count, generator(seed))


@every_task
def test_the_smallest_task_is_of_its_kind(task):
    assert TASKS[task.kind].smallest.kind == task.kind


@every_task
def test_random_samples_are_as_a_dataset_has_them(task):
    inputs, labels = samples(task)
    assert len(inputs) == len(labels) == COUNT
    assert labels.dtype == torch.int64
    assert labels.ndim == (2 if TASKS[task.kind].positions else 1)
    assert 0 <= labels.min() <= labels.max() < task.classes
    for one, again in zip((inputs, labels), samples(task), strict=True):
        assert torch.equal(one, again)
    assert not torch.equal(inputs, samples(task, seed=1)[0])
    if isinstance(task, TokenTask):
        assert (inputs.dtype, inputs.shape[1]) == (torch.int32, task.length)
        assert 0 <= inputs.min() <= inputs.max() < task.vocabulary
    else:
        assert inputs.dtype == torch.uint8
        assert inputs.shape[1:] == (task.image_size, task.image_size, task.channels)


@every_task
def test_the_example_is_as_a_sample_reaches_a_network(task):
    inputs, _ = samples(task)
    example = TASKS[task.kind].example(task)
    assert example.is_meta
    one = for_all(inputs[:1], 1, feed_of(CELL.recipe, task, inputs))
    assert (example.shape, example.dtype) == (one.shape, one.dtype)


@every_task
def test_members_lie_side_by_side_and_do_not_meet(task):
    theirs = [samples(task, seed=seed)[0] for seed in range(3)]
    feed = feed_of(CELL.recipe, task, theirs[0])
    packed = feed(torch.stack(theirs))
    assert len(packed) == COUNT
    for own, part in zip(theirs, packed.chunk(3, 1), strict=True):
        assert torch.equal(feed(own[None]), part)


@every_task
def test_an_epoch_is_drawn_by_its_generator_alone(task):
    inputs, _ = samples(task)
    feed, state = feed_of(RECIPE, task, inputs), torch.get_rng_state()
    draws, again = (feed.draw(COUNT, generator()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(draws.order.tolist()) == list(range(COUNT))
    assert torch.equal(draws.order, again.order)
    assert draws.changes.keys() == again.changes.keys()
    for name, rows in draws.changes.items():
        assert len(rows) == COUNT
        assert torch.equal(rows, again.changes[name])


@every_task
def test_augmentation_is_of_each_sample_by_itself(task):
    inputs, _ = samples(task)
    feed = feed_of(RECIPE, task, inputs)
    changes = feed.draw(COUNT, generator()).changes
    if not changes:
        pytest.skip(f"nothing augments {TASKS[task.kind].samples}")
    whole = feed.augment(inputs, changes)
    assert (whole.shape, whole.dtype) == (inputs.shape, inputs.dtype)
    assert not torch.equal(whole, inputs)
    for i in range(COUNT):
        row = {name: rows[i : i + 1] for name, rows in changes.items()}
        assert torch.equal(feed.augment(inputs[i : i + 1], row)[0], whole[i])


@every_task
def test_every_batch_of_an_epoch_is_a_networks_input(task):
    inputs, labels = samples(task)
    feed = feed_of(RECIPE, task, inputs)
    draws = [feed.draw(COUNT, generator(seed)) for seed in range(2)]
    example = TASKS[task.kind].example(task)
    for some, theirs in epoch_batches(inputs, labels, draws, 4, feed):
        assert some.shape == (theirs.shape[1], 2 * example.shape[1], *example.shape[2:])
        assert theirs.shape == (2, len(some), *labels.shape[1:])


@every_task
def test_a_feed_computes_where_and_as_its_network_does(task):
    inputs, _ = samples(task)
    feed = feed_of(CELL.recipe, task, inputs)
    assert feed.size >= 1
    moved = feed.to(torch.device("meta"), torch.float64)
    there = for_all(inputs, 1, moved)
    assert moved.device.type == there.device.type == "meta"
    assert there.dtype == (torch.float64 if there.is_floating_point() else torch.int64)
    assert feed.device.type == "cpu"  # as it was


@every_task
def test_what_augments_its_samples_are_fields_of_a_recipe(task):
    assert TASKS[task.kind].augmented <= Recipe.model_fields.keys()
