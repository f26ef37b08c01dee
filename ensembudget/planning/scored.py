"""How many positions are scored, with their logits kept, where a task predicts every position."""

from collections.abc import Iterator

import numpy as np

from ..catalog import TASKS
from ..datasets._base import Arrays
from ..datasets._order import permutation
from ..records import AnyTask, Study
from ..tasks._base import IGNORED

SCORED = 4_000  # positions of each part, where a study does not say


def scored_positions(study: Study, task: AnyTask) -> int | None:
    """The `scored` of a study's cells: positions of each part, or None where every sample has one answer."""
    return (study.scored_positions or SCORED) if TASKS[task.kind].positions else None


def scored_faults(study: Study, task: AnyTask, dataset: str) -> Iterator[str]:
    """Why a study cannot choose `scored_positions`: one sentence, or none."""
    if study.scored_positions is not None and not TASKS[task.kind].positions:
        yield (
            f"scored_positions {study.scored_positions:,}: each of the {TASKS[task.kind].samples} of"
            f" {dataset!r} has one answer, and logits of all are kept. Leave it out."
        )


def scored_notes(study: Study, task: AnyTask, arrays: Arrays) -> list[str]:
    """A sentence on the positions that are scored, where a task predicts every position; else none."""
    scored = scored_positions(study, task)
    if scored is None:
        return []
    places = np.argwhere(arrays.test_labels != IGNORED)
    samples, every = TASKS[task.kind].samples, len(places)
    held = len(np.unique(places[permutation(every)[:scored], 0]))  # as `packing.parts` draws them
    some = f"{scored:,} of the {every:,}" if scored < every else f"all {every:,}"
    return [
        f"Scores are of {some} predicted tokens of the test {samples}"
        f"{', the first of a fixed random order' * (scored < every)}, in {held:,}"
        f" {samples}. Tokens of one of them are not independent: temperatures are fitted on one half of the"
        f" {samples} and scored on the other, and intervals over test samples are over {samples}."
    ]
