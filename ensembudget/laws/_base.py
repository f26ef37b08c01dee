"""What a law is: how it is solved for its parameters, and when its asymptote shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..arrays import Array
from ..records import Fit


class Points(NamedTuple):
    """What a law is fitted to, and what is known of its errors.

    Attributes:
        m: Positive and ascending, (point,).
        y: Positive, (point,).
        covariance: Of the errors of y, (point, point); None to take them as independent and equal, and
            estimate them from the residuals.
        freedom: Degrees of freedom of the covariance; None where it is known exactly.
        unknown: Why nothing is known of the errors, and nothing gets an interval; "" where something is.
    """

    m: Array
    y: Array
    covariance: Array | None = None
    freedom: float | None = None
    unknown: str = ""


def _nothing(points: Points, fit: Fit) -> str:
    """Nothing to object."""
    return ""


@dataclass(frozen=True)
class Law:
    """One form of law. Intervals, refusals and bands follow from it in `fit_points`.

    Attributes:
        solve: `solve(m, ys, objective)` fits the parameters (a, b, c) to many data sets at one m,
            (draw, point) to (draw, 3). It does not raise.
        value: `value(parameters, at)` is each law at some m, (draw, 3) and (place,) to (draw, place).
        free: How many of the parameters are fitted.
        objectives: The objectives it can minimise, the default first.
        formula: The law as people write it.
        refused: `refused(points, fit)` is why a fit is no law at all; "" where it is.
        opened: `opened(points, fit)` is why no asymptote shows; "" where c is determined.
        parameters: Those of a, b and c that the law has; the others are 0 and no part of a fit.
        straight: What makes of y a straight line in ln m; None where nothing does.
        share: Whether y is a share, below 1.
    """

    solve: Callable[[Array, Array, str], Array]
    value: Callable[[Array, Array], Array]
    free: int
    objectives: tuple[str, ...]
    formula: str
    refused: Callable[[Points, Fit], str] = _nothing
    opened: Callable[[Points, Fit], str] = _nothing
    parameters: str = "abc"
    straight: Callable[[Array], Array] | None = None
    share: bool = False
