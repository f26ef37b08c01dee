"""How much of a study is trained."""

from dataclasses import dataclass, field

from ..records import Plan, PlannedCell
from ..store import Store


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
    """How much of each cell of a plan is trained, from the store alone.

    Only what members say of themselves is read. Whether their logits are what was published is not checked:
    `evaluate` does that.

    Raises:
        StoreError: What a member says of itself is damaged, or of a newer version.
    """
    rows = []
    for cell in planned.pools:
        runs = cell.runs
        stored = list(store.briefs(runs))
        missing = {run.key for run in runs} - {one.key for one in stored}
        if planned.study.keep_weights:
            missing |= {run.key for run in runs if store.lacks(run, keep_weights=True)}
        found = [one for one in stored if one.key not in missing]
        failed = {run.key: why for run in runs if run.key in missing and (why := store.failure(run.key))}
        seconds = sum(one.seconds for one in stored) / len(stored) if stored else None
        rows.append(
            CellStatus(
                planned=cell,
                done=sum(one.is_done for one in found),
                diverged=sum(not one.is_done for one in found),
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
