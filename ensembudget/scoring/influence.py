"""How much each member of an ensemble moves its scores: what is lost without it (jackknife)."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array
from .curves import Curves
from .mixing import pooled

MANY_GROUPS = 8  # from here on the groups themselves show how their scores spread

_AT_ONCE = 2**20  # numbers handled at one time


def mean_losses(logits: Tensor, labels: Tensor, temperature: float) -> Array:
    """NLL at temperature 1 and at another: (prediction, sample, class) to (metric, prediction)."""
    losses: Array = -Curves(logits, labels).at(np.array([1, 1 / temperature])).mean(2)
    return losses


def losses_without_each(logits: Tensor, labels: Tensor, temperature: float) -> Array:
    """`mean_losses` of a group's averages that leave out one member each, (metric, member)."""
    size = len(logits)
    total = np.zeros((2, size))
    for part in _parts(logits):
        without = pooled(logits[:, part], 1 - np.eye(size))
        total += len(labels[part]) * mean_losses(without, labels[part], temperature)
    return total / len(labels)


def accuracy_variance(logits: Tensor, labels: Tensor) -> float:
    """Variance over members of one group's accuracy.

    Accuracy jumps where losses slide, so no jackknife holds for it. Each sample's margin is known up to a
    standard error over members: noise of the sample alone flips it with the normal's probability, and
    what members do to many margins alike adds to that. Against fresh pools of simulated members the
    standard deviation is 0.8 to 1.0 of the true one.

    Args:
        logits: Of the group's members, (member, sample, class), at least two members.
        labels: (sample,), int64.
    """
    margins = _margins(logits, labels)
    size, samples = margins.shape
    margin, error = margins.mean(0), (margins.std(0) / size**0.5).clamp_min(1e-12)
    right = torch.special.ndtr(margin / error)
    flips = (right * (1 - right)).sum()
    slope = (-0.5 * (margin / error).square()).exp() / (error * math.sqrt(2 * math.pi))
    moved = slope * (margins - margin)
    together = (moved.sum(1).square().sum() - moved.square().sum()) / (size * (size - 1))
    return float(flips + together.clamp_min(0)) / samples**2


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Each member's probability of the label minus that of the group's strongest rival, (member, sample)."""
    found = torch.empty(logits.shape[:2], dtype=torch.float64)
    for part in _parts(logits):
        probs = logits[:, part].double().softmax(-1)
        own = labels[part, None]
        rival = probs.mean(0).scatter(1, own, -1.0).argmax(1, keepdim=True)
        pair = probs.gather(2, torch.cat([own, rival], 1).expand(len(logits), -1, -1))
        found[:, part] = pair[..., 0] - pair[..., 1]
    return found


def _parts(logits: Tensor) -> Iterator[slice]:
    """Samples that are handled at one time."""
    members, samples, classes = logits.shape
    count = max(1, _AT_ONCE // (members * classes))
    return (slice(first, first + count) for first in range(0, samples, count))
