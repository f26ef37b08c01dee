"""One pool's ensembles against another's on the same test samples: differences, all intervals at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from torch import Tensor

from ..arrays import Array
from ..metrics.nll import label_losses
from ..records import Interval
from ..threads import torch_threads
from .clusters import Clusters, count_of
from .ensembles import PoolScores
from .influence import accuracy_moves, moves
from .joint import Joint, sample_covariance, welch
from .mixing import group_matrix, groups, pooled
from .standard_errors import MANY_GROUPS, WITH_ERRORS, Variance, interaction_of

MEASURES = WITH_ERRORS  # accuracy, nll, cnll: the rows of what follows


@dataclass(frozen=True)
class UnitMoves:
    """How units (ensembles, or members of ensembles) move the means of one ensemble size.

    Attributes:
        each: By how much, of every measure at every sample, (measure, unit, sample); mean over units zero.
        scale: Squares of a unit's mean moves, summed over the units and times this, are a variance.
        freedom: Degrees of freedom of that variance.
        clusters: Which answers are of one sample; then `sample` above is an answer.
    """

    each: Array
    scale: float
    freedom: float
    clusters: Clusters | None = None

    def variances(self) -> list[Variance]:
        """Over members, one a measure."""
        return [Variance(self.scale * float((one.mean(1) ** 2).sum()), self.freedom) for one in self.each]

    def interactions(self) -> list[float]:
        """How much of these stems from members that are good at different samples."""
        return [self.scale * interaction_of(one, self.clusters) for one in self.each]


@dataclass(frozen=True)
class MeasuredSize:
    """What ensembles of one size are compared by.

    Attributes:
        losses: Of every measure at every test sample, mean over the ensembles, (measure, sample).
        moves: How members move them; None for a pool of one, which shows nothing.
        clusters: Which answers are of one sample; then `sample` above is an answer.
    """

    losses: Array
    moves: UnitMoves | None
    clusters: Clusters | None = None


@dataclass(frozen=True)
class MeasureDifference:
    """One measure of one pool's ensembles minus the other's.

    Attributes:
        losses: At every test sample, (sample,).
        members: Variance of its mean over members; None where a pool of one shows none.
        interaction: As in `MemberErrors`.
        clusters: Which answers are of one sample; then `sample` above is an answer.
    """

    losses: Array
    members: Variance | None
    interaction: float
    clusters: Clusters | None = None

    @property
    def value(self) -> float:
        return float(self.losses.mean())


@torch_threads(1)
def measured(logits: Tensor, labels: Tensor, scores: PoolScores, size: int) -> MeasuredSize:
    """What ensembles of one size out of a pool are compared by.

    Their errors are those of `member_errors`, kept apart by member and sample, so that two pools of the same
    members can be paired.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: Members an ensemble.
    """
    labels, parts = labels.long(), groups(len(logits), size)
    averages = pooled(logits, group_matrix(len(logits), parts))
    right = (averages.argmax(-1) == labels).double().numpy()
    values = np.stack([right, label_losses(averages, labels).numpy(), scores.losses[size].numpy()])
    clusters = scores.clusters
    if len(logits) == 1:
        return MeasuredSize(values.mean(1), None, clusters)
    count = len(parts)
    if size == 1 or count >= MANY_GROUPS:
        each = values - values.mean(1, keepdims=True)
        unit = UnitMoves(each, 1 / (count * (count - 1)), count - 1, clusters)
        return MeasuredSize(values.mean(1), unit, clusters)
    found = []
    for part in parts:
        losses, margins = moves(logits[part], labels, scores.temperatures[size])
        found.append(np.concatenate([accuracy_moves(margins)[None], losses]))
    scale = 1 / (count**2 * size * (size - 1))
    unit = UnitMoves(np.concatenate(found, axis=1), scale, count * (size - 1), clusters)
    return MeasuredSize(values.mean(1), unit, clusters)


def differences(one: MeasuredSize, other: MeasuredSize, *, paired: bool = False) -> list[MeasureDifference]:
    """One minus the other, a difference a measure.

    Args:
        one: Of one pool.
        other: Of another, at the same test samples.
        paired: Whether the members of both are the same runs in the same order, trained twice: what a seed
            does to both is then no error of their difference. Otherwise members count as independent.
    """
    losses, clusters = one.losses - other.losses, repeat(one.clusters)
    if one.moves is None or other.moves is None:
        return list(map(MeasureDifference, losses, repeat(None), repeat(0.0), clusters))
    if paired and one.moves.each.shape == other.moves.each.shape:
        both = replace(one.moves, each=one.moves.each - other.moves.each)
        return list(map(MeasureDifference, losses, both.variances(), both.interactions(), clusters))
    sums = map(_sum, one.moves.variances(), other.moves.variances())
    interactions = np.add(one.moves.interactions(), other.moves.interactions()).tolist()
    return list(map(MeasureDifference, losses, sums, interactions, clusters))


def _sum(one: Variance, other: Variance) -> Variance:
    values, freedoms = np.array([one.value, other.value]), np.array([one.freedom, other.freedom])
    return Variance(float(values.sum()), float(welch(values, freedoms)))


def intervals_at_once(some: Sequence[MeasureDifference], seed: int = 0) -> list[Interval]:
    """Intervals that, with probability 95%, hold the truth of all of these differences at once.

    Errors are over members and over test samples, which all differences share. Members of two differences
    count as independent: where pools serve several of them the intervals are wider than they need be. Of a
    single difference it is Student's interval. One of a pool of one has no ends.

    Args:
        some: At the same test samples.
        seed: Of the draws from which several intervals at once get their level.
    """
    judged = [(one, one.members) for one in some if one.members is not None]
    if not judged:
        return [Interval(value=one.value) for one in some]
    # Each is compared with a split that has no loss and no error, as splits are with the wide network.
    nothing = Variance(0.0, 1.0)
    losses = np.stack([np.zeros_like(judged[0][0].losses), *(one.losses for one, _ in judged)])
    clusters, interactions = judged[0][0].clusters, [0.0, *(one.interaction for one, _ in judged)]
    joint = Joint(
        means=losses.mean(1),
        members=[nothing, *(members for _, members in judged)],
        samples=sample_covariance(losses, np.array(interactions), clusters),
        count=count_of(losses.shape[1], clusters),
        seed=seed,
    )
    level = joint.level_from(0)
    rows = iter(range(1, len(losses)))
    return [
        Interval(value=one.value) if one.members is None else joint.minus(next(rows), 0, level)
        for one in some
    ]
