"""Which probes a study's plan has: their options, and whether they can be measured at all."""

from collections.abc import Iterator
from typing import NamedTuple

from ..catalog import PROBES
from ..datasets._base import Arrays
from ..errors import EnsembudgetError, PlanError
from ..options import check_name, check_value
from ..records import (
    FIRST_ABI,
    AnyTask,
    Plan,
    PlannedCell,
    ProbeChoice,
    ProbeSubject,
    Run,
    Study,
    Value,
    Values,
)
from .widths import cost


class PlannedProbe(NamedTuple):
    """One probe at one pool.

    Attributes:
        planned: The pool.
        kind: The probe.
        options: All of them.
        abi: The ABI that it was planned under.
    """

    planned: PlannedCell
    kind: str
    options: Values
    abi: int

    @property
    def measurements(self) -> int:
        """How many there are, where no member diverges."""
        return len(PROBES[self.kind].groups(self.planned.members, self.options))

    def subjects(self, runs: list[Run]) -> Iterator[tuple[ProbeSubject, list[Run]]]:
        """What is measured at the members of the pool that can be used, and by which of them."""
        for group in PROBES[self.kind].groups(len(runs), self.options):
            some = [runs[place] for place in group]
            keys = [run.key for run in some]
            yield ProbeSubject(kind=self.kind, options=self.options, members=keys, abi=self.abi), some


def probes_of(plan: Plan) -> list[PlannedProbe]:
    """Every probe at every pool that it names, in the order of the study."""
    return [
        PlannedProbe(planned, choice.kind, options, plan.probe_abi(choice.kind))
        for choice in plan.study.probes
        for planned in plan.cells
        if planned.cell.is_trained and (not choice.widths or planned.cell.width in choice.widths)
        for options in _at(choice, planned, plan)
    ]


def abis(study: Study) -> dict[str, int]:
    """The ABIs of a study's probes, without those of the first."""
    found = {choice.kind: PROBES[choice.kind].abi for choice in study.probes}
    return {kind: abi for kind, abi in found.items() if abi != FIRST_ABI}


def _at(choice: ProbeChoice, planned: PlannedCell, plan: Plan) -> list[Values]:
    """The options of a probe at one pool: once, or once for every ensemble size."""
    options = resolve(choice)
    if not PROBES[choice.kind].each_size or options["members"]:
        return [options]
    return [{**options, "members": size} for size in _sizes(planned, plan)]


def _sizes(planned: PlannedCell, plan: Plan) -> list[int]:
    """The ensemble sizes that a study's splits make of a pool; of a pool of no split, those that fit."""
    place = planned.setting, planned.cell.width
    of_splits = {split.members for split in plan.splits if (split.setting, split.width) == place}
    return sorted(of_splits) or sorted(size for size in plan.study.members if size <= planned.members)


def resolve(choice: ProbeChoice) -> Values:
    """A probe's options: those of a study over the defaults.

    Raises:
        UnknownPartError: No such probe.
        PlanError: No such option, or a value of another type.
    """
    part = PROBES[choice.kind]
    return {**part.options, **{name: _checked(choice.kind, name, v) for name, v in choice.options.items()}}


def _checked(kind: str, name: str, value: Value) -> Value:
    part, called = PROBES[kind], f"probe {kind!r}"
    check_name(called, name, part.options)
    if isinstance(part.options[name], float) and type(value) is int:
        value = float(value)
    check_value(called, name, value, part.options[name], part.choices)
    if isinstance(value, int | float) and value < 0:
        raise PlanError(f"option {name} = {value} of {called} is below 0, the smallest that works.")
    return value


def probe_faults(study: Study) -> Iterator[str]:
    """Faults of a study's probes that can be found without its data, a sentence each."""
    for choice in study.probes:
        try:
            resolve(choice)
        except EnsembudgetError as error:
            yield f"probes: {error}"
    if study.probes and not study.keep_weights:
        yield "probes: they start from trained weights, which are not kept. Set keep_weights = true."


def unfit_probes(plan: Plan, task: AnyTask) -> Iterator[str]:
    """Why probes cannot be measured at the pools of a plan, a sentence each.

    Args:
        plan: Of a study without `probe_faults`.
        task: Of its dataset.
    """
    widths = sorted({cell.cell.width for cell in plan.cells})
    for choice in plan.study.probes:
        if unknown := sorted(set(choice.widths) - set(widths)):
            yield (
                f"probe {choice.kind!r} asks for width {unknown[0]}, which no pool has. Widths of this study:"
                f" {', '.join(map(str, widths))}."
            )
        if (tasks := PROBES[choice.kind].tasks) and task.kind not in tasks:
            able = [
                name for name, part in PROBES.usable().items() if not part.tasks or task.kind in part.tasks
            ]
            yield (
                f"probe {choice.kind!r} is measured on {' or '.join(sorted(tasks))}, and the dataset is of"
                f" {task.kind}. Leave it out, or take one of {', '.join(able)}."
            )
    for probe in probes_of(plan):
        part, cell = PROBES[probe.kind], probe.planned.cell
        # A first look has fewer members, and measures what they allow.
        if (needs := part.needs(probe.options)) > probe.planned.members and not plan.study.first_look:
            yield (
                f"probe {probe.kind!r} needs {needs} members, and the pool of width {cell.width} has"
                f" {probe.planned.members}. Set pool = {needs}, or ask for less in its options."
            )
        parameters = cost(cell.family, cell.width, task, options=cell.options)
        if fault := part.fault(probe.options, parameters):
            yield f"probe {probe.kind!r} at width {cell.width}: {fault}"


def unserved_probes(study: Study, arrays: Arrays) -> Iterator[str]:
    """What a study's probes need and its dataset lacks, a sentence each.

    Args:
        study: Its probes can be measured on the task.
        arrays: Of its dataset.
    """
    for kind in dict.fromkeys(choice.kind for choice in study.probes):
        if fault := PROBES[kind].lacks(arrays):
            yield f"probe {kind!r}: {fault}"
