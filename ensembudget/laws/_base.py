"""What a law is: a function that is fitted to points, or a reason why it does not fit."""

from collections.abc import Callable
from dataclasses import dataclass

from ..arrays import Array
from ..records import Fit


@dataclass(frozen=True)
class Law:
    """One form of law.

    Attributes:
        fit: `fit(m, y, objective)` fits points that are positive and sorted by m, (point,). It does not
            raise: where no law fits, the status says why.
        value: `value(fit, m)` is the fitted law at m, (point,); only of a fit that has parameters.
        objectives: The objectives it can minimise, the default first.
        formula: The law as people write it.
    """

    fit: Callable[[Array, Array, str], Fit]
    value: Callable[[Fit, Array], Array]
    objectives: tuple[str, ...]
    formula: str
