"""CNLL over members and widths: every ensemble size of every pool."""

from dataclasses import dataclass

from ..scoring.pools import Pool, Results


@dataclass(frozen=True)
class PlaneCell:
    """One ensemble size of one pool.

    Attributes:
        arm: The pool's; "" where there is but one.
        width: The members'.
        members: Of the ensemble.
        parameters: Of one member.
        cnll: Mean over the disjoint ensembles, nats per sample.
        stderr: Of that mean; None for a single ensemble.
        ensembles: How many disjoint ensembles.
        nll: Mean, nats per sample.
        accuracy: Mean.
    """

    arm: str
    width: int
    members: int
    parameters: int
    cnll: float
    stderr: float | None
    ensembles: int
    nll: float
    accuracy: float


def plane_cells(results: Results) -> tuple[PlaneCell, ...]:
    """Pool by pool in the plan's order, sizes ascending."""
    return tuple(cell for pool in results.pools for cell in _cells(pool))


def _cells(pool: Pool) -> list[PlaneCell]:
    if pool.scores is None:
        return []
    found = []
    for size, losses in pool.scores.losses.items():
        means = losses.mean(1)
        count = len(means)
        found.append(
            PlaneCell(
                arm=pool.planned.arm,
                width=pool.planned.cell.width,
                members=size,
                parameters=pool.stored[0].member.parameters,
                cnll=float(means.mean()),
                stderr=float(means.std()) / count**0.5 if count > 1 else None,
                ensembles=count,
                nll=pool.scores.mean(size, "nll"),
                accuracy=pool.scores.mean(size, "accuracy"),
            )
        )
    return found
