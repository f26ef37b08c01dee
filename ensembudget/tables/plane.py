"""The (members, width) plane: what a prediction of the best split starts from."""

from ..scoring.pools import Results
from ._base import Column, Row, Table, arm_cell

table = Table(
    "plane",
    "The plane of members and widths",
    tuple(
        Column(name)
        for name in ("members", "width", "parameters", "cnll", "stderr", "groups", "nll", "accuracy", "arm")
    ),
)


def rows(results: Results) -> list[Row]:
    """`parameters` of one member; `stderr` of the mean over groups, absent for a single group."""
    found: list[Row] = []
    for pool in results.pools:
        if pool.scores is None:
            continue
        for size, losses in pool.scores.losses.items():
            means = losses.mean(1)
            groups = len(means)
            found.append(
                {
                    "members": size,
                    "width": pool.planned.cell.width,
                    "parameters": pool.stored[0].member.parameters,
                    "cnll": float(means.mean()),
                    "stderr": float(means.std()) / groups**0.5 if groups > 1 else None,
                    "groups": groups,
                    "nll": pool.scores.mean(size, "nll"),
                    "accuracy": pool.scores.mean(size, "accuracy"),
                    **arm_cell(pool.planned.arm),
                }
            )
    return found
