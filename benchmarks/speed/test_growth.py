"""How seconds and memory grow with members, image size and width.

Command: pytest benchmarks/speed/test_growth.py -s. Takes about five minutes on two cores. Every load runs in
a process of its own, three times, the axes in turn; what is printed is each row over the first of its axis,
beside how much the work grew, and the exponent log(seconds) / log(work) between neighbours. Expected:
training no more than linear in its work; scoring a pool scores every ensemble size, so its work is the
square of the pool's size.
"""

import json
import math
import statistics
import subprocess
import sys

import pytest
from tabulate import tabulate

from benchmarks.baselines.growth import Load
from benchmarks.speed._sides import ROOT
from ensembudget.budgets.flops import measure
from ensembudget.families._build import describe
from ensembudget.records import Task

REPEATS = 3
LINEAR = 1.15  # exponent: what a noisy machine makes of 1

AXES = {
    "members trained": [Load(what="training", members=n, width=4, size=8, pack=8) for n in (8, 32, 128, 256)],
    "members scored": [Load(what="scoring", members=n) for n in (8, 32, 128, 256)],
    "image size": [Load(what="training", size=s, width=8) for s in (8, 16, 32, 64)],
    "width": [Load(what="training", width=k) for k in (4, 8, 16, 32, 64)],
}


def amount(load: Load) -> float:
    """How much work a load is: operations of training, or members times sizes that are scored."""
    if load.what == "scoring":
        return float(load.members**2)
    task = Task(10, 3, load.size)
    return load.members * measure(describe("wide_resnet", load.width, task, options={"depth": 10}), task, "")


def used(load: Load) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.baselines.growth", load.to_json()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("axis", AXES)
def test_nothing_grows_faster_than_its_work(axis: str) -> None:
    loads = AXES[axis]
    rounds = [[used(load) for load in loads] for _ in range(REPEATS)]
    seconds, memory = (
        [statistics.median(one[i][what] for one in rounds) for i in range(len(loads))]
        for what in ("seconds", "megabytes")
    )
    amounts = [amount(load) for load in loads]
    exponents = [
        math.log(seconds[i] / seconds[i - 1]) / math.log(amounts[i] / amounts[i - 1])
        for i in range(1, len(loads))
    ]
    rows = [
        [load.members, load.size, load.width, w / amounts[0], s / seconds[0], m, e]
        for load, w, s, m, e in zip(loads, amounts, seconds, memory, [None, *exponents], strict=True)
    ]
    headings = ["members", "pixels", "width", "work", "seconds", "memory, MB", "exponent"]
    print(f"\n{axis}\n{tabulate(rows, headings, floatfmt='.3g', missingval='-')}")
    assert max(exponents) <= LINEAR
