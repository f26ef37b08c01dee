"""Calibrated NLL: a temperature fitted on one half of the samples and scored on the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, Integers
from ..errors import ScoreError
from ..threads import torch_threads
from .check import check_logits
from .clusters import Clusters, clusters_of, count_of
from .curves import Curves
from .given import Numbers, tensor_of
from .mixing import group_matrix, pooled
from .mixtures import Mixtures
from .temperatures import fit_temperatures, tempered_losses

REPEATS = 5


class Calibrated(NamedTuple):
    """A score at a held-out temperature."""

    nll: float  # nats per sample
    temperature: float  # geometric mean over the fits, dimensionless


@dataclass(frozen=True)
class Fold:
    """Indices of the samples a temperature is fitted on, and of those it is scored on.

    Raises:
        ScoreError: A sample is in both, or in one of them twice; one of them is empty; an index is below 0.
    """

    fit: Integers
    score: Integers

    def __post_init__(self) -> None:
        for name, some in (("fitted", self.fit), ("scored", self.score)):
            if not len(some):
                raise ScoreError(f"a fold has no sample that is {name} on.")
            if some.min() < 0:
                raise ScoreError(f"a fold is {name} on sample {some.min()}; samples are counted from 0.")
            if len(np.unique(some)) < len(some):
                raise ScoreError(f"a fold is {name} on some sample twice.")
        if both := set(self.fit.tolist()) & set(self.score.tolist()):
            raise ScoreError(f"{len(both)} samples would be both fitted on and scored on, first {min(both)}.")


def halvings(
    answers: int, repeats: int = REPEATS, seed: int = 0, *, clusters: Clusters | None = None
) -> list[Fold]:
    """Random halves of the samples, both ways: 2 x `repeats` folds that depend on the seed alone.

    Args:
        answers: The number of answers.
        repeats: The number of random halvings.
        seed: Seeds the halvings.
        clusters: Which answers share a sample; these stay on one side of a fold. None if none do.

    Returns:
        Folds of the indices of answers.
    """
    folds, samples = [], count_of(answers, clusters)
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(samples)
        first, second = order[: (samples + 1) // 2], order[(samples + 1) // 2 :]
        if clusters is not None:
            first, second = (np.flatnonzero(np.isin(clusters.of, some)) for some in (first, second))
        folds += [Fold(first, second), Fold(second, first)]
    return folds


def cross_fitted_losses(
    logits: Tensor, labels: Tensor, folds: Sequence[Fold], matrix: Array | None = None
) -> tuple[Tensor, Tensor]:
    """Every sample's loss at temperatures fitted without it, mean over the repeats.

    Args:
        logits: Or log-probabilities, (member, sample, class), any float dtype.
        labels: (sample,), int64.
        folds: Each sample is scored in at least one.
        matrix: Of groups whose members are tempered, then averaged in probability, (group, member),
            as from `group_matrix`. None tempers each prediction alone, as calibration after averaging
            does.

    Returns:
        Losses (group, sample) in nats, and the temperatures (group, fold).

    Raises:
        ScoreError: A fold has a sample that is not there, or a sample is scored in no fold.
    """
    last = max(int(max(fold.fit.max(), fold.score.max())) for fold in folds)
    if last >= len(labels):
        raise ScoreError(f"a fold has sample {last}, but there are {len(labels)} samples.")
    if unscored := set(range(len(labels))) - set(np.concatenate([one.score for one in folds]).tolist()):
        raise ScoreError(f"{len(unscored)} samples are scored in no fold, first {min(unscored)}.")
    mixtures = Mixtures(Curves(logits, labels), matrix)
    fit = _indicator([fold.fit for fold in folds], len(labels))
    score = _indicator([fold.score for fold in folds], len(labels))
    temperatures = fit_temperatures(mixtures, fit / fit.sum(0))
    losses = tempered_losses(mixtures, temperatures, score / score.sum(1, keepdims=True))
    return torch.from_numpy(losses), torch.from_numpy(temperatures)


def _indicator(sets: Sequence[Integers], samples: int) -> Array:
    """One where a sample is in a set, (sample, set)."""
    indicator = np.zeros((samples, len(sets)))
    for column, some in enumerate(sets):
        indicator[some, column] = 1
    return indicator


@torch_threads(1)
def calibrated_nll(
    log_probs: Numbers,
    labels: Numbers,
    *,
    before: bool = False,
    repeats: int = REPEATS,
    seed: int = 0,
    samples: Numbers | None = None,
) -> Calibrated:
    """NLL of the averaged ensemble at a held-out temperature (CNLL), in nats per sample.

    Members are averaged in probability and the average is tempered; with `before`, all members are
    tempered by one temperature and then averaged. Each repeat halves the samples at random; the
    temperature fitted on one half scores the other, both ways.

    Args:
        log_probs: Natural log-probabilities or logits, (member, sample, class), any float dtype: a tensor, a
            NumPy array or lists.
        labels: True classes, (sample,), integers in [0, class), likewise.
        before: Whether members are tempered before they are averaged.
        repeats: Random halvings, at least 1; `2 * repeats` fits.
        seed: Of the random halvings.
        samples: The sample of each label, integers, where several labels share one, as the tokens of a text
            do: (answer,), where `sample` above means an answer. Halvings are then of samples. None if none
            share.

    Returns:
        `nll` in nats per sample, and `temperature`, dimensionless.

    Raises:
        ScoreError: Shapes or types disagree, or numbers are not finite.

    Source:
        Protocol: Ashukha et al. 2020, arXiv:2002.06470. Temperature after and before averaging:
        Lobacheva et al. 2020, arXiv:2007.08483.

    Example:
        Three certain members, right three times in four, cost 2.00 nats as they stand.

        >>> log_probs = torch.tensor([[8.0, 0.0]]).log_softmax(-1).expand(3, 400, 2)
        >>> labels = (torch.arange(400) % 4 == 0).long()
        >>> round(calibrated_nll(log_probs, labels).nll, 2)
        0.56
        >>> round(calibrated_nll(log_probs.tolist(), labels.numpy()).nll, 2)
        0.56
    """
    log_probs, labels = tensor_of(log_probs, "logits"), tensor_of(labels, "labels")
    check_logits(log_probs, labels)
    clusters = clusters_of(samples, len(labels))
    folds, labels = halvings(len(labels), repeats, seed, clusters=clusters), labels.long()
    everyone = group_matrix(len(log_probs), [slice(None)])
    losses, temperatures = (
        cross_fitted_losses(log_probs, labels, folds, everyone)
        if before
        else cross_fitted_losses(pooled(log_probs, everyone), labels, folds)
    )
    return Calibrated(float(losses.mean()), geometric_mean(temperatures))


def geometric_mean(temperatures: Tensor) -> float:
    """The geometric mean of the temperatures of many folds."""
    return math.exp(float(temperatures.log().mean()))
