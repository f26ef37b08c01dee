"""y = c + b m^a: a power law with an asymptote, by variable projection.

For a given exponent, linear least squares give the asymptote and the factor, so only a is searched for.
The papers' objective, squared errors of log2(y - c), is the alternative. It amplifies noise near the
asymptote, and on real data it collapses to c near 0, which plain squares do not.

Source: form and log2 objective, Lobacheva et al. 2020, arXiv:2007.08483; variable projection,
Golub & Pereyra 1973.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit  # Student's t; scipy.stats takes half a second to import

from ..arrays import Array
from ..records import Fit, Interval
from ._base import Law

STEEPEST, FLATTEST = -4.0, -0.02  # the range of exponents that is searched
LEVEL = 0.95
LEAST_POINTS = 4  # a law of three parameters passes through any three points
LARGEST_RESIDUAL = 0.1  # as a fraction of the fall from the first point to the last
_GRID = np.linspace(STEEPEST, FLATTEST, 400)


class _Linear(NamedTuple):
    """Least squares for a given exponent: c and b, the residual sum of squares, and (X^T X)^-1."""

    c: float
    b: float
    squares: float
    inverse: Array


def _linear(m: Array, y: Array, a: float) -> _Linear:
    """Least squares with c >= 0 and b >= 0."""
    z = m**a
    mean, about = z.mean(), z - z.mean()
    spread = about @ about
    b = (about @ y) / spread
    c = y.mean() - b * mean
    if b < 0:
        c, b = y.mean(), 0.0
    elif c < 0:
        c, b = 0.0, (z @ y) / (z @ z)
    inverse = np.array([[1 / len(m) + mean**2 / spread, -mean / spread], [-mean / spread, 1 / spread]])
    return _Linear(float(c), float(b), float(((y - c - b * z) ** 2).sum()), inverse)


def _least_squares(m: Array, y: Array) -> tuple[float, float, float]:
    coarse = int(np.argmin([_linear(m, y, a).squares for a in _GRID]))
    bounds = (_GRID[max(0, coarse - 1)], _GRID[min(len(_GRID) - 1, coarse + 1)])
    a = _refine(lambda a: _linear(m, y, a).squares, *bounds)
    best = _linear(m, y, a)
    return a, best.b, best.c


def _refine(loss: Callable[[float], float], low: float, high: float) -> float:
    return float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x)


def _log2(x: Array, y: Array) -> tuple[float, float, float]:
    """The papers' objective: for a given asymptote, a straight line in logarithms."""
    least, design = float(y.min()), np.stack([np.log2(x), np.ones_like(x)], 1)

    def line(log_gap: float) -> tuple[float, float, float]:
        target = np.log2(y - least + np.exp(log_gap))
        (a, log_b), *_ = np.linalg.lstsq(design, target, rcond=None)
        return float(a), float(log_b), float(((design @ [a, log_b] - target) ** 2).sum())

    # The logarithm changes fast as c nears the smallest y, so the gap between them is searched.
    gaps = np.log(least) + np.linspace(np.log(1e-9), 0, 400)
    coarse = int(np.argmin([line(gap)[2] for gap in gaps]))
    gap = _refine(lambda gap: line(gap)[2], gaps[max(0, coarse - 1)], gaps[min(len(gaps) - 1, coarse + 1)])
    a, log_b, _ = line(gap)
    c = max(0.0, least - float(np.exp(gap)))
    if not STEEPEST <= a <= FLATTEST:
        a = float(np.clip(a, STEEPEST, FLATTEST))
        log_b = float((np.log2(y - c) - a * np.log2(x)).mean())
    return a, float(2.0**log_b), c


def _region(m: Array, y: Array) -> Iterator[tuple[float, _Linear, float]]:
    """Every exponent within the 95% confidence region, and how many squares it leaves for b and c to vary.

    For a given exponent the squares are a parabola in c and b, so the region needs no search.
    """
    a, _, _ = _least_squares(m, y)
    squares, freedom = _linear(m, y, a).squares, len(m) - 3
    limit = squares * (1 + float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2 / freedom)
    limit = max(limit, float((1e-12 * y).max() ** 2))  # noise-free points still have rounding
    for exponent in np.sort(np.append(_GRID, a + np.linspace(-0.05, 0.05, 101))):
        if STEEPEST <= exponent <= FLATTEST:
            at = _linear(m, y, exponent)
            if at.squares <= limit:
                yield float(exponent), at, limit - at.squares


def _intervals(m: Array, y: Array, a: float, b: float, c: float) -> tuple[Interval, ...]:
    """Profile intervals of the three parameters around the reported values."""
    ends: tuple[list[float], ...] = ([a], [b], [c])
    for exponent, at, room in _region(m / m[0], y):
        c_room, b_room = np.sqrt(room * np.diag(at.inverse))
        ends[0].append(exponent)
        unit = m[0] ** -exponent
        ends[1].extend([unit * max(0.0, at.b - b_room), unit * (at.b + b_room)])
        ends[2].extend([max(0.0, at.c - c_room), min(at.c + c_room, max(at.c, float(y.max())))])
    return tuple(
        Interval(value=value, low=float(min(found)), high=float(max(found)))
        for value, found in zip((a, b, c), ends, strict=True)
    )


def band(m: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """Profile interval of the law's value anywhere.

    Args:
        m: Where the law was fitted, (point,).
        y: The fitted values, (point,).
        at: Where the interval is wanted, (place,).

    Returns:
        Lower and upper ends, (place,) each.
    """
    low, high = np.full(len(at), np.inf), np.full(len(at), -np.inf)
    for exponent, best, room in _region(m / m[0], y):
        design = np.stack([np.ones_like(at), (at / m[0]) ** exponent], 1)
        value = design @ [best.c, best.b]
        reach = np.sqrt(room * np.einsum("pi,ij,pj->p", design, best.inverse, design))
        low, high = np.minimum(low, value - reach), np.maximum(high, value + reach)
    return low, high


def fit(m: Array, y: Array, objective: str) -> Fit:
    facts: dict[str, Any] = {
        "law": "power_law",
        "objective": objective,
        "points": len(m),
        "smallest": float(m[0]) if len(m) else None,
        "largest": float(m[-1]) if len(m) else None,
    }
    if len(m) < LEAST_POINTS:
        return Fit(
            **facts,
            status=f"{len(m)} points: three parameters pass through any three, so at least"
            f" {LEAST_POINTS} are needed",
        )
    solve = _log2 if objective == "log2" else _least_squares
    a, b, c = _in_units(solve, m, y)
    squares = float(((y - c - b * m**a) ** 2).sum())
    a_interval, b_interval, c_interval = _intervals(m, y, a, b, c)
    held_a, held_b, held_c = _in_units(solve, m[:-1], y[:-1])
    return Fit(
        **facts,
        a=a_interval,
        b=b_interval,
        c=c_interval,
        residual=float(np.sqrt(squares / len(m))),
        held_out_error=float(held_c + held_b * m[-1] ** held_a - y[-1]),
        status=_status(y, a, squares, a_interval),
    )


def _in_units(
    solve: Callable[[Array, Array], tuple[float, float, float]], m: Array, y: Array
) -> tuple[float, float, float]:
    """Solves with m in units of its first point: then budgets in FLOP are as well conditioned as members."""
    a, b, c = solve(m / m[0], y)
    return a, b * float(m[0] ** -a), c


def _status(y: Array, a: float, squares: float, interval: Interval) -> str:
    fall = float(y[0] - y[-1])
    if fall <= 0:
        return "y does not fall from the first point to the last"
    residual = float(np.sqrt(squares / (len(y) - 3)))
    if residual > LARGEST_RESIDUAL * fall:
        return f"the points scatter about the law by {residual / fall:.0%} of their whole fall"
    if a <= STEEPEST + 1e-3:
        return f"the exponent runs to its bound {STEEPEST}: the fall is over after the first points"
    if a >= FLATTEST - 1e-3:
        return f"the exponent runs to its bound {FLATTEST}: a logarithm does as well, no asymptote shows"
    if interval.low is not None and interval.low <= STEEPEST and (interval.high or 0) >= FLATTEST:
        return "the points leave the exponent open over its whole range"
    return "ok"


def value(fitted: Fit, m: Array) -> Array:
    assert fitted.a is not None
    assert fitted.b is not None
    assert fitted.c is not None
    values: Array = fitted.c.value + fitted.b.value * np.asarray(m, np.float64) ** fitted.a.value
    return values


law = Law(fit, value, ("least_squares", "log2"), "c + b m^a")
