"""One row a pool: how far its best member is ahead of the average one."""

from ensembudget.analysis import Analysis
from ensembudget.scoring.pools import Pool
from ensembudget.tables._base import Column, Table


def records(analysis: Analysis) -> list[Pool]:
    return [pool for pool in analysis.results.pools if pool.scores]


def members_losses(pool: Pool) -> list[float]:
    """CNLL of every member by itself."""
    assert pool.scores is not None
    return [one.cnll for one in pool.scores.scores if one.members == 1]


def average(pool: Pool) -> float:
    losses = members_losses(pool)
    return sum(losses) / len(losses)


table = Table(
    "pools",
    "Members of every pool",
    (
        Column("width", "width", "d", get=lambda pool: pool.planned.cell.width),
        Column("trained", "members", "d", get=lambda pool: len(pool.trained)),
        Column("average", "average CNLL", ".4f", get=average),
        Column("lowest", "lowest CNLL", ".4f", get=lambda pool: min(members_losses(pool))),
    ),
    rules=("CNLL of members by themselves, nats per sample.",),
    records=records,
)
