"""Tables are written for images; for other tasks their texts are reworded to texts, blocks or pairs."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..catalog import TASKS
from ..records import Interval, Plan
from ._base import Column, Table, Value, read

IMAGES = "images"


def samples_of(plan: Plan) -> str:
    """The word for the samples of a plan's task, in the plural."""
    if plan.task is None or plan.task.kind == IMAGES:
        return IMAGES  # without a look at the kinds of tasks, which import torch
    return TASKS[plan.task.kind].samples


def worded(text: str, samples: str) -> str:
    """A text about images, reworded to other samples.

    Args:
        text: A text of a table or a figure.
        samples: The word for the samples, in the plural.

    Example:
        >>> worded("Each image of the training images", "sentence pairs")
        'Each sentence pair of the training sentence pairs'
    """
    if samples == IMAGES:
        return text
    return re.sub(r"\bimage(s?)\b", lambda found: samples if found[1] else samples.removesuffix("s"), text)


def worded_table(table: Table, samples: str) -> Table:
    """A table with its title, headings, rules and notes reworded; the same table for images."""
    if samples == IMAGES:
        return table
    return replace(
        table,
        title=worded(table.title, samples),
        summary_title=worded(table.summary_title, samples),
        columns=tuple(_column(one, samples) for one in table.columns),
        rules=tuple(worded(rule, samples) for rule in table.rules),
        notes=lambda subject: [worded(note, samples) for note in table.notes(subject)],
    )


def _column(column: Column, samples: str) -> Column:
    found = replace(column, heading=worded(column.heading, samples))
    # Cells of hyperparameters say what a recipe was tuned on. Other cells hold names, which must stay.
    return replace(found, get=_said(column, samples)) if column.name == "hyperparameters" else found


def _said(column: Column, samples: str) -> Callable[[Any], Value | Interval]:
    def get(record: Any) -> Value | Interval:
        path = column.get or column.name
        found: Value | Interval = path(record) if callable(path) else read(record, path)
        return worded(found, samples) if isinstance(found, str) else found

    return get
