"""Refuses arrays that networks cannot be trained on."""

import numpy as np

from ..catalog import TASKS
from ..errors import DatasetError
from ..records import TokenTask
from ..tasks._base import IGNORED
from ..tasks.images import SMALLEST_IMAGE
from ._base import Arrays, Labels


def check(arrays: Arrays, spec: str) -> None:
    """Refuses arrays that networks cannot be trained on.

    Args:
        arrays: A dataset's samples and labels.
        spec: What messages call the dataset.

    Raises:
        DatasetError: No samples, shapes or types that do not fit the task, labels or tokens out of range,
            fewer than two classes.
    """
    kind = TASKS[arrays.task.kind if arrays.task else "images"]
    said = f"dataset {spec!r}"
    for part, inputs, labels in (
        ("training", arrays.train_inputs, arrays.train_labels),
        ("test", arrays.test_inputs, arrays.test_labels),
    ):
        if len(inputs) == 0:
            raise DatasetError(f"{said} has no {part} {kind.samples}.")
        if len(inputs) != len(labels):
            raise DatasetError(f"{said} has {len(inputs)} {part} {kind.samples} but {len(labels)} labels.")
        _check_labels(arrays, labels, f"{part} {kind.samples.removesuffix('s')}", said, kind.positions)
    if not kind.positions and (present := len(np.unique(arrays.train_labels))) < 2:
        raise DatasetError(f"{said} has {kind.samples} of {present} class; at least two are needed.")
    if arrays.task:
        _check_tokens(arrays, arrays.task, said)
    else:
        _check_images(arrays, said)


def _check_labels(arrays: Arrays, labels: Labels, sample: str, said: str, positions: bool) -> None:
    outside = (labels < 0) | (labels >= arrays.classes)
    if positions:
        outside &= labels != IGNORED
        if (labels == IGNORED).all():
            raise DatasetError(f"{said}: no position of any {sample} has a label.")
    if outside.any():
        wrong = tuple(int(one) for one in np.argwhere(outside)[0])
        where = f", position {wrong[1]}," if len(wrong) > 1 else ""
        raise DatasetError(
            f"{said}: label {labels[wrong]} of {sample} {wrong[0]}{where} is not in"
            f" 0..{arrays.classes - 1} ({arrays.classes} classes)."
        )


def _check_tokens(arrays: Arrays, task: TokenTask, said: str) -> None:
    if task.classes != arrays.classes:
        raise DatasetError(f"{said} has {arrays.classes} classes, and its task {task.classes}.")
    predicted = (task.predicted,) if TASKS[task.kind].positions else ()
    for part, inputs, labels in (
        ("training", arrays.train_inputs, arrays.train_labels),
        ("test", arrays.test_inputs, arrays.test_labels),
        ("out-of-scope", arrays.outside_inputs, None),
    ):
        if inputs is None:
            continue
        if inputs.shape[1:] != (task.length,) or not np.issubdtype(inputs.dtype, np.integer):
            raise DatasetError(
                f"{said} has {part} tokens of shape {inputs.shape} and type {inputs.dtype}; needed are whole"
                f" numbers, (sample, {task.length})."
            )
        if labels is not None and labels.shape[1:] != predicted:
            shape = ", ".join(["sample", *map(str, predicted)])
            raise DatasetError(f"{said} has {part} labels of shape {labels.shape}; needed is ({shape}).")
        if (outside := (inputs < 0) | (inputs >= task.vocabulary)).any():
            row, place = map(int, np.argwhere(outside)[0])
            raise DatasetError(
                f"{said}: token {inputs[row, place]} of {part} sample {row}, position {place}, is not in"
                f" 0..{task.vocabulary - 1} (a vocabulary of {task.vocabulary})."
            )


def _check_images(arrays: Arrays, said: str) -> None:
    height, width = arrays.train_inputs.shape[1:3]
    if height != width or height < SMALLEST_IMAGE:
        raise DatasetError(
            f"{said} has images of {height}x{width} pixels; they must be square and at least"
            f" {SMALLEST_IMAGE}x{SMALLEST_IMAGE}. Set image_size in the study, and each is cut to its central"
            " square and resized."
        )
    if arrays.test_inputs.shape[1:] != arrays.train_inputs.shape[1:]:
        raise DatasetError(
            f"{said} has training images of shape {arrays.train_inputs.shape[1:]} and test"
            f" images of shape {arrays.test_inputs.shape[1:]}; they must be alike. Set image_size"
            " or colour in the study."
        )
