"""One row a member: which run it is, how it went, and what it is worth alone."""

from ..scoring.pools import Pool, Results
from ._base import Column, Row, Table, arm_cell

table = Table(
    "members",
    "Members",
    tuple(
        Column(name)
        for name in (
            "key", "arm", "family", "width", "dataset", "train_size", "mode", "hyperparameters", "seed",
            "parameters", "status", "diverged_at", "last_finite_step", "accuracy", "nll", "cnll",
            "final_train_loss", "seconds", "device", "torch", "threads", "pack",
        )
    ),
)  # fmt: skip


def rows(results: Results) -> list[Row]:
    return [row for pool in results.pools for row in _of_pool(pool)]


def _of_pool(pool: Pool) -> list[Row]:
    alone = iter([s for s in pool.scores.scores if s.members == 1] if pool.scores else [])
    found: list[Row] = []
    for one in pool.stored:
        member, cell = one.member, one.member.run.cell
        score = next(alone) if member.status == "done" else None
        found.append(
            {
                "key": member.run.key,
                **arm_cell(pool.planned.arm),
                "family": cell.family,
                "width": cell.width,
                "dataset": cell.dataset,
                "train_size": cell.train_size,
                "mode": cell.mode,
                "hyperparameters": pool.planned.origin,
                "seed": member.run.seed,
                "parameters": member.parameters,
                "status": member.status,
                "diverged_at": member.diverged_at,
                **({"last_finite_step": member.diverged_at - 1} if member.diverged_at else {}),
                "accuracy": score.accuracy if score else None,
                "nll": score.nll if score else None,
                "cnll": score.cnll if score else None,
                "final_train_loss": float(one.train_loss[-1]) if score else None,
                "seconds": member.seconds,
                "device": member.environment.device,
                "torch": member.environment.torch,
                "threads": member.environment.threads,
                "pack": member.environment.pack,
            }
        )
    return found
