"""The exact law of the norm: what one step does to scale-invariant weights.

A scale-invariant loss has its gradient g at right angles to the weights, so SGD with learning rate r and
coupled weight decay d gives, with p the norm and s = p |g| the effective gradient norm,

    p'^2 = (1 - r d)^2 p^2 + r^2 s^2 / p^2
    cos(angle of a step) = (1 - r d) / sqrt((1 - r d)^2 + (r s / p^2)^2)

exactly. The eps of batch norm leaves a small part of g along the weights, which is recorded too.

    python -m ensembudget.dynamics.norms     # the residual over a real run, in float64

Source: the identities follow from invariance; Lobacheva et al. 2021, arXiv:2106.15739, build on them.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import Array
from ..datasets._load import load
from ..records import Cell, Recipe, Recording, Run
from ..training.history import STEPS
from ..training.loop import train


def next_square(squared: Array, squared_gradient: Array, rate: Array, weight_decay: float) -> Array:
    """Squared norm after a step, from that before and the squared norm of the gradient.

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
    """What each recorded step's squared norm is off the law, as a share of that step's change.

    Args:
        steps: A member's step history, of conventional training without momentum.
        weight_decay: Of its recipe.
        radial: Whether to allow for the part of the gradient along the weights.

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


def main() -> None:
    data, decay = load("digits"), 1e-2
    recipe = Recipe(
        epochs=40, batch_size=64, learning_rate=0.1, weight_decay=decay, momentum=0.0, schedule="constant",
        crop_padding=0, flip=False, precision="float64",
    )  # fmt: skip
    cell = Cell(
        family="convnet", options={"invariance": "full"}, width=4, dataset="digits",
        dataset_digest=data.digest, train_size=500, validation_size=0, mode="bn_wd", recipe=recipe,
        record=Recording(steps=1, test_size=0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (trained,) = train([Run(cell=cell, seed=0)], data, histories=Path(folder))
        assert trained.history is not None
        steps = pd.read_parquet(trained.history / STEPS)
    print(f"{len(steps)} steps of a ConvNet of width 4 on digits, float64; residual over the step's change:")
    print(f"  as the law stands          {residuals(steps, decay).max():.1e} at most")
    print(f"  with batch norm's eps      {residuals(steps, decay, radial=True).max():.1e} at most")


if __name__ == "__main__":
    main()
