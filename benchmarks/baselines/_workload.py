"""A piece of training that every side does, and the process in which one side does it again and again.

    python -m benchmarks.baselines.eager '{"name": ..., ...}'

answers every line on its standard input with the seconds of one round.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from ensembudget.budgets.flops import measure
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.datasets._load import load
from ensembudget.families._build import describe
from ensembudget.records import Cell, Options, Precision, Recipe, Record, Task

SAMPLES = 512  # training images of a round at 32x32
RATE, WEIGHT_DECAY = 0.1, 3e-4


class Workload(Record):
    """Members of one width to be trained for some epochs on real images."""

    name: str
    family: str = "wide_resnet"
    options: Options
    width: int
    members: int
    size: int  # pixels along a side: 8, or 32 in three channels
    train_size: int
    batch_size: int
    epochs: int
    augmented: bool
    test_size: int = 2  # images that ours is scored on after training; the others are not
    device: str = "cpu"
    precision: Precision = "float32"

    @property
    def task(self) -> Task:
        return Task(10, 1 if self.size == 8 else 3, self.size)

    def cell(self, epochs: int | None = None) -> Cell:
        """The same as ensembudget trains it, of another length where one is given."""
        return Cell(
            family=self.family,
            options=self.options,
            width=self.width,
            dataset="digits",
            dataset_digest=f"benchmark of {self.size} pixels",
            train_size=self.train_size,
            validation_size=0,
            mode="bn_wd",
            recipe=Recipe(
                epochs=epochs or self.epochs,
                batch_size=self.batch_size,
                learning_rate=RATE,
                weight_decay=WEIGHT_DECAY,
                schedule="constant",
                crop_padding=4 if self.augmented else 0,
                flip=self.augmented,
                precision=self.precision,
            ),
        )

    @property
    def flops(self) -> float:
        """Operations of a round: forward, and twice that for backward."""
        network = describe(self.family, self.width, self.task, options=self.options)
        each = 3.0 * measure(network, self.task, "float32") * self.train_size * self.epochs
        return self.members * each


def images_of(workload: Workload) -> Data:
    """scikit-learn's handwritten digits, at 32x32 each pixel four times as wide and in three channels."""
    data = load("digits")
    arrays = data.arrays
    images = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    labels = np.concatenate([arrays.train_labels, arrays.test_labels])
    if workload.size == 32:
        images = np.repeat(images.repeat(4, 1).repeat(4, 2), 3, 3)
    kept, end = workload.train_size, workload.train_size + workload.test_size
    some = Arrays(images[:kept], labels[:kept], images[kept:end], labels[kept:end], 10)
    return Data(data.name, data.digest, some)


def serve(prepare: Callable[[Workload], Callable[[], None]]) -> None:
    """Does a round whenever asked, and says what it took."""
    workload = Workload.from_json(sys.argv[1])
    work = prepare(workload)
    work()  # the first round fills caches and is not counted
    print("ready", torch.get_num_threads(), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        work()
        print(time.perf_counter() - began, flush=True)
