"""One row a member: which run it is, how it went, and what it is worth alone."""

from typing import NamedTuple

from ..analysis import Analysis
from ..records import Score
from ..scoring.pools import Pool
from ..store import Stored
from ._base import Column, Table, Value
from ._metrics import metric_columns
from ._setting import TUNED, setting_columns


class MemberLine(NamedTuple):
    """One member, with its score where it did not diverge; `tuned` is of all pools that it is in."""

    pool: Pool
    tuned: str | None
    stored: Stored
    score: Score | None


def records(analysis: Analysis) -> list[MemberLine]:
    """Each member once: of a choice that is the study's own recipe, the tuned pool is the untuned one."""
    both: dict[str, set[bool | None]] = {}
    for pool in analysis.results.pools:
        both.setdefault(pool.planned.cell.key, set()).add(pool.planned.tuned)
    words = {key: TUNED[found.pop()] if len(found) == 1 else "both" for key, found in both.items()}
    return [line for pool in analysis.results.distinct for line in _lines(pool, words[pool.planned.cell.key])]


def _lines(pool: Pool, tuned: str | None) -> list[MemberLine]:
    alone = iter([s for s in pool.scores.scores if s.members == 1] if pool.scores else [])
    return [
        MemberLine(pool, tuned, one, next(alone) if one.member.status == "done" else None)
        for one in pool.stored
    ]


def last_finite_step(line: MemberLine) -> Value:
    at = line.stored.member.diverged_at
    return at - 1 if at else None


def final_train_loss(line: MemberLine) -> Value:
    return float(line.stored.train_loss[-1]) if line.score else None


SETTING = {column.name: column for column in setting_columns("pool.planned.setting")}
METRICS = metric_columns(
    lambda line, name: line.score and line.score.metrics.get(name), chosen=lambda metric: metric.of_member
)

table = Table(
    "members",
    "Members",
    (
        Column("key", get="stored.member.run.key"),
        SETTING["arm"],
        Column("tuned", optional=True),
        SETTING["subset"],
        *(
            Column(name, get=f"stored.member.run.cell.{name}")
            for name in ("family", "width", "dataset", "train_size", "mode")
        ),
        Column("hyperparameters", get="pool.planned.hyperparameters"),
        Column("seed", get="stored.member.run.seed"),
        *(Column(name, get=f"stored.member.{name}") for name in ("parameters", "status", "diverged_at")),
        Column("last_finite_step", get=last_finite_step, optional=True),
        *METRICS.before,
        Column("cnll", get="score.cnll"),
        *METRICS.after,
        Column("final_train_loss", get=final_train_loss),
        Column("seconds", get="stored.member.seconds"),
        *(
            Column(name, get=f"stored.member.environment.{name}")
            for name in ("device", "torch", "threads", "pack")
        ),
    ),
    records=records,
    csv_only=True,
)
