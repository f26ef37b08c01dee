"""The exact law of the norm: what one step does to scale-invariant weights.

A scale-invariant loss has its gradient g at right angles to the weights, so SGD with learning rate r and
coupled weight decay d gives, with p the norm and s = p |g| the effective gradient norm,

    p'^2 = (1 - r d)^2 p^2 + r^2 s^2 / p^2
    cos(angle of a step) = (1 - r d) / sqrt((1 - r d)^2 + (r s / p^2)^2)

exactly. The eps of batch norm leaves a small part of g along the weights; histories record that too.

`examples/norms.py` checks this on a real run.

Source: the identities follow from invariance; Lobacheva et al. 2021, arXiv:2106.15739, build on them.
"""

import numpy as np
import pandas as pd

from ..arrays import Array


def next_square(squared: Array, squared_gradient: Array, rate: Array, weight_decay: float) -> Array:
    """Squared norm of the weights after a step, from the squared norms of weights and gradient before it.

    >>> weights, gradient = np.array([3.0, 4.0]), np.array([-0.8, 0.6])  # at right angles
    >>> after = (1 - 0.1 * 0.5) * weights - 0.1 * gradient
    >>> found = next_square(weights @ weights, gradient @ gradient, 0.1, 0.5)
    >>> bool(np.isclose(found, after @ after))
    True
    """
    return (1 - rate * weight_decay) ** 2 * squared + rate**2 * squared_gradient


def step_cosine(squared: Array, squared_gradient: Array, rate: Array, weight_decay: float) -> Array:
    """Cosine of the angle between the weights before and after a step.

    >>> float(step_cosine(np.array(4.0), np.array(0.0), np.array(0.1), 0.5))
    1.0
    """
    shrunk = 1 - rate * weight_decay
    return shrunk / np.sqrt(shrunk**2 + rate**2 * squared_gradient / squared)


def residuals(steps: pd.DataFrame, weight_decay: float, *, radial: bool = False) -> Array:
    """How far each recorded step's squared norm is from the law, as a fraction of that step's change.

    Args:
        steps: A member's step history, of conventional training without momentum.
        weight_decay: The recipe's.
        radial: Whether to account for the part of the gradient along the weights.

    Returns:
        (row,), dimensionless.
    """
    before, after = steps["squared_norm"].to_numpy(), steps["squared_norm_after"].to_numpy()
    rate = steps["rate"].to_numpy()
    expected = next_square(before, steps["squared_gradient_norm"].to_numpy(), rate, weight_decay)
    if radial:
        along = steps["weights_dot_gradient"].to_numpy()
        expected = expected - 2 * rate * (1 - rate * weight_decay) * along
    share: Array = np.abs(after - expected) / np.abs(after - before)
    return share
