"""How many operations training takes."""

from collections.abc import Iterable

from ..records import Plan, Run


def training_flops(planned: Plan, runs: Iterable[Run]) -> float:
    """Operations that training these runs takes."""
    work = _work_of(planned)
    return sum(work[run.cell.key] for run in runs)


def _work_of(planned: Plan) -> dict[str, float]:
    """Training operations of one member of each cell."""
    return {cell.cell.key: cell.training_flops for cell in planned.cells}
