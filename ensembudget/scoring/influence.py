"""How much each member of an ensemble moves its scores: what is lost without it."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array
from .curves import Curves
from .mixing import pooled

TAKEN = 0.9  # of a member, to see what it is worth

_AT_ONCE = 2**20  # numbers handled at one time


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
    size, inverses = len(logits), np.array([1, 1 / temperature])
    found = np.empty((2, size, len(labels)))
    for part in _parts(logits):
        reduced = pooled(logits[:, part], 1 - TAKEN * np.eye(size))
        found[..., part] = Curves(reduced, labels[part]).at(inverses)
    found *= (size - TAKEN) / TAKEN
    centred: Array = found - found.mean(1, keepdims=True)
    return centred


def accuracy_variance(logits: Tensor, labels: Tensor) -> float:
    """Variance over members of one group's accuracy, with as many degrees of freedom as members less one.

    Accuracy jumps where losses slide, so no jackknife holds for it. Each sample's margin is known up to a
    standard error over members, so whether it is right varies as p (1 - p), and with a member's margin at the
    rate of the normal density. Samples that members move a little go wrong together at that rate, and samples
    that they move much as often as p (1 - p) lets them. Both squares count half; for pairs, whose margins are
    known worst, the second counts three quarters. With the first alone 95% intervals cover 86 to 96% on
    simulated members, with the second alone 95 to 99%.

    Args:
        logits: Of the group's members, (member, sample, class), at least two members.
        labels: (sample,), int64.
    """
    margins = _margins(logits, labels)
    size, samples = margins.shape
    margin, error = margins.mean(0), (margins.std(0) / size**0.5).clamp_min(1e-12)
    certainty = margin / error
    right = torch.special.ndtr(certainty)
    density = (-0.5 * certainty.square()).exp() / math.sqrt(2 * math.pi)
    share = 3 / 4 if size == 2 else 1 / 2
    rate = ((1 - share) * density.square() + share * right * (1 - right)).sqrt() / error
    moved = (rate * (margins - margin)).sum(1) / samples
    return float(moved.square().sum() / (size * (size - 1)))


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
