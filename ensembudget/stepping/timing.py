"""How long a step takes on this machine, one way or another: timed on random images, whole steps."""

import hashlib
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ..catalog import MODES
from ..datasets._base import Arrays, Data
from ..datasets._cache import cache_folder
from ..families._invariance import invariant_of
from ..families._layers import set_dropout
from ..packing.batches import draw, epoch_batches, scale_of
from ..packing.network import DTYPES, build_network, single
from ..records import Cell, Options, Precision, Record, Run, Stepping, Task
from .step import WARM_STEPS, faults, stepper

STEPS, SECONDS = 5, 0.25  # a timing is the median of at least so many steps, and goes on for so long


class Place(Record):
    """Where a run happens: a device, and how many processes of how many threads share it."""

    device: str
    workers: int
    threads: int


class Shape(Record):
    """All that decides how long a step takes."""

    family: str
    options: Options
    width: int
    task: tuple[int, int, int]
    batch: int
    mode: str
    precision: Precision
    dropout: bool
    recorded: bool
    place: Place
    hardware: str
    torch: str

    @property
    def path(self) -> Path:
        """Where its timings are kept."""
        name = hashlib.sha256(self.to_json().encode()).hexdigest()[:32]
        return cache_folder() / "trials" / f"{name}.json"


class Timing(Record):
    """What one way took: `seconds` the median step of a whole pack, `first` what compiling added.

    There are no seconds where it cannot be done, and a `fault` says why.
    """

    stepping: Stepping
    seconds: float | None = None
    first: float = 0.0
    fault: str | None = None


def hardware(device: str) -> str:
    """What a device is, as exactly as it says: timings of one tell nothing of another."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{platform.machine()} {model}, {os.cpu_count()} cores"


def shape_of(cell: Cell, task: Task, place: Place, machine: str) -> Shape:
    recipe = cell.recipe
    return Shape(
        family=cell.family,
        options=cell.options,
        width=cell.width,
        task=(task.classes, task.channels, task.image_size),
        batch=min(recipe.batch_size, cell.train_size),
        mode=cell.mode,
        precision=recipe.precision,
        dropout=recipe.dropout > 0,
        recorded=cell.record is not None,
        place=place,
        hardware=machine,
        torch=torch.__version__,
    )


def time_steps(cell: Cell, task: Task, stepping: Stepping, device: str) -> Timing:
    """Times a pack's steps: batches cut, forward, backward and the optimiser."""
    if wrong := faults(stepping, cell.recipe, device, recorded=cell.record is not None):
        return Timing(stepping=stepping, fault=" ".join(wrong))
    try:
        once = timed_step(cell, task, stepping, device)
        first = once()
        for _ in range(WARM_STEPS + 1 if stepping.captured else 1):
            once()
        seconds: list[float] = []
        while len(seconds) < STEPS or sum(seconds) < SECONDS:
            seconds.append(once())
    except Exception as error:  # no compiler, no memory, no kernel: a way that cannot be is not taken
        return Timing(stepping=stepping, fault=f"{type(error).__name__}: {error}".splitlines()[0])
    middle = statistics.median(seconds)
    return Timing(stepping=stepping, seconds=middle, first=max(0.0, first - middle))


def timed_step(cell: Cell, task: Task, stepping: Stepping, device: str) -> Callable[[], float]:
    """A function that makes one step of a new pack and returns its seconds, the device waited for."""
    place, recipe = torch.device(device), cell.recipe
    size = min(recipe.batch_size, cell.train_size)
    data = random_data(task, size)
    runs = [Run(cell=cell, seed=seed) for seed in range(stepping.pack)]
    network = build_network(runs, data, place, stepping.layout).train()
    optimizer = MODES[cell.mode].optimizer(network, recipe, invariant_of(network, len(runs)))
    set_dropout(network, recipe.dropout, [torch.Generator().manual_seed(seed) for seed in range(len(runs))])
    step = stepper(network, optimizer, stepping, len(runs), lambda: single(cell, task), cell)
    images, labels = (torch.from_numpy(array).to(place) for array in data.arrays[:2])
    scale = scale_of(recipe.normalisation, images.cpu()).to(place, DTYPES[recipe.precision])
    generator = torch.Generator().manual_seed(0)

    def once() -> float:
        began = time.perf_counter()
        draws = [draw(size, recipe.crop_padding, recipe.flip, generator) for _ in runs]
        for batch in epoch_batches(images, labels, draws, size, recipe.crop_padding, scale):
            step(*batch, None)
        if place.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return once


def random_data(task: Task, size: int) -> Data:
    """Images and labels of no meaning, as many in training as in test."""
    generator = torch.Generator().manual_seed(0)
    shape = (size, task.image_size, task.image_size, task.channels)
    images = torch.randint(256, shape, generator=generator, dtype=torch.uint8).numpy()
    labels = torch.randint(task.classes, (size,), generator=generator).numpy()
    return Data("random", "random", Arrays(images, labels, images, labels, task.classes))
