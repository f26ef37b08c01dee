"""y = c + b m^a: a power law with an asymptote, by variable projection.

For a given exponent, linear least squares give the asymptote and the factor, so only a is searched for.
The papers' objective, squared errors of log2(y - c), is the alternative. It amplifies noise near the
asymptote, and on real data it collapses to c near 0, which plain squares do not.

Source: form and log2 objective, Lobacheva et al. 2020, arXiv:2007.08483; variable projection,
Golub & Pereyra 1973.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Fit
from ._base import Law, Points

STEEPEST, FLATTEST = -4.0, -0.02  # the range of exponents that is searched
_GRID = np.linspace(STEEPEST, FLATTEST, 400)
_NEAR = 1e-3  # of a bound: at it
_ZERO = 1e-6  # of the smallest y: an asymptote below it is at its bound
_ZOOM = 9  # points from one neighbour on the grid to the other
_ROUNDS = 12  # of zooming in by a factor of four


class _Line(NamedTuple):
    """c and b for a given exponent, and the squares that are left."""

    c: Array
    b: Array
    squares: Array


def _line(z: Array, y: Array) -> _Line:
    """Least squares with c >= 0 and b >= 0 over the last axis."""
    mean, level = z.mean(-1), y.mean(-1)
    about = z - mean[..., None]
    b = (about * y).sum(-1) / (about * about).sum(-1)
    c = level - b * mean
    through = (z * y).sum(-1) / (z * z).sum(-1)
    rises, below = b < 0, (b >= 0) & (c < 0)
    c = np.where(rises, level, np.where(below, 0.0, c))
    b = np.where(rises, 0.0, np.where(below, through, b))
    return _Line(c, b, ((y - c[..., None] - b[..., None] * z) ** 2).sum(-1))


def _least_squares(m: Array, ys: Array) -> Array:
    def squares(a: Array) -> Array:
        found: Array = _line(m ** a[..., None], ys[:, None]).squares
        return found

    low, high = _bracket(_GRID, _coarse(m, ys))
    a = _zoom(squares, low, high)
    best = _line(m ** a[:, None], ys)
    return np.stack([a, best.b, best.c], 1)


def _coarse(m: Array, ys: Array) -> Array:
    """Index of each data set's best exponent on the grid: `_line` by matrix products, (draw,)."""
    z, level = m ** _GRID[:, None], ys.mean(1)
    mean = z.mean(1, keepdims=True)
    about, apart = z - mean, ys - level[:, None]
    spread = (about**2).sum(1)[:, None]
    b = about @ apart.T / spread
    total = (apart**2).sum(1)
    found = np.where(b < 0, total, total - b**2 * spread)
    through, own = z @ ys.T, (z**2).sum(1)[:, None]
    below = (b >= 0) & (level < b * mean)
    best: Array = np.where(below, (ys**2).sum(1) - through**2 / own, found).argmin(0)
    return best


def _bracket(grid: Array, best: Array) -> tuple[Array, Array]:
    return grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]


def _zoom(loss: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Minima between two bounds of each data set, (draw,); the loss of (draw, trial) is (draw, trial)."""
    rows = np.arange(len(low))
    for _ in range(_ROUNDS):
        trials = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, _ZOOM)
        best = loss(trials).argmin(1)
        low, high = trials[rows, np.maximum(best - 1, 0)], trials[rows, np.minimum(best + 1, _ZOOM - 1)]
    found: Array = trials[rows, best]
    return found


def _log2(m: Array, ys: Array) -> Array:
    """The papers' objective: for a given asymptote, a straight line in logarithms."""
    least, x = ys.min(1), np.log2(m)
    about = x - x.mean()

    def target(gap: Array) -> Array:
        found: Array = np.log2(ys[:, None] - least[:, None, None] + np.exp(gap)[..., None])
        return found

    def slope(values: Array) -> Array:
        found: Array = (values * about).sum(-1) / (about**2).sum()
        return found

    def squares(gap: Array) -> Array:
        values = target(gap)
        apart = values - values.mean(-1, keepdims=True)
        found: Array = ((apart - slope(values)[..., None] * about) ** 2).sum(-1)
        return found

    # The logarithm changes fast as c nears the smallest y, so the gap between them is searched.
    steps = np.linspace(np.log(1e-9), 0, len(_GRID))
    coarse = squares(np.log(least)[:, None] + steps).argmin(1)
    low, high = _bracket(steps, coarse)
    gap = _zoom(squares, np.log(least) + low, np.log(least) + high)
    a = np.clip(slope(target(gap[:, None]))[:, 0], STEEPEST, FLATTEST)
    c = np.maximum(0.0, least - np.exp(gap))
    log_b = (np.log2(ys - c[:, None]) - a[:, None] * x).mean(1)
    return np.stack([a, 2.0**log_b, c], 1)


def solve(m: Array, ys: Array, objective: str) -> Array:
    """With m in units of its first point: budgets in FLOP are as well conditioned as members."""
    found = (_log2 if objective == "log2" else _least_squares)(m / m[0], ys)
    found[:, 1] *= m[0] ** -found[:, 0]
    return found


def value(parameters: Array, at: Array) -> Array:
    a, b, c = parameters.T[:, :, None]
    values: Array = c + b * np.asarray(at, np.float64) ** a
    return values


def refused(points: Points, fit: Fit) -> str:
    assert fit.a is not None
    if fit.a.value <= STEEPEST + _NEAR:
        return f"the exponent runs to its bound {STEEPEST:g}: the fall is over after the first points"
    return ""


def opened(points: Points, fit: Fit) -> str:
    """Why c is open: a logarithm, which falls for ever, does as well."""
    assert fit.a is not None
    assert fit.b is not None
    assert fit.c is not None
    zero = _ZERO * float(points.y.min())
    if fit.c.value <= zero:
        return "c is at its bound 0"
    if fit.a.value >= FLATTEST - _NEAR:
        return f"the exponent is at its bound {FLATTEST}"
    if len(points.m) <= 3:
        return "it passes through any three points"
    left = points.y - value(np.array([[fit.a.value, fit.b.value, fit.c.value]]), points.m)[0]
    if _logarithm(points) <= left @ left / (len(left) - 3):
        return "y = p - q ln m fits as well"
    if fit.a.high is not None and fit.a.high >= FLATTEST - _NEAR:
        return f"the interval of a reaches {FLATTEST}, next to a logarithm"
    if fit.c.low is not None and fit.c.low <= zero:
        return "the interval of c reaches 0"
    return ""


def _logarithm(points: Points) -> float:
    """Variance about y = p - q ln m, for its two parameters."""
    x = np.log(points.m)
    about = x - x.mean()
    slope = min(0.0, float(about @ points.y / (about @ about)))
    left = points.y - points.y.mean() - slope * about
    return float(left @ left) / (len(x) - 2)


law = Law(
    solve,
    value,
    free=3,
    objectives=("least_squares", "log2"),
    formula="c + b m^a",
    refused=refused,
    opened=opened,
)
