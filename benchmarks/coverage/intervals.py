"""Simulated pools of known truth: what 95% intervals cover, and how often equal splits get a verdict.

A member's logits are the true class at a strength of its own, what all members of a width see alike in an
image, and noise of its own. Everything after the logits is the code that reports use. Beside it stands the
rule before it: percentiles of a bootstrap over members and, for differences, over samples.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ensembudget.metrics.accuracy import accuracy
from ensembudget.metrics.nll import label_losses
from ensembudget.records import Interval, Score
from ensembudget.scoring.comparison import SplitLosses, Verdict, compare, minus, split_losses
from ensembudget.scoring.ensembles import PoolScores, size_losses
from ensembudget.scoring.influence import influences
from ensembudget.scoring.mixing import group_matrix, groups, pooled
from ensembudget.scoring.standard_errors import (
    MANY_GROUPS,
    WITH_ERRORS,
    Variance,
    interval,
    mean_metrics,
    member_errors,
)
from ensembudget.tables._base import Column, Row, Table

REPETITIONS = 1000
POOLS = (2, 5, 8, 16)
SAMPLES, CLASSES = 150, 4
STRENGTH = 2.0  # of the true class
DRAWS = 500  # of the bootstrap
MONTE_CARLO = f"{REPETITIONS:,} repetitions: the standard error of a coverage near 95% is 0.7 points."


class Kind(NamedTuple):
    """How members of a width differ.

    Attributes:
        name: For the tables.
        noise: Standard deviation of a member's own noise in a logit.
        skill: Standard deviation of its strength, a fraction.
        heavy: Whether both have Student's distribution with 3 degrees of freedom, not the normal.
    """

    name: str
    noise: float
    skill: float
    heavy: bool

    def draws(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Of mean 0 and variance 1."""
        return rng.standard_t(3, shape) / 3**0.5 if self.heavy else rng.standard_normal(shape)

    def members(self, rng: np.random.Generator, count: int, images: "Images") -> Tensor:
        """Logits, (member, sample, class)."""
        strength = STRENGTH * (1 + self.skill * self.draws(rng, count, 1, 1))
        own = self.noise * self.draws(rng, count, *images.seen.shape)
        logits = strength * np.eye(CLASSES)[images.labels] + images.seen + own
        return torch.from_numpy(logits.astype(np.float32))


class Images(NamedTuple):
    """Test images: their labels, and what all members of a width see alike in them."""

    labels: np.ndarray  # (sample,)
    seen: np.ndarray  # (sample, class)

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Images":
        return cls(rng.integers(CLASSES, size=SAMPLES), rng.normal(size=(SAMPLES, CLASSES)))

    def through(self, rng: np.random.Generator, difference: float) -> "Images":
        """The same images as another width sees them."""
        return self._replace(seen=self.seen + difference * rng.normal(size=self.seen.shape))


KINDS = [
    Kind(f"{alike}, {'heavy tails' if heavy else 'normal'}", noise, skill, heavy)
    for alike, noise, skill in (("alike", 0.3, 0.05), ("diverse", 1.2, 0.15))
    for heavy in (False, True)
]
FEWER_KINDS = [KINDS[0], KINDS[3]]  # where two pools or more are drawn at a time


def scored(logits: Tensor, labels: Tensor, sizes: Sequence[int]) -> PoolScores:
    """What `score_pool` says of a few sizes, without the metrics and temperatures that no interval needs."""
    losses, temperatures = size_losses(logits, labels, sizes)
    scores = []
    for size in sizes:
        averages = pooled(logits, group_matrix(len(logits), groups(len(logits), size)))
        for replicate, (one, each) in enumerate(zip(averages, losses[size], strict=True)):
            scores.append(Score(
                cell="", members=size, replicate=replicate, cnll=float(each.mean()), cnll_before=0,
                metrics={"accuracy": accuracy(one, labels), "nll": float(label_losses(one, labels).mean())},
                temperature=1, temperature_before=1,
            ))  # fmt: skip
    return PoolScores(scores, losses, temperatures)


def holds(found: Interval | None, truth: float) -> bool:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


# The rule before.


def resampled(
    logits: Tensor, labels: Tensor, scores: PoolScores, size: int, rng: np.random.Generator
) -> np.ndarray:
    """How the mean CNLL moves under a bootstrap over members, (draw,)."""
    means = scores.losses[size].mean(1).numpy()
    if size == 1 or len(means) >= MANY_GROUPS:
        parts = means[None]
    else:
        temperature = scores.temperatures[size]
        some = [logits[group] for group in groups(len(logits), size)]
        parts = np.stack([influences(group, labels, temperature)[1].mean(1) for group in some])
    count, each = parts.shape
    picks = rng.integers(each, size=(DRAWS, count, each))
    centred = parts - parts.mean(1, keepdims=True)
    return (each / (each - 1)) ** 0.5 * centred[np.arange(count)[:, None], picks].mean((1, 2))


def percentiles(value: float, moved: np.ndarray) -> Interval:
    low, high = np.quantile(moved, [0.025, 0.975])
    return Interval(value=value, low=value + low, high=value + high)


# One pool, at the test samples there are.

INTERVALS = Table(
    "intervals",
    "Coverage of 95% intervals of one pool",
    (
        Column("kind", "members"),
        Column("pool", "pool", "d"),
        Column("members", "n", "d"),
        Column("freedom", "degrees of freedom", "d"),
        Column("cnll", "CNLL, %", ".1f"),
        Column("nll", "NLL, %", ".1f"),
        Column("accuracy", "accuracy, %", ".1f"),
        Column("error", "standard error, estimated over true", ".2f"),
        Column("before", "CNLL before, %", ".1f"),
    ),
    rules=(
        f"{MONTE_CARLO} Pools are drawn anew at the same {SAMPLES} test samples of {CLASSES} classes; truth"
        " is the mean over all pools.",
        "Standard error, estimated over true: root mean square of the CNLL's estimate over the spread of its"
        " value. Before: percentiles of a bootstrap over members.",
        "Heavy tails: skill and noise of members have Student's distribution with 3 degrees of freedom.",
    ),
)  # fmt: skip


class Seen(NamedTuple):
    """One size of one simulated pool."""

    values: tuple[float, ...]  # in the order of WITH_ERRORS
    intervals: tuple[Interval, ...]
    before: Interval  # of the CNLL
    error: Variance  # of the CNLL


def pools(kind: Kind, pool: int, repetitions: int, seed: int = 0) -> Iterator[dict[int, Seen]]:
    """Pools of one size at the same test samples, by ensemble size."""
    images = Images.drawn(np.random.default_rng(seed))
    rng = np.random.default_rng([seed, KINDS.index(kind), pool])
    labels = torch.from_numpy(images.labels)
    sizes = [size for size in sorted({1, 2, 4, pool}) if size <= pool]
    for _ in range(repetitions):
        logits, found = kind.members(rng, pool, images), {}
        scores = scored(logits, labels, sizes)
        for size in sizes:
            errors = member_errors(logits, labels, scores, size)
            assert errors is not None
            values = tuple(scores.mean(size, name) for name in WITH_ERRORS)
            metrics = mean_metrics(scores, size, errors)
            new = metrics["accuracy"], metrics["nll"], interval(values[2], errors.cnll, (0, np.inf))
            old = percentiles(values[2], resampled(logits, labels, scores, size, rng))
            found[size] = Seen(values, new, old, errors.cnll)
        yield found


def pool_rows(kind: Kind, repetitions: int = REPETITIONS) -> list[Row]:
    """Coverage at every pool and size."""
    seen = {pool: list(pools(kind, pool, repetitions)) for pool in POOLS}
    every = [one for found in seen.values() for sizes in found for one in sizes.items()]
    rows = []
    for pool, found in seen.items():
        for size in found[0]:
            truth = np.mean([one.values for other, one in every if other == size], axis=0)
            some = [sizes[size] for sizes in found]
            covered = np.mean(
                [[holds(*pair) for pair in zip(one.intervals, truth, strict=True)] for one in some], axis=0
            )
            errors = [one.error.value for one in some]
            rows.append({
                "kind": kind.name, "pool": pool, "members": size, "freedom": int(some[0].error.freedom),
                **dict(zip(WITH_ERRORS, (100 * covered).tolist(), strict=True)),
                "error": float(np.mean(errors) ** 0.5 / np.std([one.values[2] for one in some], ddof=1)),
                "before": 100 * float(np.mean([holds(one.before, truth[2]) for one in some])),
            })  # fmt: skip
    return rows


# Differences of two splits, over members and test samples.

DIFFERENCES = Table(
    "differences",
    "Coverage of 95% intervals of a difference",
    (
        Column("kind", "members"),
        Column("pool", "pools", "d"),
        Column("first", "n", "d"),
        Column("second", "minus n", "d"),
        Column("covered", "CNLL, %", ".1f"),
        Column("error", "standard error, estimated over true", ".2f"),
        Column("samples", "of the variance, test samples", ".2f"),
        Column("before", "before, %", ".1f"),
    ),
    rules=(
        f"{MONTE_CARLO} Each draws {SAMPLES} test samples and two pools anew; truth is the mean over all of"
        " them. Before: percentiles of a bootstrap over members plus one over samples.",
    ),
)


class Drawn(NamedTuple):
    """A split of a simulated world, and how its mean moved under the rule before."""

    losses: SplitLosses
    moved: np.ndarray


def drawn(kind: Kind, rng: np.random.Generator, images: Images, pool: int, size: int) -> Drawn:
    labels = torch.from_numpy(images.labels)
    logits = kind.members(rng, pool, images)
    scores = scored(logits, labels, [size])
    return Drawn(split_losses(logits, labels, scores, size), resampled(logits, labels, scores, size, rng))


def resampled_means(losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How mean losses move where samples are drawn anew: (split, sample) to (split, draw)."""
    return (losses - losses.mean(1, keepdims=True)) @ weights.T


def sample_weights(rng: np.random.Generator) -> np.ndarray:
    return rng.multinomial(SAMPLES, np.full(SAMPLES, 1 / SAMPLES), size=DRAWS) / SAMPLES


def difference_rows(kind: Kind, repetitions: int = REPETITIONS, seed: int = 0) -> list[Row]:
    rows = []
    for pool in POOLS:
        rng = np.random.default_rng([seed, 1, KINDS.index(kind), pool])
        first, weights, found = min(pool, 4), sample_weights(rng), []
        for _ in range(repetitions):
            images = Images.drawn(rng)
            one, other = (drawn(kind, rng, images.through(rng, 0.3), pool, size) for size in (first, 1))
            new = minus(one.losses, other.losses)
            both = np.stack([one.losses.losses, other.losses.losses])
            by_samples = resampled_means(both, weights)
            old = percentiles(new.value, by_samples[0] - by_samples[1] + one.moved - other.moved)
            parts = compare([one.losses, other.losses])[0].parts
            assert parts is not None
            found.append((new, old, parts))
        values = np.array([new.value for new, _, _ in found])
        truth = float(values.mean())
        variances = np.array([parts for *_, parts in found])
        rows.append({
            "kind": kind.name, "pool": pool, "first": first, "second": 1,
            "covered": 100 * float(np.mean([holds(new, truth) for new, _, _ in found])),
            "error": float(variances.sum(1).mean() ** 0.5 / values.std(ddof=1)),
            "samples": float(variances[:, 1].mean() / variances.sum(1).mean()),
            "before": 100 * float(np.mean([holds(old, truth) for _, old, _ in found])),
        })  # fmt: skip
    return rows


# Verdicts on four equal splits.

SIZES = (1, 2, 4, 8)
DESIGNS = (8, 2)  # the least pool: the default, and what it was before

FAMILIES = Table(
    "families",
    "False verdicts on four equal splits",
    (
        Column("kind", "members"),
        Column("pool", "pool", "d"),
        Column("better", "some 'better than wide', %", ".1f"),
        Column("worse", "some 'worse than wide', %", ".1f"),
        Column("below_best", "some 'worse than best', %", ".1f"),
        Column("better_before", "better, before, %", ".1f"),
        Column("below_before", "worse than best, before, %", ".1f"),
    ),
    rules=(
        f"{REPETITIONS:,} repetitions: the standard error of 5% is 0.7 points. n ="
        f" {', '.join(map(str, SIZES))} of equal expected CNLL; each width has at least `pool` members, and"
        " enough for two ensembles. Test samples and members are drawn anew.",
        "Some: at least one of the three other splits. 95% of budgets should have no false verdict: 2.5%"
        " some false 'better', 5% some false 'worse than best'. Before: percentiles of a bootstrap, each"
        " split by itself.",
    ),
)


def shifted(one: SplitLosses, by: float) -> SplitLosses:
    return SplitLosses(one.members, one.losses - by, one.errors)


def family_row(kind: Kind, pool: int, repetitions: int = REPETITIONS, seed: int = 0) -> Row:
    rng = np.random.default_rng([seed, 2, KINDS.index(kind), pool])
    weights, families = sample_weights(rng), []
    for _ in range(repetitions):
        images = Images.drawn(rng)
        families.append([
            drawn(kind, rng, images.through(rng, 0.3), max(pool, 2 * size), size) for size in SIZES
        ])  # fmt: skip
    # Sizes differ in what they are worth; without the mean difference they are equal splits.
    expected = np.mean([[one.losses.losses.mean() for one in family] for family in families], axis=0)
    seen = []
    for family in families:
        splits = [shifted(one.losses, by) for one, by in zip(family, expected, strict=True)]
        found = compare(splits)
        verdicts = [one.verdict for one in found]
        losses = np.stack([one.losses for one in splits])
        means, moves = (
            losses.mean(1),
            resampled_means(losses, weights) + np.stack([one.moved for one in family]),
        )
        old = [percentiles(means[i] - means[0], moves[i] - moves[0]) for i in range(1, len(SIZES))]
        best = int(means.argmin())
        above = [
            percentiles(means[i] - means[best], moves[i] - moves[best])
            for i in range(len(SIZES))
            if i != best
        ]
        seen.append((
            Verdict.BETTER in verdicts, Verdict.WORSE in verdicts,
            Verdict.WORSE in [one.best for one in found],
            any(one.high is not None and one.high < 0 for one in old),
            any(one.low is not None and one.low > 0 for one in above),
        ))  # fmt: skip
    shares = 100 * np.mean(seen, axis=0)
    names = ("better", "worse", "below_best", "better_before", "below_before")
    return {"kind": kind.name, "pool": pool, **dict(zip(names, shares.tolist(), strict=True))}
