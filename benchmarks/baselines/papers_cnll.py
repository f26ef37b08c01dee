"""CNLL as the papers' scripts compute it: Nelder-Mead on the temperature, in NumPy, one ensemble at a time.

Own code after the procedure of Lobacheva et al. 2020 (arXiv:2007.08483): two folds of the test set, the
temperature fitted on one and scored on the other, both ways, five repeats; the tolerance of T is 1e-3
after averaging and 1e-2 before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
TOLERANCE_AFTER, TOLERANCE_BEFORE = 1e-3, 1e-2


def log_softmax(z: Array) -> Array:
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def tempered_nll(logits: Array, labels: NDArray[np.int64], temperature: float) -> float:
    """Mean NLL of members (member, sample, class) that are tempered, then averaged in probability."""
    probs = np.exp(log_softmax(logits / temperature)).mean(0)
    return float(-np.log(probs[np.arange(len(labels)), labels]).mean())


def cnll(
    logits: Array, labels: NDArray[np.int64], folds: Sequence, *, before: bool, tolerance: float | None = None
) -> float:
    """Mean over folds (each with `fit` and `score`) of the NLL at the other half's temperature.

    Args:
        logits: (member, sample, class).
        labels: (sample,).
        folds: Sample numbers to fit on and to score.
        before: Whether the temperature acts before averaging.
        tolerance: Of the temperature; None takes the papers'.
    """
    if not before:
        logits = np.log(np.exp(log_softmax(logits)).mean(0))[None]
    tolerance = tolerance or (TOLERANCE_BEFORE if before else TOLERANCE_AFTER)
    losses = []
    for fold in folds:
        inside, own = logits[:, fold.fit], labels[fold.fit]
        found = minimize(
            lambda t, inside=inside, own=own: tempered_nll(inside, own, float(t[0])),
            [1.0],
            method="Nelder-Mead",
            options={"xatol": tolerance, "fatol": np.inf},
        )
        losses.append(tempered_nll(logits[:, fold.score], labels[fold.score], float(found.x[0])))
    return float(np.mean(losses))
