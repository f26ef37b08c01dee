"""The networks of a plane, so that the widths of a budget can be counted."""

from ..datasets._load import study_task
from ..errors import ArmError
from ..methods._options import unit_of
from ..planning.variants import variants_of
from ..records import MethodOptions, Network, Plan, Study
from .arms import chosen_arm


def planned_network(plan: Plan, arm: str) -> Network:
    """The network of one setting of a plan, by its label.

    Raises:
        ArmError: Its members are units of several networks.
        DatasetError: The plan is of an older version, which kept no task, and its dataset is not there.
    """
    study = plan.study
    cell = next(planned.cell for planned in plan.cells if planned.setting.label == arm)
    _refuse_units(cell.method, cell.method_options, arm or study.name)
    return Network(
        family=study.family,
        options=cell.options,
        task=plan.task or study_task(study),
        dtype=cell.dtype,
        multiple_of=study.multiple_of,
        budget_kind=study.budget_kind,
    )


def study_network(study: Study, arm: str | None = None) -> Network:
    """The network of one arm of a study.

    Raises:
        ArmError: No such arm, or several and none named; or its members are units of several networks.
    """
    variants = {variant.setting.label: variant for variant in variants_of(study)}
    variant = variants[chosen_arm(list(variants), arm, f"study {study.name!r}")]
    _refuse_units(variant.method, variant.method_options, variant.setting.label or study.name)
    return Network(
        family=study.family,
        options=dict(variant.options),
        task=study_task(study),
        dtype=variant.dtype,
        multiple_of=study.multiple_of,
        budget_kind=study.budget_kind,
    )


def _refuse_units(method: str, options: MethodOptions, name: str) -> None:
    unit = unit_of(method, options)
    if not unit.is_network:
        raise ArmError(
            f"a member of {name!r} is a unit of {unit.predictors:,} predictors (method {method!r}), and"
            " widths are counted for single networks alone. Predict from the report's plane.csv, which knows"
            " the parameters of its units, or name an arm whose members are single networks."
        )
