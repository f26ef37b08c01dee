"""Plans a study from its dataset."""

from ..datasets._load import load
from ..planning.plan import plan
from ..records import Plan, Study
from ..store import Store


def plan_study(study: Study) -> Plan:
    """Plans a study with its dataset as it is now."""
    data = load(study.dataset)
    return plan(
        study,
        data.task,
        digest=data.digest,
        dataset=data.name,
        train_images=len(data.arrays.train_images),
    )


def stored_plan(study: Study, store: Store) -> Plan:
    """The plan that a store keeps of a study, or a new one where it keeps none."""
    return store.saved_plan(study) or plan_study(study)
