"""y = c + b / m: what variance that shrinks with the ensemble would give."""

import numpy as np

from ensembudget.arrays import Array
from ensembudget.laws._base import Law
from ensembudget.records import Fit, Interval


def fit(m: Array, y: Array, objective: str) -> Fit:
    if len(m) < 3:
        refusal = f"{len(m)} points: two parameters pass through any two"
        return Fit(law="inverse", objective=objective, points=len(m), status=refusal)
    (b, c), *_ = np.linalg.lstsq(np.stack([1 / m, np.ones_like(m)], 1), y, rcond=None)
    return Fit(
        law="inverse",
        objective=objective,
        a=Interval(value=-1.0),
        b=Interval(value=float(b)),
        c=Interval(value=float(c)),
        residual=float(np.sqrt(np.mean((y - c - b / m) ** 2))),
        points=len(m),
        smallest=float(m[0]),
        largest=float(m[-1]),
        status="ok" if b > 0 else "y does not fall",
    )


def value(fitted: Fit, m: Array) -> Array:
    assert fitted.b is not None
    assert fitted.c is not None
    values: Array = fitted.c.value + fitted.b.value / np.asarray(m, np.float64)
    return values


law = Law(fit, value, ("least_squares",), "c + b / m")
