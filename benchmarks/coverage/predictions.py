"""Planes of simulated members whose truth is known, and how often predictions beyond them hold.

A plane has four widths of eight members, measured at 1, 2, 4 and 8 members as pools are; the covariance of
its cells is estimated from the same members. The law, its exponents, the noise and the distance of widths are
drawn anew for each. Five truths: the law holds; it has bumps along width; wide networks overfit; the gain of
ensembling grows with width; width stops helping.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from ensembudget.arrays import Array
from ensembudget.prediction.budgets import Budgeted, Candidate
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import Plane, checked
from ensembudget.prediction.pools import curves_of
from ensembudget.prediction.predict import predict
from ensembudget.records import Prediction
from ensembudget.scoring.covariance import ScoredPool
from ensembudget.tables import _base
from ensembudget.tables._base import Row, Table

WIDTHS, MEMBERS, SIZES = 4, 8, (1, 2, 4, 8)
SEED = 1  # of the planes; those of seed 0 were looked at when priors were chosen
NARROWEST = 8  # width; a member has 100 times the square of its width in parameters
Truth = Callable[[Array, Array], Array]  # CNLL at members and widths


class World(NamedTuple):
    """One plane and the truth behind it; `step` is the ratio of its widths."""

    plane: Plane
    truth: Truth
    step: float

    def width(self, steps: int) -> int:
        """So many steps beyond the widest that was measured."""
        return width_of(self.step, WIDTHS - 1 + steps)

    def cells(self, steps: int) -> Budgeted:
        """Every size at one width beyond the measured: not of one budget, and judged one by one."""
        k = self.width(steps)
        return Budgeted(1, "parameters", [Candidate(n, k, 100 * k * k) for n in SIZES])

    def budget(self) -> Budgeted:
        """The budget of one network a step wider than was measured: its splits at measured widths."""
        total = 100 * self.width(1) ** 2
        widths = [width_of(self.step, i) for i in range(WIDTHS + 1)][::-1]
        splits = [Candidate(round(total / (100 * k * k)), k, 100 * k * k) for k in widths]
        return Budgeted(total, "parameters", [one for one in splits if one.members <= 2 * MEMBERS])

    def of(self, candidates: list[Candidate]) -> Array:
        """True CNLL."""
        n, k, _ = np.array(candidates, float).T
        return self.truth(n, k)


def width_of(step: float, number: int) -> int:
    return round(NARROWEST * step**number)


def worlds(kind: str, count: int, seed: int = SEED) -> Iterator[World]:
    """Planes of one of `TRUTHS`."""
    rng = np.random.default_rng([seed, list(TRUTHS).index(kind)])
    for _ in range(count):
        step = float(rng.choice([2**0.5, 2]))
        truth = TRUTHS[kind](rng, (width_of(step, WIDTHS - 1) / NARROWEST) ** 2, step**2)
        yield World(_plane(rng, truth, step), truth, step)


def _plane(rng: np.random.Generator, truth: Truth, step: float) -> Plane:
    """What pools of members measure: each moves the means of all sizes, by more or less the same."""
    n, pools = np.array(SIZES, float), []
    widths = [width_of(step, number) for number in range(WIDTHS)]
    ends = [truth(np.array([1.0, SIZES[-1]]), np.array([k, k], float)) for k in widths]
    noise = float(np.ptp(ends)) * np.exp(rng.uniform(np.log(0.03), np.log(0.15)))  # of one member
    apart = np.abs(np.log2(n)[:, None] - np.log2(n))
    for k in widths:
        own = noise * rng.uniform(0.7, 1.4)
        covariance = own**2 * 0.85**apart
        moved = rng.multivariate_normal(np.zeros(len(n)), covariance, size=MEMBERS)
        cnll = truth(n, np.full(len(n), float(k))) + moved.mean(0)
        influences = (moved - moved.mean(0)) * (MEMBERS / (MEMBERS - 1)) ** 0.5
        pools.append(ScoredPool(k, 100 * k * k, dict(zip(SIZES, cnll.tolist(), strict=True)), influences))
    return checked(curves_of(pools), "plane")


class Law(NamedTuple):
    """c + b n^-alpha + d q^-beta + e n^-alpha q^-beta, q in parameters of the narrowest member."""

    c: float
    b: float
    d: float
    e: float
    alpha: float
    beta: float

    def __call__(self, n: Array, q: Array) -> Array:
        along = n**-self.alpha
        found: Array = self.c + self.b * along + (self.d + self.e * along) * q**-self.beta
        return found

    def fall(self, widest: float, step: float) -> float:
        """What width gains a single network in the last measured step."""
        ends = self(np.ones(2), np.array([widest / step, widest]))
        return float(ends[0] - ends[1])


def drawn_law(rng: np.random.Generator) -> Law:
    b, d, e = rng.uniform([0.1, 0.3, 0.0], [0.4, 0.8, 0.4])
    return Law(0.5, b, d, e, rng.uniform(0.6, 1.1), np.exp(rng.uniform(np.log(0.3), np.log(0.8))))


def _q(k: Array) -> Array:
    found: Array = (np.asarray(k) / NARROWEST) ** 2
    return found


def holds(rng: np.random.Generator, widest: float, step: float) -> Truth:
    law = drawn_law(rng)
    return lambda n, k: law(n, _q(k))


def bumps(rng: np.random.Generator, widest: float, step: float) -> Truth:
    """A wave along width, of 2 to 5% of the range, with a period of two to five steps."""
    law = drawn_law(rng)
    height = rng.uniform(0.02, 0.05) * (law.d + law.b + law.e)
    period, phase = rng.uniform(2, 5) * np.log(step), rng.uniform(0, 2 * np.pi)
    return lambda n, k: law(n, _q(k)) + height * np.sin(2 * np.pi * np.log(_q(k)) / period + phase)


def overfits(
    rng: np.random.Generator, widest: float, step: float, share: tuple[float, float] = (0.2, 1.0)
) -> Truth:
    """A term that grows with width: at the widest it takes a share of the gain of the last step, and in each
    step it grows 1.4 to 3 times.
    """
    law, power = drawn_law(rng), np.log(rng.uniform(1.4, 3)) / np.log(step)
    height = rng.uniform(*share) * law.fall(widest, step)
    shared = rng.random() < 0.5  # by all members, or averaged out over them
    return lambda n, k: law(n, _q(k)) + height * (_q(k) / widest) ** power * (1 if shared else n**-law.alpha)


def gain_grows(rng: np.random.Generator, widest: float, step: float) -> Truth:
    """Single networks follow a law, and what ensembling gains grows with width."""
    law, power = drawn_law(rng), rng.uniform(0.1, 0.4)
    return lambda n, k: (
        law.c + law.b + law.d * _q(k) ** -law.beta - law.b * _q(k) ** power * (1 - n**-law.alpha)
    )


def stops(rng: np.random.Generator, widest: float, step: float) -> Truth:
    """From some width on, out of the middle of the plane to half a step beyond, width changes nothing."""
    law, last = drawn_law(rng), widest * step ** rng.uniform(-1.5, 0.5)
    return lambda n, k: law(n, np.minimum(_q(k), last))


TRUTHS: dict[str, Callable[[np.random.Generator, float, float], Truth]] = {
    "the law holds": holds,
    "bumps along width": bumps,
    "wide networks overfit": overfits,
    "gain grows with width": gain_grows,
    "width stops helping": stops,
    "they overfit harder": partial(overfits, share=(0.5, 1.5)),
}
UNBOUNDED = "they overfit harder"  # what begins beyond the data: known not to be covered well enough


# What is measured.

PLANES = 185  # of each truth
TABLE = Table(
    "predictions",
    "Predictions beyond the widest width",
    (
        _base.Column("truth", "truth"),
        _base.Column("planes", "planes", "d"),
        _base.Column("ok", "called ok", ".2f"),
        _base.Column("covered_ok", "covered where ok", ".3f"),
        _base.Column("covered", "covered, all", ".3f"),
        _base.Column("reach", "half-width / range", ".3f"),
        _base.Column("covered_far", "two steps, never ok", ".3f"),
        _base.Column("budget_ok", "budgets called ok", ".2f"),
        _base.Column("right", "best split right", ".2f"),
        _base.Column("claimed", "claimed", ".2f"),
    ),
    rules=(
        f"A plane: {WIDTHS} widths a factor of 1.41 or 2 apart, {MEMBERS} members each; the mean of a width"
        " is known to 1 to 5% of the range of CNLL, its covariance is estimated from the members. Truths are"
        " drawn anew for each plane: bumps of 2 to 5% of the range; overfitting that takes a fifth to all of"
        " the last step's gain at the widest (harder: half to one and a half), and grows 1.4 to 3 times a"
        " step; a gain that grows by the power 0.1 to 0.4 of the parameters; width that stops from the middle"
        " of the plane to half a step beyond. Priors were chosen on other planes than these.",
        "Covered: true CNLL of ensembles of 1, 2, 4 and 8 members one step of width beyond the widest, in 90%"
        " intervals. Two steps beyond nothing is called ok, and the interval is still given.",
        "Best split: of the budget of one network a step wider than was measured, against the probability"
        " that is claimed for it, over budgets that are called ok.",
    ),
)


def row_of(kind: str, planes: int = PLANES) -> Row:
    """What predictions are worth under one truth."""
    seen = [_judged(world) for world in worlds(kind, planes)]
    near = np.array([one.near for one in seen])
    ok, budget_ok = (np.array([getattr(one, name) for one in seen]) for name in ("ok", "budget_ok"))
    right, claimed = (np.array([getattr(one, name) for one in seen]) for name in ("right", "claimed"))
    return {
        "truth": kind,
        "planes": planes,
        "ok": float(ok.mean()),
        "covered_ok": float(near[ok].mean()),
        "covered": float(near.mean()),
        "reach": float(np.mean([one.reach for one in seen])),
        "covered_far": float(np.mean([one.far for one in seen])),
        "budget_ok": float(budget_ok.mean()),
        "right": float(right[budget_ok].mean()),
        "claimed": float(claimed[budget_ok].mean()),
    }


class Judged(NamedTuple):
    """One plane: shares covered one and two steps beyond, what is called ok, a budget's best split."""

    near: float
    far: float
    reach: float
    ok: bool
    budget_ok: bool
    right: bool
    claimed: float


def _judged(world: World) -> Judged:
    asked = [world.budget(), world.cells(1), world.cells(2)]
    budget, one, two = predict(fit_plane(world.plane), asked)
    assert two.status != "ok"
    truth = world.of(asked[0].candidates)
    best = asked[0].candidates[int(truth.argmin())].members
    chosen = next(split for split in budget.splits if split.members == budget.best)
    near, far = _covered(one, world.of(asked[1].candidates)), _covered(two, world.of(asked[2].candidates))
    return Judged(
        near=near,
        far=far,
        reach=float(np.mean([high - low for low, high in _ends(one)]) / 2 / np.ptp(world.plane.cnll)),
        ok=one.status == "ok",
        budget_ok=budget.status == "ok",
        right=best == budget.best,
        claimed=chosen.probability_best or 0.0,
    )


def _covered(found: Prediction, truth: Array) -> float:
    return float(np.mean([low <= one <= high for (low, high), one in zip(_ends(found), truth, strict=True)]))


def _ends(found: Prediction) -> list[tuple[float, float]]:
    return [(split.cnll.low or 0.0, split.cnll.high or 0.0) for split in found.splits]
