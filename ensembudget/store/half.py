"""Logits in 2 bytes a number, where no score moves: members that answer at many positions have millions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

MOVED = 1e-4  # nats, or a share of answers: what moves NLL or accuracy by as much is not rounded

Logits = NDArray[np.floating[Any]]
Part = tuple[Logits, NDArray[np.int64]]  # (answer, class), and the right classes (answer,)


def as_kept(parts: Sequence[Part]) -> list[Logits]:
    """The logits of a member's parts as they are kept: float16 where that is close enough in all of them.

    Ensembles move by as little as their members, but for an answer whose likeliest classes are as good as
    equal in their average.

    Args:
        parts: Validation and test, say; a part may be empty.

    Returns:
        All in float16 where neither the NLL nor the accuracy of any part moves by 1e-4; else all as they are.

    Example:
        >>> logits, labels = np.array([[0.1, 3.3], [5.0, 2.0]], np.float32), np.array([1, 0])
        >>> [one.dtype.name for one in as_kept([(logits, labels)])]
        ['float16']
    """
    rounded = [in_half(logits) for logits, _ in parts]
    fits = all(_alike(logits, half, labels) for (logits, labels), half in zip(parts, rounded, strict=True))
    return rounded if fits else [logits for logits, _ in parts]


def in_half(logits: Logits) -> NDArray[np.float16]:
    """Logarithms of the same probabilities, (answer, class), in float16; not finite where they were not.

    The likely classes, which decide a loss, then have numbers near zero, where float16 is finest. Where
    others become equal to the likeliest class, that is raised by one step, so that it stays the likeliest.
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
    """NLL in nats, and accuracy."""
    wide = logits.astype(np.float64)
    own = wide[np.arange(len(labels)), labels]
    return float((logsumexp(wide, axis=-1) - own).mean()), float((wide.argmax(-1) == labels).mean())
