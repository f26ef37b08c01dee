"""What a law is: a function fitted to points, with a status that can say no."""

from collections.abc import Callable
from dataclasses import dataclass

from ..arrays import Array
from ..records import Fit


@dataclass(frozen=True)
class Law:
    """One form of law.

    Attributes:
        fit: `fit(m, y, objective)` for points sorted by m; never raises for points that `check`
            lets through, but says in the status what is wrong.
        value: `value(fit, m)` is the law's y at m, (point,), of a fit whose parameters are there.
        objectives: What it can minimise, the default first.
        formula: As people write it.
    """

    fit: Callable[[Array, Array, str], Fit]
    value: Callable[[Fit, Array], Array]
    objectives: tuple[str, ...]
    formula: str
