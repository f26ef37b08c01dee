"""Laws along members, from one pool each, and along width, from a pool each width: simulated logits.

Members differ in how noisy they are, so the sizes of one pool share its level. The true law is the one that
fits the mean CNLL of each size over all pools.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ensembudget.laws._fit import fit_points
from ensembudget.records import Fit
from ensembudget.scoring.covariance import PoolNoise, ScoredPool, pool_noises
from ensembudget.scoring.ensembles import size_losses
from ensembudget.scoring.regrouping import member_influences
from ensembudget.scoring.sizes import spaced
from ensembudget.tables._base import Column, Row, Table

REPEATS = 500
OLD = 100  # of them judged by the old rule
SAMPLES, CLASSES = 100, 4
WIDTHS = (2, 4, 8, 16, 32)
EACH = 8  # members of each width
LOGARITHM = (1.0, 0.03)  # p and q of p - q ln m
CORRELATED, LEVEL_ERROR = 0.75, 0.01  # of sizes, and standard error of each point in nats

TABLE = Table(
    "laws",
    "Coverage of the 95% intervals of laws",
    (
        Column("truth", "truth"),
        Column("members", "members", "d"),
        Column("points", "points", "d"),
        Column("repeats", "pools", "d"),
        Column("a", "covers a", ".3f"),
        Column("b", "covers b", ".3f"),
        Column("c", "covers c", ".3f"),
        Column("before", "c by scatter alone", ".3f"),
        Column("error", "standard error", ".3f"),
        Column("ok", "called ok", ".3f"),
        Column("c_ok", "covers c where ok", ".3f"),
    ),
    rules=(
        f"Members are a signal, errors that all share, and noise of their own on {SAMPLES} samples and"
        f" {CLASSES} classes. How noisy one is varies by 10% (alike), 15% (diverse), 8% by Student's t"
        " with three degrees of freedom (heavy-tailed). The truth is the law of the mean over all pools.",
        f"Along width: {EACH} members of each of {len(WIDTHS)} widths from {WIDTHS[0]} to {WIDTHS[-1]},"
        " with noise that falls with the width, n = 1.",
        f"Logarithm: p - q ln m with p, q = {LOGARITHM[0]:g}, {LOGARITHM[1]:g} at five sizes with a standard"
        f" error of {LEVEL_ERROR:g} nats and correlations of {CORRELATED:g}, of 15 degrees of freedom. It has"
        " no c to cover, and should not be called ok.",
        f"By scatter alone: errors taken as independent, their size from the residuals; {OLD} pools.",
        "Standard error: that of a coverage of 0.95 over so many pools.",
    ),
)


class Simulated(NamedTuple):
    """A kind of members: how large their own noise is, how much that varies, and by which distribution."""

    name: str
    own: float
    level: float
    heavy: bool = False


KINDS = (
    Simulated("alike", 0.6, 0.10),
    Simulated("diverse", 1.0, 0.15),
    Simulated("heavy-tailed", 0.8, 0.08, heavy=True),
)


class Drawn(NamedTuple):
    """The points of a law, and what is known of their errors."""

    m: np.ndarray
    y: np.ndarray
    covariance: np.ndarray
    freedom: float


class World:
    """Test samples, and members that share their errors on these."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = torch.from_numpy(rng.integers(CLASSES, size=SAMPLES))
        signal = 2 * np.eye(CLASSES)[self.labels.numpy()]
        self.shared = signal + rng.normal(size=(SAMPLES, CLASSES))

    def pool(self, rng: np.random.Generator, kind: Simulated, count: int, sizes: Sequence[int]) -> ScoredPool:
        """Fresh members, scored as a report scores them."""
        varied = rng.standard_t(3, (count, 1, 1)) if kind.heavy else rng.normal(size=(count, 1, 1))
        noise = kind.own * np.exp(kind.level * varied) * rng.normal(size=(count, SAMPLES, CLASSES))
        logits = torch.from_numpy((self.shared + noise).astype(np.float32))
        losses, temperatures = size_losses(logits, self.labels, sizes)
        moved = member_influences(logits, self.labels, losses, temperatures)
        cnll = {size: float(each.mean()) for size, each in losses.items()}
        return ScoredPool(1, 1, cnll, moved.members, moved.partners.tolist())


def along_members(kind: Simulated, count: int, seed: int = 0) -> Iterator[Drawn]:
    """The sizes of one pool each."""
    world, rng, sizes = World(seed), np.random.default_rng([seed, count]), spaced(range(1, count + 1))
    for _ in range(REPEATS):
        one = world.pool(rng, kind, count, sizes)
        (noise,) = pool_noises([one])
        yield _points([float(size) for size in sizes], one.cnll.values(), noise.covariance(sizes), [noise])


def along_width(seed: int = 0) -> Iterator[Drawn]:
    """Single members of several widths, a pool each."""
    world, rng = World(seed), np.random.default_rng([seed, 1])
    for _ in range(REPEATS):
        pools = [world.pool(rng, Simulated("", 0.4 + 2.4 / k, 0.05), EACH, [1]) for k in WIDTHS]
        noises = pool_noises(pools)
        covariance = np.diag([float(noise.covariance([1])[0, 0]) for noise in noises])
        yield _points([float(k) for k in WIDTHS], [one.cnll[1] for one in pools], covariance, noises)


def _points(m, y, covariance, noises: Sequence[PoolNoise]) -> Drawn:
    return Drawn(np.array(m), np.array(list(y)), covariance, min(noise.freedom for noise in noises))


def logarithms(seed: int = 0) -> Iterator[Drawn]:
    """Points of a pure logarithm whose errors have a covariance that is estimated."""
    rng, m = np.random.default_rng(seed), 2.0 ** np.arange(5)
    freedom, (p, q) = 15, LOGARITHM
    covariance = LEVEL_ERROR**2 * (CORRELATED + (1 - CORRELATED) * np.eye(5))
    for _ in range(REPEATS):
        errors = rng.multivariate_normal(np.zeros(5), covariance, size=freedom + 1)
        estimated = errors[1:].T @ errors[1:] / freedom
        yield Drawn(m, p - q * np.log(m) + errors[0], estimated, freedom)


def rows() -> Iterator[Row]:
    """One row a truth."""
    for kind in KINDS:
        for count in (8, 16):
            yield _row(f"members, {kind.name}", count, list(along_members(kind, count)))
    yield _row("members, alike", 32, list(along_members(KINDS[0], 32)))
    yield _row("width", EACH, list(along_width()))
    yield _row("logarithm", 16, list(logarithms()), covers=False)


def _row(truth: str, members: int, drawn: Sequence[Drawn], *, covers: bool = True) -> Row:
    fits = [fit_points(one.m, one.y, covariance=one.covariance, freedom=one.freedom) for one in drawn]
    true = fit_points(drawn[0].m, np.mean([one.y for one in drawn], 0))
    before = [fit_points(one.m, one.y) for one in drawn[:OLD]]
    ok = np.array([fit.status == "ok" for fit in fits])
    found: Row = {"truth": truth, "members": members, "points": len(drawn[0].m), "repeats": len(drawn)}
    found |= dict.fromkeys("abc") | {"before": None, "error": None, "ok": float(ok.mean()), "c_ok": None}
    if covers:
        found |= {name: float(_covered(fits, true, name).mean()) for name in "abc"}
        found["before"] = float(_covered(before, true, "c").mean())
        found["error"] = float(np.sqrt(0.95 * 0.05 / len(drawn)))
        found["c_ok"] = float(_covered(fits, true, "c")[ok].mean()) if ok.any() else None
    return found


def _covered(fits: Sequence[Fit], true: Fit, name: str) -> np.ndarray:
    value = getattr(true, name).value
    ends = [getattr(fit, name) for fit in fits]
    return np.array([one.low <= value <= one.high for one in ends])
