"""One amount of work in a fresh process: its seconds and its peak memory, for the table of growth.

python -m benchmarks.baselines.growth '{"what": "training", "members": 8, ...}'
"""

import json
import resource
import sys
import time
from typing import Literal, NamedTuple

import torch

from ensembudget.records import Cell, Recipe, Record, Run, Stepping, Task
from ensembudget.scoring.ensembles import score_pool
from ensembudget.stepping.memory import keep_freed
from ensembudget.stepping.timing import random_data
from ensembudget.training.loop import train

STEPS, BATCH, TEST = 3, 64, 500


class Load(Record):
    """Training of members, or scoring of a pool of them, at one size."""

    what: Literal["training", "scoring"]
    members: int = 4
    width: int = 8
    size: int = 16
    pack: int = 4


class Used(NamedTuple):
    """Of one load, the second time it is done; memory beyond what the process had before."""

    seconds: float
    megabytes: float


def work(load: Load) -> None:
    if load.what == "scoring":
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(load.members, TEST, 10, generator=generator)
        score_pool(logits, torch.arange(TEST) % 10)
        return
    cell = Cell(
        family="wide_resnet", options={"depth": 10}, width=load.width, dataset="random",
        dataset_digest="random", train_size=BATCH, validation_size=0, mode="bn_wd",
        recipe=Recipe(epochs=STEPS, batch_size=BATCH, learning_rate=0.1, weight_decay=3e-4),
    )  # fmt: skip
    data = random_data(Task(10, 3, load.size), BATCH)
    for first in range(0, load.members, load.pack):
        runs = [Run(cell=cell, seed=seed) for seed in range(first, min(first + load.pack, load.members))]
        train(runs, data, stepping=Stepping(pack=load.pack))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    load = Load.from_json(sys.argv[1])
    torch.set_num_threads(1)
    keep_freed()
    work(load.model_copy(update={"members": min(load.members, 2), "width": 2, "size": 8, "pack": 1}))
    before = peak()
    began = time.perf_counter()
    work(load)
    print(json.dumps(Used(time.perf_counter() - began, peak() - before)._asdict()))


if __name__ == "__main__":
    main()
