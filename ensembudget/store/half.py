"""Keeps logits in float16 where that changes no score: token tasks have millions of them a member."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

MOVED = 1e-4  # the change of NLL, in nats, or of accuracy from which on logits are not rounded

Logits = NDArray[np.floating[Any]]
Part = tuple[Logits, NDArray[np.int64]]  # (answer, class), and the right classes (answer,)


def as_kept(parts: Sequence[Part]) -> list[Logits]:
    """A member's logits as the store keeps them: in float16 where no score of any part changes.

    Scores of ensembles then change as little, except for answers on which the ensemble's likeliest classes
    all but tie.

    Args:
        parts: Logits and labels of each part, such as validation and test; a part may be empty.

    Returns:
        The logits of each part, in order: all in float16 where NLL and accuracy of every part change by less
        than 1e-4, or else all as given.

    Example:
        >>> logits, labels = np.array([[0.1, 3.3], [5.0, 2.0]], np.float32), np.array([1, 0])
        >>> [one.dtype.name for one in as_kept([(logits, labels)])]
        ['float16']
    """
    rounded = [in_half(logits) for logits, _ in parts]
    fits = all(_alike(logits, half, labels) for (logits, labels), half in zip(parts, rounded, strict=True))
    return rounded if fits else [logits for logits, _ in parts]


def in_half(logits: Logits) -> NDArray[np.float16]:
    """Log-probabilities in float16, (answer, class); rows that were not finite stay so.

    Likely classes, which decide the loss, have log-probabilities near zero, where float16 is most precise.
    Where rounding makes another class tie with the likeliest, the likeliest is raised by one float16 step.
    """
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # of members that diverged
        found = (wide - logsumexp(wide, axis=-1, keepdims=True)).astype(np.float16)
        best = wide.argmax(-1)
        tied = np.flatnonzero(found.argmax(-1) != best)
        found[tied, best[tied]] = np.nextafter(found[tied, best[tied]], np.float16(np.inf))
    return found


def _alike(logits: Logits, half: Logits, labels: NDArray[np.int64]) -> bool:
    if not len(labels):
        return True
    if not (np.isfinite(logits).all() and np.isfinite(half).all()):
        return False
    before, after = _scores(logits, labels), _scores(half, labels)
    return all(abs(one - other) < MOVED for one, other in zip(before, after, strict=True))


def _scores(logits: Logits, labels: NDArray[np.int64]) -> tuple[float, float]:
    """NLL, in nats, and accuracy of logits, (answer, class)."""
    wide = logits.astype(np.float64)
    own = wide[np.arange(len(labels)), labels]
    return float((logsumexp(wide, axis=-1) - own).mean()), float((wide.argmax(-1) == labels).mean())
