"""What the first member of every pool recorded while it trained, for tables and figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..arrays import Array
from ..records import Run
from ..scoring.pools import Pool, Results

COLUMNS = (
    "epoch", "train_loss", "test_error", "norm", "effective_learning_rate", "effective_gradient_norm",
    "cosine_to_start",
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """One member's record.

    Attributes:
        arm: Its arm's name without what is swept; "" where there is but one.
        run: The member.
        columns: By name, (row,); those of `COLUMNS` that were recorded.
    """

    arm: str
    run: Run
    columns: Mapping[str, Array]

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def histories(results: Results, arms: Mapping[str, str]) -> tuple[History, ...]:
    """The first recorded member of every pool.

    Args:
        results: A study's.
        arms: Arms' names without what is swept, by pools' arms.
    """
    found = [first_history(pool, arms[pool.planned.arm]) for pool in results.pools]
    return tuple(one for one in found if one is not None)


def first_history(pool: Pool, arm: str) -> History | None:
    """What a pool's first member recorded; None where there is no member, or no record."""
    if not pool.stored:
        return None
    run = pool.stored[0].member.run
    frame = pool.histories.get(run.seed)
    if frame is None:
        return None
    return History(arm, run, {name: frame[name].to_numpy() for name in COLUMNS if name in frame})
