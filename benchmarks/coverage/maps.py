"""Simulated maps of known truth: crossings, shares of tuning, and signs that never change.

Members and test samples are drawn anew each time; what follows is the code that reports use.
"""

from collections.abc import Sequence

import numpy as np

from ensembudget.arrays import Array
from ensembudget.scoring.comparison import SplitLosses
from ensembudget.scoring.covariance import PoolNoise
from ensembudget.scoring.crossings import Line, Side, sign_changes
from ensembudget.scoring.drawing import Ensembles, drawn_errors
from ensembudget.scoring.shares import Paired, difference, share_gone
from ensembudget.scoring.standard_errors import MemberErrors, Variance
from ensembudget.scoring.turning import advantages
from ensembudget.tables._base import Column, Row, Table

SIZES = (1, 2, 4, 8)
SAMPLES, POOL = 60, 8
DEVIATION = 0.006  # of a pool's mean over members, nats
OWN = 0.05  # of a width's losses over samples, nats
ALONE = PoolNoise(POOL, np.array([1.0]), np.eye(1), POOL - 1)
REPETITIONS = 500
AT = np.array([500.0, 1000, 2000, 4000, 8000])
CROSSING = np.array([-0.08, -0.05, -0.02, 0.01, 0.03])
NEVER = np.array([-0.04, -0.02, -0.002, -0.002, -0.002])
BEFORE, AFTER, CELLS = -0.05, -0.02, 10
TIES = (0.0, 0.006, 0.05)  # what n = 4 and n = 8 are each worse by than the size before

TABLE = Table(
    "maps",
    "Coverage of 95% intervals of a map",
    (
        Column("ties", "n = 2, 4, 8 apart by", ".3f"),
        Column("crossing", "crossing, %", ".1f"),
        Column("closed", "both ends in the data, %", ".1f"),
        Column("factor", "upper end over lower, median", ".1f"),
        Column("false_change", "false change of sign, %", ".1f"),
        Column("share", "share of one cell, %", ".1f"),
        Column("shares", f"share of {CELLS} cells, %", ".1f"),
        Column("difference", f"difference of {CELLS} cells, %", ".1f"),
        Column("difference_wide", "the same, wide networks shared, %", ".1f"),
    ),
    rules=(
        f"{REPETITIONS:,} repetitions: the standard error of a coverage near 95% is 1 point. Pools of"
        f" {POOL}, {SAMPLES} test samples; a mean errs by {DEVIATION} nats over members and by"
        f" {OWN / SAMPLES**0.5:.3f} over samples. n = 2, 4 and 8 are equal, nearly so, or clearly apart: the"
        " lowest is chosen in every repetition.",
        f"Crossing: advantages of {', '.join(f'{one:+.3f}' for one in CROSSING)} nats at 500 to 8,000 images."
        f" False change of sign: some in {', '.join(f'{one:+.3f}' for one in NEVER)}, decided on both sides.",
        f"Shares: advantages of {BEFORE:+.3f} untuned and {AFTER:+.3f} tuned.",
    ),
)  # fmt: skip


def drawn_map(
    rng: np.random.Generator,
    truth: Sequence[float] | Array,
    *,
    ties: float = 0.0,
    draws: int = 1000,
    same_wide: bool = False,
) -> tuple[Array, Array]:
    """Estimates of true advantages and these with errors added once more, (cell,) and (cell, draw).

    Args:
        rng: Draws members and samples.
        truth: The true advantages, (cell,).
        ties: By how much n = 4 and n = 8 are each worse than the size before, nats.
        draws: Of the errors.
        same_wide: Whether cells two by two have one wide network, as with and without tuning.
    """
    difficulty, splits, rows = rng.gamma(1.0, size=SAMPLES), dict[tuple[str, int], Ensembles](), []
    for cell, advantage in enumerate(truth):
        levels = [1.5, *(1.5 + advantage + ties * i for i in range(len(SIZES) - 1))]
        row = []
        for size, level in zip(SIZES, levels, strict=True):
            place = cell - cell % 2 if same_wide and size == 1 else cell
            one = _ensembles(rng, f"{place}, {size}", size, difficulty + level)
            splits.setdefault(one.key, one)
            row.append(list(splits).index(one.key))
        rows.append(row)
    means = np.array([one.losses.losses.mean() for one in splits.values()])
    drawn = means[:, None] + drawn_errors(list(splits.values()), int(rng.integers(2**31)), draws)
    both = [[advantages(values, row[0], row[1:]) for row in rows] for values in (means, drawn)]
    return np.array(both[0]), np.stack(both[1])


def _ensembles(rng: np.random.Generator, pool: str, size: int, expected: Array) -> Ensembles:
    """A split whose losses are as expected, but for chance in its members and in what it sees in samples."""
    members = DEVIATION * POOL**0.5 * rng.normal(size=POOL)
    losses = expected + OWN * rng.normal(size=SAMPLES) + members.mean()
    error = Variance(members.var(ddof=1) / POOL, POOL - 1)
    return Ensembles(pool, SplitLosses(size, losses, MemberErrors(error, error, error, 0.0)), ALONE)


def row_of(ties: float) -> Row:
    rng = np.random.default_rng([0, round(1000 * ties)])
    place = float(np.exp(np.interp(0, CROSSING[2:4], np.log(AT[2:4]))))
    found = [_line(rng, CROSSING, ties) for _ in range(REPETITIONS)]
    ends = [(one.low, one.high) for line in found for one in line.changes]
    closed = [(low, high) for low, high in ends if low and high]
    held = [any((one.low or 0) <= place <= (one.high or np.inf) for one in line.changes) for line in found]
    never = [_line(rng, NEVER, ties) for _ in range(REPETITIONS)]
    false = [
        any({one.before, one.after} == {Side.BELOW, Side.ABOVE} for one in line.changes) for line in never
    ]
    single, several, shared = (
        _shares(rng, ties, cells, same_wide=same)
        for cells, same in ((1, False), (CELLS, False), (CELLS, True))
    )
    return {
        "ties": ties, "crossing": 100 * float(np.mean(held)),
        "closed": 100 * len(closed) / REPETITIONS,
        "factor": float(np.median([high / low for low, high in closed])),
        "false_change": 100 * float(np.mean(false)),
        "share": single[0], "shares": several[0], "difference": several[1], "difference_wide": shared[1],
    }  # fmt: skip


def _line(rng: np.random.Generator, truth: Array, ties: float) -> Line:
    return sign_changes(AT, *drawn_map(rng, truth, ties=ties))


def _shares(rng: np.random.Generator, ties: float, cells: int, *, same_wide: bool) -> tuple[float, float]:
    """How often the intervals of the share and of the difference hold the truth, %."""
    held = np.zeros(2)
    for _ in range(REPETITIONS):
        values, drawn = drawn_map(rng, [BEFORE, AFTER] * cells, ties=ties, same_wide=same_wide)
        pair = Paired(values[::2].mean(), values[1::2].mean(), drawn[::2].mean(0), drawn[1::2].mean(0))
        share, gap = share_gone(pair), difference(pair)
        assert gap.low is not None
        assert gap.high is not None
        truth = 1 - AFTER / BEFORE
        held[0] += share is None or (share.low or 0) <= truth <= (share.high or 0)
        held[1] += gap.low <= AFTER - BEFORE <= gap.high
    return float(100 * held[0] / REPETITIONS), float(100 * held[1] / REPETITIONS)
