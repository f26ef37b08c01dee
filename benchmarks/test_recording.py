"""What recording costs: epochs with a record after each beside epochs without, in one run.

Command: pytest benchmarks/test_recording.py -m slow -s. Takes about 4 minutes on two cores. Expect 1.05 to
1.10 at 32x32 and 1.06 to 1.14 at 8x8: gradients are those that train, so it is the test images (one for five
training images, as CIFAR has them) and the sums that cost. A pass of its own at fixed weights, the papers'
way, doubles an epoch, and is there for comparison.
"""

import itertools
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ensembudget.datasets._data import Data
from ensembudget.datasets._load import load
from ensembudget.records import Cell, Recipe, Recording, Run
from ensembudget.training.loop import train

ROUNDS = 5

torch.set_num_threads(1)  # as the executor's workers have it
# At 8x8 a step takes 2 ms, and what is done once an epoch shows: docs/performance.md.
BOUNDS = {8: 1.15, 32: 1.10}


def enlarged(data: Data) -> Data:
    """The digits at 32x32 in three channels: real images at the papers' size."""

    def blow(images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images.repeat(4, 1).repeat(4, 2).repeat(3, 3))

    arrays = data.arrays
    larger = arrays._replace(train_inputs=blow(arrays.train_inputs), test_inputs=blow(arrays.test_inputs))
    return replace(data, arrays=larger)


def cell_of(width: int, family: str, epochs: int, digest: str, record: Recording | None) -> Cell:
    options = {"depth": 10, "invariance": "full"} if family == "wide_resnet" else {"invariance": "full"}
    recipe = Recipe(
        epochs=epochs, batch_size=64, learning_rate=0.1, weight_decay=1e-3, momentum=0.0,
        schedule="constant", crop_padding=0, flip=False,
    )  # fmt: skip
    return Cell(
        family=family, options=options, width=width, dataset="digits", dataset_digest=digest,
        train_size=1000, validation_size=0, mode="bn_wd", recipe=recipe, record=record,
    )  # fmt: skip


CASES = [
    pytest.param("convnet", 8, 1, 8, 20, id="convnet-k8-8x8"),
    pytest.param("convnet", 4, 4, 8, 20, id="convnet-k4-8x8-packed-by-4"),
    pytest.param("convnet", 32, 1, 32, 3, id="convnet-k32-32x32"),
    pytest.param("wide_resnet", 16, 1, 8, 8, id="wide_resnet-k16-8x8"),
    pytest.param("resnet18", 16, 1, 32, 3, id="resnet18-k16-32x32"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "width", "pack", "size", "epochs"), CASES)
def test_recording_every_epoch(
    tmp_path: Path, family: str, width: int, pack: int, size: int, epochs: int
) -> None:
    """Training with a record every epoch over training without, medians of alternating rounds."""
    data = load("digits") if size == 8 else enlarged(load("digits"))

    def seconds(name: str, record: Recording | None) -> list[float]:
        """Of every epoch but the first: what is done once a member is left out."""
        cell = cell_of(width, family, epochs + 1, data.digest, record)
        runs = [Run(cell=cell, seed=seed) for seed in range(pack)]
        marks: list[float] = []
        train(runs, data, on_epoch=lambda epoch: marks.append(time.perf_counter()),
              histories=tmp_path / name if record else None)  # fmt: skip
        return [after - before for before, after in itertools.pairwise(marks)]

    recorded = Recording(test_size=200)
    off, on = list[float](), list[float]()
    for i in range(ROUNDS):
        off += seconds("off", None)
        on += seconds(f"on{i}", recorded)
    fixed = seconds("fixed", recorded.model_copy(update={"fixed_pass": True}))
    ratios = {"on": statistics.median(on), "fixed": statistics.median(fixed)}
    ratios = {name: value / statistics.median(off) for name, value in ratios.items()}
    print(
        f"\n{family} k={width} pack={pack} {size}x{size}: recording {ratios['on']:.3f} of the time without,"
        f" {ratios['fixed']:.2f} with a fixed pass"
    )
    assert ratios["on"] <= BOUNDS[size]
