"""The slope of a recorded quantity in log-log, with an interval that allows for autocorrelated noise.

Neighbouring records of one run are alike: a step that went wrong is still felt in the next records. Residuals
about the line are therefore taken as an AR(1) process. Least squares gives the line; the lag-one correlation
of its residuals, corrected for its bias, gives the standard error of the slope and the degrees of freedom of
Student's t.

Source: bias of the lag-one correlation about a straight line, -(2 + 4 rho) / n: Shaman and Stine 1988, J.
Amer. Statist. Assoc. 83, 842. Effective number of rows, n (1 - rho) / (1 + rho): Bayley and Hammersley 1946,
J. Roy. Statist. Soc. Suppl. 8, 184. What it covers: `benchmarks/test_coverage.py`.
"""

import math

import numpy as np
from scipy.special import stdtrit

from ..arrays import Array
from ..records import Interval

FLOOR = 1e-8  # nats: the smallest loss that float32 tells from zero
LARGEST_MEMORY = 0.98  # a lag-one correlation above it cannot be told from 1 within some hundred rows


def trend(x: Array, y: Array, *, confidence: float = 0.95) -> Interval:
    """The slope of y along x, by least squares.

    Args:
        x: (row,), at least 10, ascending.
        y: (row,), finite.
        confidence: How often the interval contains the slope.

    Example:
        >>> x = np.log(np.arange(50.0, 201.0))
        >>> noise = np.random.default_rng(0).normal(size=151)
        >>> found = trend(x, -0.5 * x + 0.1 * noise)
        >>> f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
        '-0.50 [-0.54, -0.45]'
    """
    count, scale = len(x), float(np.linalg.norm(x - x.mean()))
    across = (x - x.mean()) / scale
    along = float(across @ y)
    left = y - y.mean() - along * across
    squares, slope = float(left @ left), along / scale
    if squares <= count * (8 * np.finfo(np.float64).eps * np.abs(y).max()) ** 2:  # rounding alone
        return Interval(value=slope, low=slope, high=slope)
    memory = float(left[1:] @ left[:-1]) / squares
    memory = min(max(memory + (2 + 4 * memory) / count, 0.0), LARGEST_MEMORY)
    # Of unit noise: the variance of the slope's and of the mean's part, which residuals lack.
    of_slope, of_mean = (_variance(part, memory) for part in (across, np.full(count, count**-0.5)))
    noise = squares / (count - of_slope - of_mean)
    freedom = max(count * (1 - memory) / (1 + memory) - 2, 2.0)
    reach = float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(noise * of_slope) / scale
    return Interval(value=slope, low=slope - reach, high=slope + reach)


def _variance(weights: Array, memory: float) -> float:
    """Variance of a weighted sum of AR(1) noise of unit variance."""
    lags = np.abs(np.arange(1 - len(weights), len(weights)))
    return float(np.correlate(weights, weights, "full") @ memory**lags)
