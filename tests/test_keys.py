"""A key names what a member is: it changes with all that decides one, and with nothing else."""

import pytest

from ensembudget.records import Cell, ProbeSubject, Recipe, Recording, Run

# Keys of members that were trained before the rule of `KeyedRecord` was written down.
CELL = {
    "family": "convnet",
    "options": {"invariance": "full"},
    "width": 3,
    "dataset": "digits",
    "dataset_digest": "0" * 64,
    "train_size": 10,
    "validation_size": 0,
    "mode": "sphere",
    "training_abi": 1,
}
RECIPE = {"epochs": 2, "learning_rate": 0.1, "effective_learning_rate": 1e-3, "weight_decay": 0.0}


class LaterRecipe(Recipe):
    nesterov: bool = False
    warm_up: int | None = None


class LaterRecording(Recording):
    gradients: bool = True


class LaterCell(Cell):
    recipe: LaterRecipe
    record: LaterRecording | None = None
    label_noise: float = 0.0


def test_a_copy_with_another_field_has_another_key():
    """Keys are cached, and a copy must not carry the cached one along."""
    cell = cell_of()
    run = Run(cell=cell, seed=0)
    before = (cell.key, cell.start_key, run.key, run.stream_key)
    wider = cell.model_copy(update={"width": 4})
    assert wider.key == cell_of(width=4).key != before[0]
    assert wider.start_key == cell_of(width=4).start_key != before[1]
    moved = run.model_copy(update={"seed": 1})
    assert moved.key == Run(cell=cell, seed=1).key != before[2]
    assert moved.stream_key == Run(cell=cell, seed=1).stream_key != before[3]


def cell_of(kind=Cell, recipe=Recipe, recording=Recording, record=True, **changes):
    of_recipe = {k: changes.pop(k) for k in [*changes] if k in recipe.model_fields}
    of_record = {k: changes.pop(k) for k in [*changes] if k in recording.model_fields}
    return kind(
        **CELL | changes,
        recipe=recipe(**RECIPE | of_recipe),
        record=recording(steps=1, **of_record) if record else None,
    )


@pytest.mark.parametrize("record", [True, False])
def test_a_key_is_the_one_it_always_was(record):
    keys = {
        True: "8cf54d1aed226d50423806af8bc957ff05c63b43b026f15cfbb15c8411709a72",
        False: "5ab163957b02b64a82e9fabbd75ccdaddc136ea3b771cd186ab5dc35813fd2c1",
    }
    assert Run(cell=cell_of(record=record), seed=5).key == keys[record]


def test_a_field_added_later_changes_no_key_while_it_has_its_default():
    before, later = cell_of(), cell_of(LaterCell, LaterRecipe, LaterRecording)
    assert later.key == before.key
    assert Run(cell=later, seed=1).key == Run(cell=before, seed=1).key


@pytest.mark.parametrize(
    "change", [{"nesterov": True}, {"warm_up": 0}, {"gradients": False}, {"label_noise": 0.1}]
)
def test_a_field_added_later_changes_the_key_where_it_is_set(change):
    assert cell_of(LaterCell, LaterRecipe, LaterRecording, **change).key != cell_of().key


@pytest.mark.parametrize(
    "change",
    [
        {"family": "vgg"},
        {"options": {}},
        {"width": 4},
        {"dataset_digest": "1" * 64},
        {"train_size": 11},
        {"validation_size": 1},
        {"mode": "bn_wd"},
        {"epochs": 3},
        {"batch_size": 64},
        {"learning_rate": 0.2},
        {"effective_learning_rate": None},
        {"weight_decay": 0.1},
        {"momentum": 0.0},
        {"dropout": 0.1},
        {"schedule": "cosine"},
        {"schedule": "two_stage", "drop_epoch": 1, "drop_factor": 0.1},
        {"crop_padding": 0},
        {"flip": False},
        {"normalisation": "imagenet"},
        {"precision": "float64"},
        {"training_abi": 2},
    ],
)
def test_what_decides_a_member_is_in_its_key(change):
    assert cell_of(**change).key != cell_of().key


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "bn_wd"},
        {"effective_learning_rate": 1e-2},
        {"epochs": 3},
        {"precision": "bfloat16"},
        {"every": 2},
        {"record": False},
        {"curvature": 1},
    ],
)
def test_how_a_member_is_trained_and_recorded_changes_its_key_and_not_its_start(change):
    assert cell_of(**change).key != cell_of().key
    assert Run(cell=cell_of(**change), seed=2).stream_key == Run(cell=cell_of(), seed=2).stream_key


@pytest.mark.parametrize(
    "change",
    [{"family": "vgg"}, {"options": {}}, {"width": 4}, {"dataset_digest": "1" * 64}, {"train_size": 11}],
)
def test_networks_and_images_of_their_own_have_starts_of_their_own(change):
    assert Run(cell=cell_of(**change), seed=2).stream_key != Run(cell=cell_of(), seed=2).stream_key
    assert Run(cell=cell_of(), seed=3).stream_key != Run(cell=cell_of(), seed=2).stream_key


def test_what_a_dataset_is_called_is_in_no_key():
    assert cell_of(dataset="elsewhere").key == cell_of().key


def test_a_probe_that_finds_other_numbers_has_another_key():
    """And one of the first ABI has the key, and the document, that it had before there was a second."""
    first = ProbeSubject(kind="line", options={"pairs": 1}, members=["a" * 64, "b" * 64])
    assert first.key == "c3e361b18cd1aa4d65c539276b0147358a3dc69c42d12653be49556ce5868c87"
    assert "abi" not in first.to_json()
    assert ProbeSubject.from_json(first.to_json()) == first
    second = first.model_copy(update={"abi": 2})
    assert second.key != first.key
    assert ProbeSubject.from_json(second.to_json()) == second
