"""How much of a study is trained."""

from dataclasses import dataclass, field

from ..records import Plan, PlannedCell
from ..store import Store
from .missing import missing_runs


@dataclass(frozen=True)
class CellStatus:
    """How many members of a cell's pool there are, and how long one takes.

    Attributes:
        reasons: Why members failed when last tried.
        logs: The end of a log for some of these reasons.
    """

    planned: PlannedCell
    done: int
    diverged: int
    failed: int
    seconds_each: float | None = None
    reasons: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        return self.planned.members - self.done - self.diverged


def status(planned: Plan, store: Store) -> list[CellStatus]:
    """How much of each cell of a plan is trained, from the store alone."""
    rows, missing = [], {run.key for run in missing_runs(planned, store)}
    for cell in planned.pools:
        stored = [store.read(run.key).member for run in cell.runs if run.key in store]
        found = [member for member in stored if member.run.key not in missing]
        failed = {run.key: why for run in cell.runs if run.key in missing and (why := store.failure(run.key))}
        seconds = sum(member.seconds for member in stored) / len(stored) if stored else None
        rows.append(
            CellStatus(
                planned=cell,
                done=sum(member.status == "done" for member in found),
                diverged=sum(member.status == "diverged" for member in found),
                failed=len(failed),
                seconds_each=seconds,
                reasons=list(failed.values()),
                logs={why: log for key, why in failed.items() if (log := store.failure_log(key))},
            )
        )
    return rows


def seconds_left(rows: list[CellStatus]) -> float | None:
    """Seconds to train the missing members one after another, estimated from the members there are.

    For a cell without members the other cells' time counts, in proportion to operations. None where no
    cell has members.
    """
    known = [(row.seconds_each, row.planned.training_flops) for row in rows if row.seconds_each]
    if not known:
        return None
    rate = sum(seconds for seconds, _ in known) / sum(amount for _, amount in known)
    return sum(row.missing * (row.seconds_each or rate * row.planned.training_flops) for row in rows)
