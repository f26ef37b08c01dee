"""CNLL over members and widths: every ensemble size of every pool, and how well it is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..records import Setting
from ..scoring.covariance import PoolNoise, pool_noises, spaced_scores
from ..scoring.pools import Pool, Results


@dataclass(frozen=True)
class PlaneCell:
    """One ensemble size of one pool.

    Attributes:
        setting: The pool's.
        width: The members'.
        members: Of the ensemble.
        parameters: Of one member.
        cnll: Mean over the disjoint ensembles, nats per sample.
        stderr: Of that mean over fresh members, from what each member brings to it, so that a single ensemble
            has one too; None where no width of the setting has two members.
        ensembles: How many disjoint ensembles.
        nll: Mean, nats per sample.
        accuracy: Mean.
    """

    setting: Setting
    width: int
    members: int
    parameters: int
    cnll: float
    stderr: float | None
    ensembles: int
    nll: float
    accuracy: float


@dataclass(frozen=True)
class MeasuredPlane:
    """The cells, pool by pool in the plan's order, sizes ascending; the noise of each (setting, width)."""

    cells: tuple[PlaneCell, ...]
    noises: dict[tuple[Setting, int], PoolNoise]


def measured_plane(results: Results) -> MeasuredPlane:
    """Every ensemble size of every pool; pools of one setting share what is known of members' spread."""
    noises: dict[tuple[Setting, int], PoolNoise] = {}
    for setting in results.plan.settings:
        its = [pool for pool in results.pools if pool.planned.setting == setting and pool.scores is not None]
        found = pool_noises([spaced_scores(pool) for pool in its])
        noises |= {(setting, pool.planned.cell.width): noise for pool, noise in zip(its, found, strict=True)}
    cells = tuple(cell for pool in results.pools if pool.scores for cell in _cells(pool, noises))
    return MeasuredPlane(cells, noises)


def _cells(pool: Pool, noises: dict[tuple[Setting, int], PoolNoise]) -> Iterator[PlaneCell]:
    assert pool.scores is not None
    setting, width = pool.planned.setting, pool.planned.cell.width
    sizes = list(pool.scores.losses)
    for size, error in zip(sizes, _errors(noises[setting, width], sizes), strict=True):
        means = pool.scores.losses[size].mean(1)
        yield PlaneCell(
            setting=setting,
            width=width,
            members=size,
            parameters=pool.stored[0].member.parameters,
            cnll=float(means.mean()),
            stderr=error,
            ensembles=len(means),
            nll=pool.scores.mean(size, "nll"),
            accuracy=pool.scores.mean(size, "accuracy"),
        )


def _errors(noise: PoolNoise, sizes: Sequence[int]) -> list[float | None]:
    if not noise.freedom:
        return [None] * len(sizes)
    return [float(variance) ** 0.5 for variance in noise.covariance(sizes).diagonal()]
