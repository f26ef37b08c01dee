"""Standard errors over members: how well a pool of a few members knows the mean of its ensembles."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit
from torch import Tensor

from ..arrays import Array
from ..catalog import METRICS
from ..records import Interval, Score
from ..threads import torch_threads
from .clusters import Clusters, variances_of_means
from .ensembles import PoolScores
from .influence import accuracy_variance, moves
from .mixing import groups

LEVEL = 0.95
MANY_GROUPS = 8  # from here on the groups themselves show how their scores spread


class Variance(NamedTuple):
    """The squared standard error of a mean, and the degrees of freedom that it is known with."""

    value: float
    freedom: float


class MemberErrors(NamedTuple):
    """How far the means of one ensemble size may lie from those of all possible members.

    Attributes:
        accuracy: Variance of the mean accuracy.
        nll: Of the mean NLL.
        cnll: Of the mean CNLL.
        interaction: How much of the last stems from members that are good at different samples. It shrinks
            with the number of test samples, so the spread of losses over samples contains it too.
    """

    accuracy: Variance
    nll: Variance
    cnll: Variance
    interaction: float


WITH_ERRORS = ("accuracy", "nll", "cnll")


def interval(
    value: float, error: Variance | None, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """Student's 95% interval of a mean, within what the mean can be; without ends if no error is known.

    >>> interval(0.99, Variance(0.01**2, 7.0), (0, 1)).model_dump()
    {'value': 0.99, 'low': 0.966..., 'high': 1.0}
    """
    if error is None:
        return Interval(value=value)
    reach = float(stdtrit(error.freedom, (1 + LEVEL) / 2)) * error.value**0.5
    return Interval(value=value, low=value - reach, high=value + reach).within(*bounds)


def cnll_interval(value: float, errors: MemberErrors | None) -> Interval:
    """Student's 95% interval of a mean CNLL, which is never below zero."""
    return interval(value, errors and errors.cnll, METRICS["nll"].bounds)


def mean_metrics(scores: PoolScores, size: int, errors: MemberErrors | None) -> dict[str, Interval | None]:
    """Every metric's mean over the groups of one size, with an interval for those whose error is known.

    Args:
        scores: Of a pool.
        size: The ensembles'.
        errors: Of that size's means; None for a pool of one.

    Returns:
        By name; None where a group has no such number, as a single member has no disagreement.
    """
    each = [score.metrics for score in scores.scores if score.members == size]
    found: dict[str, Interval | None] = {}
    for name in each[0]:
        if any(group[name] is None for group in each):
            found[name] = None
        elif name in WITH_ERRORS and errors is not None:
            found[name] = interval(scores.mean(size, name), getattr(errors, name), METRICS[name].bounds)
        else:
            found[name] = Interval(value=scores.mean(size, name))
    return found


@torch_threads(1)
def member_errors(logits: Tensor, labels: Tensor, scores: PoolScores, size: int) -> MemberErrors | None:
    """The errors of one size's means over disjoint groups: what other members would have changed.

    Single members and many groups show it by their own spread. A few groups do not: there each member counts
    by its influence on its group.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: Members a group.

    Returns:
        None for a pool of one, which shows no spread.
    """
    if len(logits) == 1:
        return None
    each = [score for score in scores.scores if score.members == size]
    if size == 1 or len(each) >= MANY_GROUPS:
        return _errors_of_groups(each, scores.losses[size].numpy(), scores.clusters)
    parts = [logits[group] for group in groups(len(logits), size)]
    return _errors_of_influences(parts, labels.long(), scores.temperatures[size], scores.clusters)


def _errors_of_groups(each: Sequence[Score], losses: Array, clusters: Clusters | None) -> MemberErrors:
    count = len(each)
    values = np.array([[score.value(name) for score in each] for name in WITH_ERRORS])
    accuracy, nll, cnll = (Variance(float(v), count - 1) for v in values.var(1, ddof=1) / count)
    centred = losses - losses.mean(0)
    return MemberErrors(accuracy, nll, cnll, interaction_of(centred, clusters) / (count * (count - 1)))


def _errors_of_influences(
    parts: Sequence[Tensor], labels: Tensor, temperature: float, clusters: Clusters | None
) -> MemberErrors:
    count, size = len(parts), len(parts[0])
    freedom, scale = count * (size - 1), 1 / (count**2 * size * (size - 1))
    squares, interaction, accuracy = np.zeros(2), 0.0, 0.0
    for part in parts:
        moved, margins = moves(part, labels, temperature)
        squares += (moved.mean(2) ** 2).sum(1)
        interaction += interaction_of(moved[1], clusters)
        accuracy += accuracy_variance(margins) / count**2
    nll, cnll = (Variance(float(scale * total), freedom) for total in squares)
    return MemberErrors(Variance(accuracy, freedom), nll, cnll, scale * interaction)


def interaction_of(centred: Array, clusters: Clusters | None = None) -> float:
    """What squares of rows' means contain of rows by samples; columns have mean zero, (row, answer)."""
    return float(variances_of_means(centred, clusters).sum())
