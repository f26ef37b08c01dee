"""Whether bfloat16 is as good as float32, and how much faster: real members, and whole training steps.

Command: pytest benchmarks/test_bfloat16.py -m slow -s --store DIR. The first test trains what the store lacks
of tables/bfloat16/study.toml (half an hour on two cores; it needs cifar10-jpeg beside the project) and
scores it. The second times training on handwritten digits, enlarged for 32x32: ten minutes. Tables go to
--out (default: tables/bfloat16). The rule of equivalence was declared before it was run: docs/decisions.md.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scipy.special import stdtrit

from benchmarks.baselines._workload import SAMPLES, Workload
from benchmarks.publishing import machine, publish
from benchmarks.speed._sides import Side, alternate, ratio
from ensembudget import Store, load_study, plan_study, run
from ensembudget.arrays import Array
from ensembudget.records import Interval
from ensembudget.scoring.ensembles import size_losses
from ensembudget.scoring.pools import Pool, pools_of
from ensembudget.tables._base import Column, Table

pytestmark = pytest.mark.slow

OUT = "tables/bfloat16"
STUDY = "tables/bfloat16/study.toml"
PRECISIONS = ("float32", "bfloat16")
SIZES = (1, 4)
MARGIN = 0.01  # nats
LEVEL = 0.9  # of the interval: two one-sided tests at 5% each
DIGITS = {"size": 8, "train_size": 448, "batch_size": 64, "epochs": 5, "augmented": False}
IMAGES = {"size": 32, "train_size": SAMPLES, "batch_size": 128, "epochs": 1, "augmented": True}
WIDTHS = (16, 32, 64)

EQUIVALENCE = Table(
    "equivalence",
    "CNLL in bfloat16 and in float32",
    (
        Column("width", "width", "d"),
        Column("members", "n", "d"),
        Column("pairs", "pairs", "d"),
        Column("float32", "CNLL, float32", ".4f"),
        Column("bfloat16", "CNLL, bfloat16", ".4f"),
        Column("difference", "difference", "+.4f", interval=True),
        Column("verdict", "verdict"),
    ),
    rules=(
        "Mean CNLL over disjoint ensembles of n members, nats per sample. A pair has equal seeds: equal"
        " initial weights and equal batches.",
        f"Intervals of the difference, bfloat16 minus float32, are {LEVEL:.0%}, by Student's t of the pairs."
        f" Equivalent: the whole interval lies within {MARGIN} nats of zero.",
    ),
)
SPEED = Table(
    "speed",
    "Training in bfloat16 beside float32",
    (
        Column("size", "pixels", "d"),
        Column("width", "width", "d"),
        Column("members", "n", "d"),
        Column("faster", "times as fast", ".2f", interval=True),
        Column("share_float32", "of the peak, float32", ".0%"),
        Column("share_bfloat16", "of the peak, bfloat16", ".0%"),
    ),
    rules=(
        "WRN-10, two members, each precision stepped as autotuning chooses for it. Medians of 5 alternating"
        " rounds in one run, with the least and the greatest. Peak: the fastest matrix product in that"
        " precision, on all cores, measured between the rounds.",
    ),
)


def paired(one: Array, other: Array) -> Interval:
    """The mean difference of pairs, with an interval by Student's t."""
    apart = other - one
    reach = float(stdtrit(len(apart) - 1, (1 + LEVEL) / 2)) * apart.std(ddof=1) / len(apart) ** 0.5
    mean = float(apart.mean())
    return Interval(value=mean, low=mean - reach, high=mean + reach)


def compared(width: int, pools: Mapping[str, Pool], size: int) -> dict[str, Any]:
    """One row: the means of both precisions over disjoint ensembles of one size, and their difference."""
    one, other = (
        size_losses(pools[name].logits, pools[name].labels, [size])[0][size].mean(1).numpy()
        for name in PRECISIONS
    )
    apart = paired(one, other)
    assert apart.low is not None
    assert apart.high is not None
    within = -MARGIN < apart.low and apart.high < MARGIN
    return {
        "width": width, "members": size, "pairs": len(one), "float32": one.mean(), "bfloat16": other.mean(),
        "difference": apart.value, "difference_low": apart.low, "difference_high": apart.high,
        "verdict": "equivalent" if within else "not shown to be equivalent",
    }  # fmt: skip


def test_members_trained_in_bfloat16_are_as_good(request: pytest.FixtureRequest, out: Path) -> None:
    planned, store = plan_study(load_study(STUDY)), Store(request.config.getoption("--store"))
    assert not [one for one in run(planned, store) if one.status == "failed"]
    by_width: dict[int, dict[str, Pool]] = {}
    for pool in pools_of(planned, store):
        cell = pool.planned.cell
        by_width.setdefault(cell.width, {})[cell.recipe.precision] = pool
    rows = [compared(width, pools, size) for width, pools in by_width.items() for size in SIZES]
    diverged = sum(pool.diverged for pools in by_width.values() for pool in pools.values())
    cell = planned.cells[0].cell
    notes = [
        f"{cell.family} on {cell.dataset}: {cell.train_size:,} training images, {cell.recipe.epochs} epochs;"
        f" {diverged} members diverged."
    ]
    publish(out, EQUIVALENCE, rows, notes)
    assert not diverged
    assert all(row["verdict"] == "equivalent" for row in rows if row["members"] == 1)


def test_training_in_bfloat16_is_faster(out: Path) -> None:
    rows = []
    for options in (DIGITS, IMAGES):
        for width in WIDTHS:
            float32, bfloat16 = (
                Workload(
                    name=f"{precision}, width {width}", options={"depth": 10}, width=width, members=2,
                    precision=precision, **options,
                )
                for precision in PRECISIONS
            )  # fmt: skip
            with ExitStack() as stack:
                sides = {"float32": Side("ours", float32), "bfloat16": Side("ours", bfloat16)}
                sides |= {"peak32": Side("product", float32), "peak16": Side("product", bfloat16)}
                rounds = alternate({name: stack.enter_context(side) for name, side in sides.items()})
            middle, low, high = ratio(rounds["float32"], rounds["bfloat16"])
            shares = [
                ratio([float32.flops / seconds for seconds in rounds[name]], rounds[peak])[0]
                for name, peak in (("float32", "peak32"), ("bfloat16", "peak16"))
            ]
            rows.append({
                "size": float32.size, "width": width, "members": float32.members, "faster": middle,
                "faster_low": low, "faster_high": high, "share_float32": shares[0],
                "share_bfloat16": shares[1],
            })  # fmt: skip
            print(rows[-1], flush=True)
    publish(out, SPEED, rows, [machine()])
