"""Hindcasts: laws fitted up to smaller sizes than there are, and judged at the larger ones."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..catalog import LAWS
from ..laws._base import Law
from .curve_fits import LEAST_FITTED, solved
from .curve_ranks import spearman
from .learning_curves import LearningCurves

LEAST_ORIGINS = 2  # hindcasts from different sizes: one may be right by chance


class Hindcast(NamedTuple):
    """One law fitted up to one size and judged at a larger one.

    Attributes:
        origin: Training images of the largest size that was fitted.
        target: Training images that it was judged at.
        errors: ln of measured over predicted, (model,).
        correlation: Spearman's, of predicted and measured.
        without: The same of the values at the origin: no law.
    """

    origin: float
    target: float
    errors: Array
    correlation: float
    without: float

    @property
    def factor(self) -> float:
        return self.target / self.origin


@dataclass(frozen=True)
class Reliability:
    """How far a law's hindcasts were off at a distance.

    Attributes:
        law: The law's name.
        hindcasts: One from every size: the nearest that are as far as what is asked, else the farthest.
        reaches: Whether enough of them are as far.
        stretch: What errors are multiplied by for being asked further than any hindcast went.
        shared: Root mean square of what all models miss alike, in ln of the metric.
        own: Of what each misses for itself, likewise; 0 for a single model.
    """

    law: str
    hindcasts: tuple[Hindcast, ...]
    reaches: bool
    stretch: float
    shared: float
    own: float

    @property
    def total(self) -> float:
        return math.hypot(self.shared, self.own)


def most_reliable(curves: LearningCurves, columns: Sequence[int], factor: float) -> Reliability:
    """The law that was off least in hindcasts as far as this, or in the farthest where none goes so far."""
    found = [
        _reliability(name, curves, tuple(_hindcasts(law, curves, columns)), factor)
        for name, law in LAWS.usable().items()
    ]
    known = [one for one in found if one.hindcasts]
    reaching = [one for one in known if one.reaches]
    # Only hindcasts that all laws made are compared: to begin early is no advantage.
    pairs = set.intersection(
        *({(cast.origin, cast.target) for cast in one.hindcasts} for one in reaching or known)
    )
    return min(reaching or known, key=lambda one: _error_over(one, pairs))


def _error_over(one: Reliability, pairs: set[tuple[float, float]]) -> float:
    casts = [cast for cast in one.hindcasts if not pairs or (cast.origin, cast.target) in pairs]
    return one.stretch * float(np.sqrt(np.mean([cast.errors**2 for cast in casts])))


def _hindcasts(law: Law, curves: LearningCurves, columns: Sequence[int]) -> Iterator[Hindcast]:
    for last in range(law.free - 1, len(columns) - 1):
        fitted = list(columns[: last + 1])
        if len(fitted) < LEAST_FITTED:
            continue
        later = list(columns[last + 1 :])
        predicted = solved(law, curves, fitted, curves.values[:, fitted], curves.sizes[later])
        for column, values in zip(later, predicted.T, strict=True):
            measured, before = curves.values[:, column], curves.values[:, fitted[-1]]
            yield Hindcast(
                origin=float(curves.sizes[fitted[-1]]),
                target=float(curves.sizes[column]),
                errors=np.log(measured / values),
                correlation=float(spearman(values, measured)),
                without=float(spearman(before, measured)),
            )


def _reliability(
    law: str, curves: LearningCurves, hindcasts: Sequence[Hindcast], factor: float
) -> Reliability:
    """From every origin the nearest hindcast that is as far; else the farthest, stretched in ln N."""
    far = [cast for cast in hindcasts if cast.factor >= factor * (1 - 1e-9)]
    nearest = {cast.origin: cast for cast in sorted(far, key=lambda cast: -cast.factor)}
    reaches, stretch = len(nearest) >= LEAST_ORIGINS, 1.0
    if not reaches and hindcasts:
        farthest = {cast.origin: cast for cast in sorted(hindcasts, key=lambda cast: cast.factor)}
        used = sorted(farthest.values(), key=lambda cast: -cast.factor)[:LEAST_ORIGINS]
        nearest = {cast.origin: cast for cast in used}
        stretch = max(1.0, math.log(factor) / math.log(min(cast.factor for cast in used)))
    chosen = tuple(nearest[origin] for origin in sorted(nearest))
    errors = np.array([cast.errors for cast in chosen]).reshape(len(chosen), len(curves.models))
    alike = errors.mean(1)
    count = len(curves.models) - 1
    own = ((errors - alike[:, None]) ** 2).sum() / (len(chosen) * count) if count and len(chosen) else 0.0
    shared = float(np.sqrt((alike**2).mean())) if len(chosen) else 0.0
    return Reliability(law, chosen, reaches, stretch, shared, float(own) ** 0.5)
