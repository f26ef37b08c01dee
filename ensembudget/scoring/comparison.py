"""Splits of one budget side by side: intervals, differences from the wide network, and ties."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..records import Interval, Score
from ..threads import torch_threads
from .curves import Curves
from .ensembles import PoolScores
from .mixing import groups, pooled

DRAWS = 500
MANY_GROUPS = 8  # from here on groups are redrawn whole
LEVEL = 0.95

_AT_ONCE = 2**20  # numbers handled at one time

Draws = NDArray[np.float64]


class Spread(NamedTuple):
    """How the means of three metrics move when members are redrawn, each (draw,), of mean zero."""

    accuracy: Draws
    nll: Draws
    cnll: Draws


@dataclass(frozen=True)
class Contender:
    """One split's measured side: its calibrated losses, and how they move with the members.

    Attributes:
        members: Ensemble size.
        losses: Calibrated loss of every test sample, mean over the groups, (sample,), nats.
        spread: Over redrawn members; None for a pool of one, which shows none.
    """

    members: int
    losses: Draws
    spread: Spread | None


@dataclass(frozen=True)
class Compared:
    """How a split stands among the splits of its budget."""

    difference: Interval | None  # from the wide network, over members and test samples
    verdict: str  # beside the wide network: "better", "worse" or "tie"; "" for itself or without it
    best: str  # "best", or beside it "tie" or "worse"
    frequency_best: float  # share of the draws in which it is lowest


def interval(value: float, deviations: Draws | None) -> Interval:
    """A value with the central 95% of its deviations about it; bare where there are none."""
    if deviations is None:
        return Interval(value=value)
    low, high = np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=value + float(low), high=value + float(high))


def contender(logits: Tensor, labels: Tensor, scores: PoolScores, size: int, seed: int = 0) -> Contender:
    """An ensemble size of a pool, ready to be compared.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: The ensemble's.
        seed: Draws the members.
    """
    losses = scores.losses[size].mean(0).numpy()
    groups = [score for score in scores.scores if score.members == size]
    if len(groups) >= MANY_GROUPS:
        return Contender(size, losses, group_deviations(groups, seed=seed))
    moved = member_deviations(logits, labels, size, scores.temperatures[size], seed=seed)
    return Contender(size, losses, moved)


def group_deviations(groups: Sequence[Score], *, draws: int = DRAWS, seed: int = 0) -> Spread:
    """How the means over disjoint groups move when the groups are drawn anew.

    No two groups share a member, so where there are many this is a bootstrap over members too, and
    a cheap one: nothing is pooled again.
    """
    count = len(groups)
    values = np.array([[getattr(group, metric) for group in groups] for metric in Spread._fields])
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    moved = values[:, picks].mean(2) - values.mean(1, keepdims=True)
    # Drawing from g groups shows (g - 1) / g of the variance.
    return Spread(*(moved * (count / (count - 1)) ** 0.5))


@torch_threads(1)
def member_deviations(
    logits: Tensor, labels: Tensor, size: int, temperature: float, *, draws: int = DRAWS, seed: int = 0
) -> Spread | None:
    """How the means of disjoint ensembles move when their members are drawn anew.

    A bootstrap over the members of each group, linear in each member's influence: what its group
    loses without it (jackknife). Resampling members and pooling again was tried first: a member
    drawn twice makes an ensemble less diverse, and on diverse members the changing number of
    different ones made intervals three times too wide. Accuracy jumps where losses slide, so its
    variance is summed over samples instead.

    Args:
        logits: (member, sample, class).
        labels: (sample,).
        size: Members a group.
        temperature: Held fixed, after averaging.
        draws: How many.
        seed: Of the draws.

    Returns:
        Deviations, zero in expectation; None for a pool of one, which shows no spread.
    """
    if len(logits) == 1:
        return None
    labels, rng = labels.long(), np.random.default_rng([seed, size])
    if size == 1:  # alone, a member's influence is its own score
        right = (logits.argmax(-1) == labels).double().mean(1).numpy()
        values = np.stack([right, *_mean_losses(logits, labels, temperature)])
        return Spread(*_redrawn(values[:, None], draws, rng))
    parts = [logits[group] for group in groups(len(logits), size)]
    lost = [(1 - size) * _losses_without_each(part, labels, temperature) for part in parts]
    nll, cnll = _redrawn(np.stack(lost, 1), draws, rng)
    variance = sum(_accuracy_variance(_margins(part, labels)) for part in parts) / len(parts) ** 2
    return Spread(rng.standard_normal(draws) * variance**0.5, nll, cnll)


@torch_threads(1)
def member_influences(
    logits: Tensor, labels: Tensor, losses: Mapping[int, Tensor], temperatures: Mapping[int, float]
) -> Draws:
    """How much each member moves the mean CNLL of each size, scaled so that squares are variances.

    A size's mean over `used` members' disjoint groups has variance (mean of the squares) / used, and two
    sizes covary likewise. Influences are those of `member_deviations`; where a size has many groups their
    spread, which is better known, sets the scale.

    Args:
        logits: The pool's, (member, sample, class), at least two members.
        labels: (sample,).
        losses: For every size, (group, sample), as from `size_losses`.
        temperatures: For every size.

    Returns:
        (member, size), nats; zero for members that are in no group of a size.
    """
    labels, found = labels.long(), np.zeros((len(logits), len(losses)))
    for column, (size, each) in enumerate(losses.items()):
        means = each.mean(1).numpy()
        if size == 1:
            found[:, column] = (means - means.mean()) * (len(means) / (len(means) - 1)) ** 0.5
            continue
        for group in groups(len(logits), size):
            _, lost = (1 - size) * _losses_without_each(logits[group], labels, temperatures[size])
            found[group, column] = (lost - lost.mean()) * (size / (size - 1)) ** 0.5
        if len(means) >= MANY_GROUPS:
            used = found[: size * len(means), column]
            used *= size**0.5 * means.std(ddof=1) / max((used**2).mean() ** 0.5, 1e-300)
    return found


def _redrawn(values: Draws, draws: int, rng: np.random.Generator) -> Draws:
    """Means over redrawn members about their mean: (metric, group, member) to (metric, draw)."""
    centred = values - values.mean(2, keepdims=True)
    _, count, each = values.shape
    picks = rng.integers(each, size=(draws, count, each))
    # Drawing from n values shows (n - 1) / n of the variance.
    scale = math.sqrt(each / (each - 1))
    moved: Draws = scale * centred[:, np.arange(count)[:, None], picks].mean((2, 3))
    return moved


def _mean_losses(logits: Tensor, labels: Tensor, temperature: float) -> Draws:
    """NLL as they stand and at a temperature: (prediction, sample, class) to (metric, prediction)."""
    losses: Draws = -Curves(logits, labels).at(np.array([1, 1 / temperature])).mean(2)
    return losses


def _losses_without_each(logits: Tensor, labels: Tensor, temperature: float) -> Draws:
    """As `_mean_losses`, of a group's averages that lack one member each, (metric, member)."""
    size = len(logits)
    total = np.zeros((2, size))
    for part in _parts(logits):
        without = pooled(logits[:, part], 1 - np.eye(size))
        total += len(labels[part]) * _mean_losses(without, labels[part], temperature)
    return total / len(labels)


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much each member has the label likelier than the group's rival to it, (member, sample)."""
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


def _accuracy_variance(margins: Tensor) -> float:
    """Variance over members of an ensemble's accuracy, from margins (member, sample).

    A margin is known up to its standard error over members. Noise of a sample's own flips it with
    the normal's probability, each by itself; what members do to many margins alike adds to that.
    Against fresh pools of simulated members the standard deviation is 0.8 to 1.0 of the true one.
    """
    size, samples = margins.shape
    margin, error = margins.mean(0), (margins.std(0) / size**0.5).clamp_min(1e-12)
    right = torch.special.ndtr(margin / error)
    flips = (right * (1 - right)).sum()
    slope = (-0.5 * (margin / error).square()).exp() / (error * math.sqrt(2 * math.pi))
    moved = slope * (margins - margin)
    together = (moved.sum(1).square().sum() - moved.square().sum()) / (size * (size - 1))
    return float(flips + together.clamp_min(0)) / samples**2


def sample_deviations(losses: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0) -> Draws:
    """How mean losses move when test samples are drawn anew: (split, sample) to (split, draw).

    All splits see the same draws, so their differences are paired.
    """
    samples = losses.shape[1]
    rng = np.random.default_rng(seed)
    moved = np.stack([losses[:, rng.integers(samples, size=samples)].mean(1) for _ in range(draws)], 1)
    deviations: Draws = moved - losses.mean(1, keepdims=True)
    return deviations


def redrawn(contenders: Sequence[Contender], seed: int = 0) -> tuple[Draws, Draws]:
    """Each contender's mean loss, (split,), and how it moves with members and samples, (split, draw).

    Equal seeds redraw the same test samples, so contenders of several calls are paired too.
    """
    losses = np.stack([one.losses for one in contenders])
    moves = sample_deviations(losses, seed=seed)
    for row, one in zip(moves, contenders, strict=True):
        row += 0 if one.spread is None else one.spread.cnll
    return losses.mean(1), moves


def compare(contenders: Sequence[Contender], seed: int = 0) -> list[Compared]:
    """Compares the splits of one budget with the wide network, where it is there, and with the best.

    A difference's interval is over members (each split's own) and over test samples (paired). What
    cannot be told from the best by such an interval is a tie with it.

    Args:
        contenders: One a split; the one of a single member is the wide network.
        seed: Draws the test samples.

    Returns:
        One a contender, in order.
    """
    means, moves = redrawn(contenders, seed)
    wide = next((i for i, one in enumerate(contenders) if one.members == 1), None)
    best = int(means.argmin())
    lowest = (means[:, None] + moves).argmin(0)

    def difference(i: int, j: int | None) -> Interval:
        assert j is not None
        return interval(float(means[i] - means[j]), moves[i] - moves[j])

    return [
        Compared(
            difference=None if wide in (None, i) else difference(i, wide),
            verdict="" if wide in (None, i) else verdict(difference(i, wide)),
            best="best" if i == best else verdict(difference(i, best)),
            frequency_best=float((lowest == i).mean()),
        )
        for i in range(len(contenders))
    ]


def verdict(difference: Interval) -> str:
    """What an interval of a difference in loss says: "better", "worse" or "tie".

    >>> verdict(Interval(value=-0.2, low=-0.3, high=-0.1))
    'better'
    """
    assert difference.low is not None
    assert difference.high is not None
    if difference.low <= 0 <= difference.high:
        return "tie"
    return "better" if difference.high < 0 else "worse"
