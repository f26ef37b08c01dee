"""What probes found, in groups that one row of a table is about."""

from ..catalog import PROBES
from ..records import Plan, PlannedCell
from ..scoring.pools import FoundProbe, Results


def grouped(results: Results, *shows: str) -> list[list[FoundProbe]]:
    """Measurements of one probe at one pool with the same options, in the order of the study's probes.

    Args:
        results: A study's.
        shows: What the findings are read as, by the probes that are wanted.
    """
    groups: dict[tuple[str, str, str], list[FoundProbe]] = {}
    for one in results.probes:
        subject = one.probed.subject
        if PROBES[subject.kind].shows in shows:
            options = str(sorted(subject.options.items()))
            groups.setdefault((subject.kind, options, one.planned.to_json()), []).append(one)
    return list(groups.values())


def budget_of(plan: Plan, planned: PlannedCell, members: int) -> int | None:
    """The budget of the study's split that ensembles of one size out of a pool are; None of no split."""
    place = planned.setting, planned.cell.width, members
    found = (s.budget for s in plan.splits if (s.setting, s.width, s.members) == place)
    return next(found, None)
