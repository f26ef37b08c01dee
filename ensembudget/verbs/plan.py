"""Plans a study from its dataset."""

import numpy as np

from ..records import Plan, Study
from ..store import Store


def plan_study(study: Study, store: Store | None = None) -> Plan:
    """Plans a study with its dataset as it is now.

    Args:
        study: The study.
        store: Where the choices of a study with `tune` are kept; None, and none is made yet.
    """
    # These import torch, which a stored plan does without.
    from ..datasets._load import sample_notes, study_data
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


def stored_plan(study: Study, store: Store) -> Plan:
    """The plan that a store keeps of a study, or a new one where it keeps none."""
    return store.saved_plan(study) or plan_study(study, store)
