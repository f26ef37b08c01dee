"""Two equal results compared: how often they are called different, and how small a difference is seen."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest

from benchmarks.coverage.intervals import FEWER_KINDS, KINDS, Images, Kind, scored
from ensembudget.scoring.differences import MeasuredSize, differences, intervals_at_once, measured
from ensembudget.tables._base import Column, Row, Table

REPETITIONS = 100
POOLS = (8, 4)
CELLS = ((0, 1), (0, 2), (1, 2), (1, 4))  # (which width, n): two budgets that share a width
AGAIN = 0.05  # the noise of training the same run twice, in a logit


class Case(NamedTuple):
    """How B differs from A.

    Attributes:
        name: For the table.
        weaker: By what share the true class of B's members is weaker.
        paired: Whether B's members are A's, trained twice.
    """

    name: str
    weaker: float = 0.0
    paired: bool = False


CASES = (
    Case("other seeds"), Case("same runs twice", paired=True),
    Case("10% weaker", 0.1),
)  # fmt: skip

TABLE = Table(
    "comparisons",
    "Two results compared: how often they are called different",
    (
        Column("kind", "members"),
        Column("case", "B against A"),
        Column("pool", "pools", "d"),
        Column("different", "called different, %", ".1f", interval=True),
        Column("cnll", "by CNLL, %", ".1f"),
        Column("nll", "by NLL, %", ".1f"),
        Column("accuracy", "by accuracy, %", ".1f"),
    ),
    rules=(
        f"{REPETITIONS} repetitions; test samples and the members of both sides are drawn anew. Each compares"
        f" {len(CELLS)} cells of two widths, which share pools, in three measures. Called different: some"
        " interval excludes zero; intervals of shares are exact binomial, 95%. Between equal results at most"
        " 5% should be.",
    ),
)


def row_of(kind: Kind, case: Case, pool: int, repetitions: int = REPETITIONS, seed: int = 0) -> Row:
    """How often some cell is called different, and by which measure."""
    rng = np.random.default_rng([seed, 3, KINDS.index(kind), CASES.index(case), pool])
    seen = []
    for _ in range(repetitions):
        images = Images.drawn(rng)
        views = [images, images.through(rng, 0.3)]
        a, b = _sides(kind, case, rng, views, pool)
        each = [one for cell in CELLS for one in differences(b[cell], a[cell], paired=case.paired)]
        found = [one.low > 0 or one.high < 0 for one in intervals_at_once(each)]  # type: ignore[operator]
        by_measure = np.reshape(found, (len(CELLS), 3)).any(0)
        seen.append([any(found), *by_measure])
    shares = np.mean(seen, axis=0)
    ends = binomtest(int(np.sum([one[0] for one in seen])), repetitions).proportion_ci()
    return {
        "kind": kind.name, "case": case.name, "pool": pool, "different": 100 * float(shares[0]),
        "different_low": 100 * float(ends.low), "different_high": 100 * float(ends.high),
        "accuracy": 100 * float(shares[1]), "nll": 100 * float(shares[2]), "cnll": 100 * float(shares[3]),
    }  # fmt: skip


def _sides(
    kind: Kind, case: Case, rng: np.random.Generator, views: list[Images], pool: int
) -> list[dict[tuple[int, int], MeasuredSize]]:
    """What both sides measure in every cell."""
    labels = torch.from_numpy(views[0].labels)
    sides: list[dict[tuple[int, int], MeasuredSize]] = [{}, {}]
    for width, view in enumerate(views):
        first = kind.members(rng, pool, view)
        if case.paired:
            both = [first, first + AGAIN * torch.from_numpy(rng.normal(size=first.shape)).float()]
        else:
            weak = kind.members(rng, pool, view)
            true = torch.nn.functional.one_hot(labels, weak.shape[-1])
            both = [first, weak - case.weaker * 2.0 * true]
        sizes = [size for which, size in CELLS if which == width]
        for side, logits in zip(sides, both, strict=True):
            scores = scored(logits, labels, sizes)
            side.update({(width, size): measured(logits, labels, scores, size) for size in sizes})
    return sides


def rows(repetitions: int = REPETITIONS) -> list[Row]:
    """Every kind of members, case and pool."""
    return [row_of(kind, case, pool, repetitions) for kind in FEWER_KINDS for case in CASES for pool in POOLS]
