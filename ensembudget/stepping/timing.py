"""How long a step takes on this machine, one way or another: whole steps on random samples."""

import statistics
import time
from collections.abc import Callable

import torch

from ..catalog import TASKS
from ..datasets._base import Arrays
from ..datasets._data import Data
from ..families._layers import set_dropout
from ..packing.parts import parts_of
from ..records import AnyTask, Cell, Run, Stepping, TokenTask
from .captured import WARM_STEPS
from .check import faults
from .measured import Timing
from .pack import Pack, assemble

STEPS, SECONDS = 5, 0.25  # a timing is the median of at least so many steps, and goes on for so long
BRIEF, PATIENCE = 0.1, 8.0  # seconds of a trial; a first step that takes longer is all of it


def time_steps(
    cell: Cell, task: AnyTask, stepping: Stepping, device: str, *, seconds: float = SECONDS
) -> Timing:
    """Times a pack's steps: cutting batches, forward, backward and the optimiser.

    Args:
        cell: Whose members are stepped.
        task: Of its dataset; the samples themselves are random.
        stepping: How they are stepped.
        device: A torch device.
        seconds: Time steps for so long, and at least `STEPS` of them.
    """
    if wrong := faults(stepping, cell.recipe, device, recorded=cell.record is not None):
        return Timing(stepping=stepping, fault=" ".join(wrong))
    try:
        return summarise(stepping, timed_step(cell, task, stepping, device), seconds)
    except Exception as error:
        return _fault(stepping, error)


def try_steps(cell: Cell, task: AnyTask, stepping: Stepping, device: str) -> Timing:
    """Times a few steps: enough to tell minutes from hours."""
    if wrong := faults(stepping, cell.recipe, device, recorded=cell.record is not None):
        return Timing(stepping=stepping, fault=" ".join(wrong))
    try:
        once = timed_step(cell, task, stepping, device)
        if (first := once()) > PATIENCE:
            return Timing(stepping=stepping, seconds=first)
        seconds = [once()]
        while len(seconds) < 2 or sum(seconds) < BRIEF:
            seconds.append(once())
    except Exception as error:
        return _fault(stepping, error)
    return Timing(stepping=stepping, seconds=statistics.median(seconds))


def _fault(stepping: Stepping, error: Exception) -> Timing:
    """No compiler, no memory, no kernel: then this way is not taken."""
    return Timing(stepping=stepping, fault=f"{type(error).__name__}: {error}".splitlines()[0])


def summarise(stepping: Stepping, once: Callable[[], float], least: float = SECONDS) -> Timing:
    """The timing of a step that returns its seconds: the median, and what the first took longer.

    Example:
        >>> seconds = iter([9.0, 100.0, 1.0, 2.0, 3.0, 4.0, 50.0])
        >>> found = summarise(Stepping(), lambda: next(seconds))
        >>> found.seconds, found.first
        (3.0, 6.0)
    """
    first = once()
    for _ in range(WARM_STEPS + 1 if stepping.captured else 1):
        once()
    seconds: list[float] = []
    while len(seconds) < STEPS or sum(seconds) < least:
        seconds.append(once())
    middle = statistics.median(seconds)
    return Timing(stepping=stepping, seconds=middle, first=max(0.0, first - middle))


def timed_step(cell: Cell, task: AnyTask, stepping: Stepping, device: str) -> Callable[[], float]:
    """A function that makes one step of a new pack, waits for the device and returns the seconds."""
    recipe = cell.recipe
    size = min(recipe.batch_size, cell.train_size)
    runs = [Run(cell=cell, seed=seed) for seed in range(stepping.pack)]
    of_one_step = cell.model_copy(update={"train_size": size, "validation_size": 0})
    pack = assemble(runs, parts_of(of_one_step, random_data(task, size).arrays), task, device, stepping)
    masks = [torch.Generator().manual_seed(run.seed) for run in runs]
    set_dropout(pack.network.train(), recipe.dropout, masks)
    draws = [torch.Generator().manual_seed(0)] * len(runs)
    return lambda: _seconds(pack, draws)


def _seconds(pack: Pack, draws: list[torch.Generator]) -> float:
    began = time.perf_counter()
    for batch in pack.batches(draws):
        pack.step(*batch, None)
    if pack.inputs.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def random_data(task: AnyTask, size: int) -> Data:
    """Random samples and labels, as many for training as for testing."""
    made = TASKS[task.kind].random(task, size, torch.Generator().manual_seed(0))
    inputs, labels = (one.numpy() for one in made)
    tokens = task if isinstance(task, TokenTask) else None
    return Data("random", "random", Arrays(inputs, labels, inputs, labels, task.classes, task=tokens))
