"""The scores of a pool once more, slowly and in plain NumPy: what `ensembudget.scoring` must agree with.

Nothing of the code under test is used. The halvings are drawn as documented; a temperature is sought on a
grid of log T and then as a root of the slope, which is a complex step of the loss, not a formula.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[Any]

HOTTEST = 1000.0
FLAT = 1e-9
LOG_T = np.linspace(-np.log(HOTTEST), np.log(HOTTEST), 400)


def log_softmax(z: Array) -> Array:
    shifted = z - z.real.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def average(log_probs: Array) -> Array:
    """Members (member, sample, class), averaged in probability."""
    top = log_probs.real.max(0)
    return top + np.log(np.exp(log_probs - top).mean(0))


def tempered_losses(log_probs: Array, labels: Array, inverse: complex | float) -> Array:
    """Loss of every sample when members are multiplied by 1 / T, renormalised, then averaged."""
    return -average(log_softmax(inverse * log_probs))[np.arange(len(labels)), labels]


def slope(log_probs: Array, labels: Array, log_t: float) -> float:
    """d mean loss / d (1 / T), exact to rounding: a step of 1e-30 along the imaginary axis."""
    return float(tempered_losses(log_probs, labels, np.exp(-log_t) + 1e-30j).mean().imag / 1e-30)


def grid_losses(log_probs: Array, labels: Array) -> Array:
    """(temperature, sample), coldest first."""
    return np.stack([tempered_losses(log_probs, labels, np.exp(-log_t)) for log_t in LOG_T])


def temperature(log_probs: Array, labels: Array, fit: Array, on_grid: Array) -> float:
    """The temperature of least mean loss on the samples `fit`; 1 if it is T -> 0, at most 1000."""
    inside, own = log_probs[:, fit], labels[fit]
    means = on_grid[:, fit].mean(1)
    best = int(means.argmin())
    # The slope in 1 / T is positive where the loss falls with rising T.
    if best == len(LOG_T) - 1 and slope(inside, own, LOG_T[-1]) >= 0:
        return 1.0 if means[0] <= means[-1] + FLAT else HOTTEST
    if best == 0 and slope(inside, own, LOG_T[0]) <= 0:
        return 1.0
    low, high = LOG_T[max(best - 1, 0)], LOG_T[min(best + 1, len(LOG_T) - 1)]
    ends = slope(inside, own, low), slope(inside, own, high)
    if ends[0] * ends[1] >= 0:  # flat to rounding: nothing to find between
        log_t = LOG_T[best]
    else:
        log_t = brentq(lambda x: slope(inside, own, x), low, high, xtol=1e-15, rtol=1e-15)
    bottom = tempered_losses(inside, own, np.exp(-log_t)).mean()
    return 1.0 if means[0] <= bottom + FLAT else float(np.exp(log_t))


def valleys(means: Array) -> int:
    """How many places on the grid are lower than what lies around them, the ends among them."""
    rounded = np.concatenate([[np.inf], np.round(means, 9), [np.inf]])
    steps = np.sign(np.diff(rounded))
    steps = steps[steps != 0]
    return int(((steps[:-1] < 0) & (steps[1:] > 0)).sum())


def halves(samples: int, seed: int = 0, repeats: int = 5) -> Iterator[tuple[Array, Array]]:
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(samples)
        middle = -(-samples // 2)
        yield order[:middle], order[middle:]
        yield order[middle:], order[:middle]


def cross_fitted(log_probs: Array, labels: Array, seed: int = 0) -> tuple[float | None, float | None]:
    """CNLL and geometric mean temperature over the five halvings; (member, sample, class).

    None where the loss of several members has more than one valley: which of them is found is another
    question, and has a test of its own.
    """
    on_grid = grid_losses(log_probs, labels)
    total, found = np.zeros(len(labels)), []
    for fit, score in halves(len(labels), seed):
        if valleys(on_grid[:, fit].mean(1)) > 1:
            return None, None
        t = temperature(log_probs, labels, fit, on_grid)
        total[score] += tempered_losses(log_probs[:, score], labels[score], 1 / t)
        found.append(t)
    return float((total / 5).mean()), float(np.exp(np.mean(np.log(found))))


def accuracy(log_probs: Array, labels: Array) -> float:
    return float(np.mean([row.argmax() == label for row, label in zip(log_probs, labels, strict=True)]))


def brier(log_probs: Array, labels: Array) -> float:
    probs = np.exp(log_probs)
    truth = np.eye(probs.shape[1])[labels]
    return float(((probs - truth) ** 2).sum(1).mean())


def ece(log_probs: Array, labels: Array, bins: int = 15) -> float | None:
    """None where a confidence lies on an inner edge to rounding, so that its bin is anybody's."""
    confidence = np.exp(log_probs).max(1)
    right = log_probs.argmax(1) == labels
    inner = np.arange(1, bins) / bins
    if (np.abs(confidence[:, None] - inner) < 1e-12).any():
        return None
    total = 0.0
    for k in range(bins):
        # The last bin also holds one and a rounding.
        here = (confidence > k / bins) & ((confidence <= (k + 1) / bins) | (k == bins - 1))
        if here.any():
            total += here.mean() * abs(right[here].mean() - confidence[here].mean())
    return float(total)


def disagreement(log_probs: Array) -> float | None:
    votes = log_probs.argmax(-1)
    pairs = [float(np.mean(a != b)) for a, b in combinations(votes, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def score_pool(logits: Array, labels: Array, seed: int = 0) -> dict[tuple[int, int], dict[str, float | None]]:
    """Every metric by (size, replicate), the groups being runs of neighbours from member 0 on."""
    log_probs = log_softmax(logits.astype(np.float64))
    table: dict[tuple[int, int], dict[str, float | None]] = {}
    for size in range(1, len(logits) + 1):
        for replicate in range(len(logits) // size):
            members = log_probs[replicate * size : (replicate + 1) * size]
            whole = average(members)
            cnll, t = cross_fitted(whole[None], labels, seed)
            cnll_before, t_before = cross_fitted(members, labels, seed)
            table[size, replicate] = {
                "accuracy": accuracy(whole, labels),
                "nll": float(-whole[np.arange(len(labels)), labels].mean()),
                "cnll": cnll,
                "cnll_before": cnll_before,
                "temperature": t,
                "temperature_before": t_before,
                "brier": brier(whole, labels),
                "ece": ece(whole, labels),
                "disagreement": disagreement(members),
            }
    return table
