"""How much each member of an ensemble moves its scores: what is lost without it."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from ..arrays import Array, Integers
from .blocks import centred
from .curves import Curves
from .mixing import pooled

TAKEN = 0.9  # of a member, to see what it is worth

_AT_ONCE = 2**17  # numbers handled at one time
_TINY = 1e-250  # below this, shares of members may be missing from a sum
_COLD = 500.0  # nats: powers of 1 / T beyond may vanish or overflow


def influences(logits: Tensor, labels: Tensor, temperature: float) -> Array:
    """How much each member of a group moves the losses of its average: what is lost with little of it left.

    An average in which a member counts a tenth of the others shows its influence by the difference. Without
    all of it (the jackknife) a pair is a single member, which says too much: standard errors of pairs came
    out up to 1.4 times too large. With half of it left they came out up to a quarter too small; with a tenth
    within 7%.

    Args:
        logits: Of the group's members, (member, sample, class), at least two members.
        labels: (sample,), int64.
        temperature: After averaging, held fixed.

    Returns:
        Of NLL at temperature 1 and at that one, nats, (metric, member, sample); their mean over members is
        zero. Their squares, summed over n members and divided by n (n - 1), are a variance of the average's
        loss.
    """
    return moves(logits, labels, temperature)[0]


def moves(logits: Tensor, labels: Tensor, temperature: float) -> tuple[Array, Array]:
    """`influences`, and each member's margin: both from the members' probabilities, computed once.

    Returns:
        (metric, member, sample), and the probability of the label minus that of the group's strongest rival,
        (member, sample).
    """
    size, rows = len(logits), labels.numpy()
    found, margins = np.empty((2, size, len(labels))), np.empty((size, len(labels)))
    for part in _parts(logits):
        some, own = logits[:, part], rows[part]
        probs = np.exp(centred(some))
        probs /= probs.sum(1, keepdims=True)
        total, places = probs.sum(0), np.arange(len(own))
        rivals = total.copy()
        rivals[own, places] = -1
        margins[:, part] = probs[:, own, places] - probs[:, rivals.argmax(0), places]
        found[..., part] = _reduced(probs, total, own, 1 / temperature, some)
    found *= (size - TAKEN) / TAKEN
    around: Array = found - found.mean(1, keepdims=True)
    return around, margins


def _reduced(probs: Array, total: Array, labels: Integers, inverse: float, logits: Tensor) -> Array:
    """Log-probabilities of the labels with little of each member left, as they are and at 1 / T.

    An average without most of a member is the sum of all without most of its share: no product of matrices.

    Args:
        probs: Of the members, (member, class, sample); overwritten.
        total: Their sums, (class, sample).
        labels: (sample,).
        inverse: 1 / T.
        logits: (member, sample, class), for shares that are too small to be summed as they are.

    Returns:
        (2, member, sample).
    """
    size, classes, samples = probs.shape
    probs *= -TAKEN
    probs += total
    if probs.min() < _TINY:
        reduced = pooled(logits, 1 - TAKEN * np.eye(size))
        return Curves(reduced, torch.from_numpy(labels)).at(np.array([1, inverse]))
    logs = np.log(probs, out=probs)
    own = logs[:, labels, np.arange(samples)] - math.log(size - TAKEN)
    if inverse * math.log(max(classes, size)) > _COLD:
        logs -= logs.max(1, keepdims=True)
    logs *= inverse
    tempered = logs[:, labels, np.arange(samples)] - np.log(np.exp(logs, out=logs).sum(1))
    return np.stack([own, tempered])


def accuracy_variance(margins: Array) -> float:
    """Variance over members of one group's accuracy, with as many degrees of freedom as members less one.

    Args:
        margins: As from `moves`, (member, sample), at least two members.
    """
    size, samples = margins.shape
    moved = accuracy_moves(margins).sum(1) / samples
    return float((moved**2).sum() / (size * (size - 1)))


def accuracy_moves(margins: Array) -> Array:
    """How much each member of a group moves the chance that its average is right, as `influences` of a loss.

    Accuracy jumps where losses slide, so no jackknife holds for it. Each sample's margin is known up to a
    standard error over members, so whether it is right varies as p (1 - p), and with a member's margin at the
    rate of the normal density. Samples that members move a little go wrong together at that rate, and samples
    that they move much as often as p (1 - p) lets them. Both squares count half; for pairs, whose margins are
    known worst, the second counts three quarters. With the first alone 95% intervals cover 86 to 96% on
    simulated members, with the second alone 95 to 99%.

    Args:
        margins: As from `moves`, (member, sample), at least two members.

    Returns:
        (member, sample); their mean over members is zero.
    """
    size, _ = margins.shape
    margin, error = margins.mean(0), np.maximum(margins.std(0, ddof=1) / size**0.5, 1e-12)
    certainty = margin / error
    either = ndtr(certainty) * ndtr(-certainty)  # p (1 - p), exact where p is close to 1
    density = np.exp(-0.5 * certainty**2) / math.sqrt(2 * math.pi)
    share = 3 / 4 if size == 2 else 1 / 2
    rate = np.sqrt((1 - share) * density**2 + share * either) / error
    moved: Array = rate * (margins - margin)
    return moved


def _parts(logits: Tensor) -> Iterator[slice]:
    """Samples that are handled at one time."""
    members, samples, classes = logits.shape
    count = max(1, _AT_ONCE // (members * classes))
    return (slice(first, first + count) for first in range(0, samples, count))
