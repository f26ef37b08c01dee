"""What was measured of steps, kept in the cache folder for the next run."""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import torch

from ..datasets._cache import cache_folder
from ..files import write_whole
from ..records import AnyTask, Cell, Options, Precision, Record, Stepping
from .place import Place


class Shape(Record):
    """All that decides how long a step takes."""

    family: str
    options: Options
    width: int
    task: tuple[int | str, ...]
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
        return cache_folder() / "timings" / f"{name}.json"


class Timing(Record):
    """How long one way takes.

    Attributes:
        seconds: The median step of a whole pack; None where it cannot be stepped so.
        first: Seconds that the first step took longer: compiling.
        fault: Why it cannot be stepped so.
    """

    stepping: Stepping
    seconds: float | None = None
    first: float = 0.0
    fault: str | None = None


class Measured(Record):
    """What is known of a shape.

    Attributes:
        timings: Of whole measurements, by which a stepping is chosen.
        spent: Seconds that they took.
        trials: Of a few steps each, by which the time of a run is told and no stepping is chosen.
    """

    shape: Shape
    timings: tuple[Timing, ...] = ()
    spent: float = 0.0
    trials: tuple[Timing, ...] = ()


def hardware(device: str) -> str:
    """What a device is, in full: timings of one model say nothing of another."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{platform.machine()} {model}, {os.cpu_count()} cores"


def shape_of(cell: Cell, task: AnyTask, place: Place, machine: str) -> Shape:
    """The shape of a cell's steps at a place of this machine."""
    recipe = cell.recipe
    return Shape(
        family=cell.family,
        options=cell.options,
        width=cell.width,
        task=tuple(task),
        batch=min(recipe.batch_size, cell.train_size),
        mode=cell.mode,
        precision=recipe.precision,
        dropout=recipe.dropout > 0,
        recorded=cell.record is not None,
        place=place,
        hardware=machine,
        torch=torch.__version__,
    )


def known(shape: Shape) -> Measured:
    """What was measured before: nothing where the file cannot be read or is of another shape."""
    try:
        found = Measured.from_json(shape.path.read_bytes())
    except (OSError, ValueError):
        return Measured(shape=shape)
    return found if found.shape == shape else Measured(shape=shape)


def keep(measured: Measured) -> None:
    """Writes it for the next run. A folder that cannot be written costs another measurement, no more."""
    with contextlib.suppress(OSError):
        write_whole(measured.shape.path, measured.to_json())
