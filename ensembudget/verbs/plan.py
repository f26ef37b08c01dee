"""Plans a study from its dataset."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import AnyTask, Plan, Study
from ..store import Store

if TYPE_CHECKING:
    from ..datasets._data import Data


def plan_study(study: Study, store: Store | None = None) -> Plan:
    """Plans a study with its dataset as it is now.

    Args:
        study: The study.
        store: Where the choices of a study with `tune` are kept; None, and none is made yet.
    """
    from ..datasets._load import study_data  # these import torch, which a stored plan does without
    from ..planning.faults import refuse
    from ..planning.plan import plan
    from ..planning.probes import unserved_probes
    from ..planning.scored import scored_notes

    data = study_data(study)
    made = plan(
        study,
        data.task,
        digest=data.digest,
        dataset=data.name,
        train_samples=len(data.arrays.train_inputs),
        validation_classes=None
        if data.arrays.train_labels.ndim > 1
        else len(np.unique(data.arrays.train_labels[-study.validation_size :])),
        **({} if store is None else {"choice_of": store.saved_choice}),
    )
    refuse(study, list(unserved_probes(study, data.arrays)))
    notes = [*sample_notes(data), *scored_notes(study, data.task, data.arrays)]
    return made.model_copy(update={"class_names": list(data.class_names), "notes": notes})


def sample_notes(data: "Data") -> list[str]:
    """What readers of results should know of a dataset's samples: left out, cut, resized, shared."""
    from ..datasets._shared import shared_note

    return [*data.notes, *shared_note(data.arrays)]


def task_and_notes(
    dataset: str, image_size: int | None = None, **treatment: Any
) -> tuple[AnyTask, list[str]]:
    """What a dataset asks of a network, and the notes on its samples where it has to be read to tell.

    Args:
        dataset: As in a study: `digits`, `folder:DIR`.
        image_size: Pixels a side to which images are resized.
        treatment: More of what becomes of samples, as `load_data` takes it.

    Raises:
        DatasetError: It cannot be read, or not so.
    """
    from ..datasets._load import known_task, load

    if task := known_task(dataset, image_size, **treatment):
        return task, []
    data = load(dataset, image_size, **treatment)
    return data.task, sample_notes(data)


def stored_plan(study: Study, store: Store) -> Plan:
    """The plan that a store keeps of a study, or a new one where it keeps none."""
    return store.saved_plan(study) or plan_study(study, store)
