"""The temperature of a prediction: fitted on one half of the samples, scored on the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ScoreError
from .metrics import check_logits, pooled

REPEATS = 5
HOTTEST = 1e3  # temperatures are sought in [1 / HOTTEST, HOTTEST]
GRID = 28  # points, a factor of 1.67 apart
FLAT = 1e-12  # nats: less than this is rounding
PLATEAU = 1e-9  # nats: a loss that is this flat down to the coldest has no bottom
SETTLED = 1e-6  # a Newton step in log T after which the error is its square
_AT_ONCE = 2**18  # numbers handled at one time: what stays in a core's cache
UNDETERMINED = 1.0  # the temperature of samples that have no best one: nothing is rescaled


class Slopes(NamedTuple):
    """The first two derivatives of a mean loss in log(1 / T), each (problem,)."""

    first: Tensor
    second: Tensor


class Calibrated(NamedTuple):
    """A score at a held-out temperature."""

    nll: float  # nats per sample
    temperature: float  # geometric mean over the fits, dimensionless


Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Sample numbers that a temperature is fitted on, and those it is scored on."""

    fit: Indices
    score: Indices

    def __post_init__(self) -> None:
        if both := set(self.fit.tolist()) & set(self.score.tolist()):
            raise ScoreError(f"{len(both)} samples would be both fitted on and scored on, first {min(both)}.")


def halvings(samples: int, repeats: int = REPEATS, seed: int = 0) -> list[Fold]:
    """Random halves of the samples, each way round: 2 x `repeats` folds, from the seed alone."""
    folds = []
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(samples)
        first, second = order[: (samples + 1) // 2], order[(samples + 1) // 2 :]
        folds += [Fold(first, second), Fold(second, first)]
    return folds


@dataclass(frozen=True)
class Logits:
    """Members' logits as temperatures need them: each sample's largest at 0, classes before samples.

    Then nothing overflows at any temperature, and sums over classes run along samples, which is
    several times faster than a softmax over a last dimension of ten.
    """

    all: Tensor  # (..., member, class, sample)
    own: Tensor  # of the sample's label, (..., member, sample)

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """From (..., member, sample, class) and (sample,)."""
        every = (logits - logits.amax(-1, keepdim=True)).transpose(-1, -2).contiguous()
        index = labels.expand(*every.shape[:-2], 1, len(labels))
        return cls(every, every.gather(-2, index)[..., 0, :])

    def at(self, samples: Tensor) -> Self:
        """Of some samples, (member, class, sample) by (set, sample): (set, member, class, sample)."""
        return type(self)(self.all[..., samples].permute(2, 0, 1, 3), self.own[:, samples].transpose(0, 1))

    def pick(self, which: Any) -> Self:
        """Some of them, by an index that both arrays understand."""
        return type(self)(self.all[which], self.own[which])


def tempered_losses(logits: Logits, temperature: Tensor) -> Tensor:
    """Losses of members that are each heated to T, then averaged in probability.

    Args:
        logits: (problem, member, class, sample). One member alone: heated after averaging.
        temperature: T above 0, (problem,).

    Returns:
        Nats, (problem, sample).
    """
    inverse = 1 / temperature[:, None, None]
    total = (inverse[..., None] * logits.all).exp_().sum(2)
    return math.log(logits.own.shape[1]) - (inverse * logits.own - total.log_()).logsumexp(1)


def slopes(logits: Logits, weights: Tensor, log_inverse: Tensor) -> Slopes:
    """How the mean of `tempered_losses` changes with x = log(1 / T), in closed form.

    With p_i = softmax(e^x z_i) at the label, w_i = p_i / sum p, and d_i = z_i[label] - E_i[z]:
    d log(mean p) / d e^x = sum w_i d_i, and its derivative is
    sum w_i (d_i^2 - Var_i[z]) - (sum w_i d_i)^2.

    Args:
        logits: (problem, member, class, sample).
        weights: (problem, sample), summing to 1 over the samples.
        log_inverse: x, (problem,).
    """
    inverse = log_inverse.exp()
    each = inverse[:, None, None]
    probs = (each[..., None] * logits.all).exp_()
    total = probs.sum(2)
    weighted = probs.mul_(logits.all)
    mean = weighted.sum(2) / total
    variance = weighted.mul_(logits.all).sum(2) / total - mean.square()
    away = logits.own - mean
    share = (each * logits.own - total.log()).softmax(1)
    first = (share * away).sum(1)
    second = (share * (away.square() - variance)).sum(1) - first.square()
    first, second = (weights * first).sum(1), (weights * second).sum(1)
    return Slopes(-inverse * first, -inverse * first - inverse.square() * second)


def fit_temperatures(log_probs: Tensor, labels: Tensor, fits: Sequence[Indices]) -> Tensor:
    """The temperature of least loss on each of several sets of samples.

    Losses on a grid over [1/1000, 1000] find the valley (heated before averaging there can be
    several), and Newton inside it the bottom. Where the loss falls all the way as T goes to 0, as
    it does when every sample is right, there is no best temperature, and the coldest would cost
    hundreds of nats for the first mistake on other samples: T is then 1. Where it falls all the way
    up to T = 1000, that is the answer.

    Args:
        log_probs: (member, sample, class); one member for a temperature after averaging.
        labels: (sample,), integers in [0, class).
        fits: Sample numbers of each set.

    Returns:
        (set,), float64.

    Example:
        Twice too confident: right two times in three, where 4 in 5 was said.

        >>> log_probs = torch.tensor([0.8, 0.2], dtype=torch.float64).log().expand(1, 3, 2)
        >>> round(fit_temperatures(log_probs, torch.tensor([0, 0, 1]), [np.arange(3)]).item(), 9)
        2.0
    """
    # One point beyond each end, so that a bottom near an end has a neighbour on either side.
    edge = math.log(HOTTEST) * (GRID + 1) / (GRID - 1)
    grid = torch.linspace(edge, -edge, GRID + 2, dtype=torch.float64)
    logits = Logits.of(log_probs, labels)
    # (grid, sample), coldest first
    losses = torch.cat([tempered_losses(logits.pick(None), (-x).exp()[None]) for x in grid])
    means = torch.stack([losses[:, fit].mean(1) for fit in fits])
    answer = torch.full((len(fits),), HOTTEST, dtype=torch.float64)
    depth = means[:, -2].clone()  # the least loss found so far, here at the hottest
    middle, around = means[:, 1:-1], torch.maximum(means[:, :-2], means[:, 2:])
    valley = (middle <= means[:, :-2]) & (middle <= means[:, 2:]) & (middle < around - FLAT)
    longest = max(len(fit) for fit in fits)
    for some in valley.nonzero().split(max(1, _AT_ONCE // (log_probs[:, 0].numel() * longest))):
        if not len(some):  # split gives one empty part of nothing
            break
        which, place = some[:, 0], some[:, 1] + 1
        index, weights = _stacked([fits[i] for i in which.tolist()])
        left, here, right = (means[which, place + step] for step in (-1, 0, 1))
        # Where a parabola through the three points has its bottom.
        shift = (right - left) / (2 * (left - 2 * here + right)).clamp_min(1e-300)
        stride = grid[0] - grid[1]
        start = grid[place] + shift.clamp(-0.9, 0.9) * stride
        problems = logits.at(index)
        found = _bottom(problems, weights, start, stride)
        reached = (weights * tempered_losses(problems, found)).sum(1)
        for row, temperature, loss in zip(which.tolist(), found, reached, strict=True):
            if loss < depth[row] and temperature < HOTTEST:
                answer[row], depth[row] = temperature, loss
    coldest = means[:, 1] <= depth + PLATEAU
    return answer.where(~coldest & (answer > 1 / HOTTEST), UNDETERMINED)


def _bottom(logits: Logits, weights: Tensor, start: Tensor, stride: Tensor) -> Tensor:
    """Newton for the slope's zero within a stride of each start, in x = log(1 / T); gives T.

    Undamped Newton was tried in 1/T from 1: on strongly over-confident logits it ran to NaN within
    five steps. Here a step that leaves the bracket, or does not halve the one before, becomes the
    bracket's middle.
    """
    x, moved = start, torch.full_like(start, 2 * float(stride))
    low, high = start - 2 * stride, start + 2 * stride
    answer, left = torch.empty_like(start), torch.arange(len(start))
    while len(left):
        here = slopes(logits.pick(left), weights[left], x)
        low, high = torch.where(here.first < 0, x, low), torch.where(here.first < 0, high, x)
        newton = x - here.first / here.second
        good = (newton > low) & (newton < high) & ((newton - x).abs() < moved / 2)
        new = torch.where(good, newton, (low + high) / 2)
        moved = (new - x).abs()
        x = torch.where(here.first == 0, x, new)
        answer[left] = (-x).exp()
        # Newton squares the error; a halved bracket settles only when as small as rounding.
        settled = torch.where(good, moved < SETTLED, high - low < 1e-15 * (1 + x.abs()))
        going = (here.first != 0) & ~settled
        left, low, high, x, moved = (t[going] for t in (left, low, high, x, moved))
    return answer


def _stacked(fits: Sequence[Indices]) -> tuple[Tensor, Tensor]:
    """Sets as one index (set, longest) with weights; shorter ones are filled up, unweighted."""
    longest = max(len(fit) for fit in fits)
    index = torch.zeros(len(fits), longest, dtype=torch.int64)
    weights = torch.zeros(len(fits), longest, dtype=torch.float64)
    for row, fit in enumerate(fits):
        index[row, : len(fit)] = torch.from_numpy(fit)
        weights[row, : len(fit)] = 1 / len(fit)
    return index, weights


def cross_fitted_losses(log_probs: Tensor, labels: Tensor, folds: list[Fold]) -> tuple[Tensor, Tensor]:
    """Every sample's loss at temperatures that it had no part in, mean over the repeats.

    Args:
        log_probs: (ensemble, member, sample, class), float64; one member for calibration after
            averaging.
        labels: (sample,).
        folds: Each sample is scored in at least one.

    Returns:
        Losses (ensemble, sample) in nats, and the temperatures (ensemble, fold).
    """
    ensembles, _, samples, _ = log_probs.shape
    logits = Logits.of(log_probs, labels)
    temperatures = torch.stack([fit_temperatures(one, labels, [f.fit for f in folds]) for one in log_probs])
    losses = torch.zeros(ensembles, samples, dtype=torch.float64)
    count = torch.zeros(samples, dtype=torch.float64)
    for fold, temperature in zip(folds, temperatures.unbind(1), strict=True):
        losses[:, fold.score] += tempered_losses(logits.pick((..., fold.score)), temperature)
        count[fold.score] += 1
    return losses / count, temperatures


def calibrated_nll(
    log_probs: Tensor, labels: Tensor, *, before: bool = False, repeats: int = REPEATS, seed: int = 0
) -> Calibrated:
    """NLL of the averaged ensemble at a held-out temperature (CNLL), in nats per sample.

    Members are averaged in probability, then rescaled; or, `before`, each is rescaled by the one
    temperature and then averaged. Each repeat halves the samples at random; the temperature fitted
    on one half scores the other, both ways.

    Args:
        log_probs: Natural log-probabilities or logits, (member, sample, class), any float dtype.
        labels: True classes, (sample,), integers in [0, class).
        before: Whether the temperature acts before averaging.
        repeats: Random halvings, at least 1; `2 * repeats` fits.
        seed: Draws the halvings; the same seed gives the same score.

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
    """
    check_logits(log_probs, labels)
    log_probs = log_probs.double().log_softmax(-1)
    prediction = log_probs if before else pooled(log_probs)[None]
    losses, temperatures = cross_fitted_losses(
        prediction[None], labels.long(), halvings(len(labels), repeats, seed)
    )
    return Calibrated(float(losses.mean()), geometric_mean(temperatures))


def geometric_mean(temperatures: Tensor) -> float:
    """One number for the temperatures of many folds."""
    return math.exp(float(temperatures.log().mean()))
