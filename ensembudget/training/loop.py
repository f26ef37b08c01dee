"""Trains the members of a pack side by side and returns their logits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..catalog import MODES
from ..datasets._data import Data
from ..errors import PlanError, SteppingError
from ..families._build import member_state
from ..families._layers import set_dropout
from ..methods._options import unit_of
from ..packing.batches import epoch_batches, for_all, still
from ..packing.network import COMPUTE_DTYPES, single
from ..packing.parts import Parts, parts_of
from ..packing.streams import stream
from ..records import TRAINING_ABI, AnyTask, Cell, Run, Stepping, UnitFacts
from ..stepping.check import faults
from ..stepping.pack import Pack, assemble
from ..stepping.step import told_and_trained
from .checkpoints import Checkpoints, Saver, Underway, resumed
from .curvature import curvature
from .evaluation import evaluate_logits
from .history import Recorder, loss_and_error
from .units import collector_of, rate_factor, unit_answers


@dataclass(frozen=True)
class Trained:
    """The result of training one member.

    Attributes:
        run: Which member.
        diverged_at: The first step with a non-finite loss, or None. Steps count from 0; one past
            the last means that the logits are not finite although the losses were.
        train_loss: Mean loss an epoch, in nats, (epoch,), float32; without smoothing of labels.
        validation_logits: (sample, class), float32; no samples where nothing is held out.
        test_logits: (sample, class), float32.
        weights: The network's tensors, when asked for.
        parameters: How many are stored of the member.
        seconds: Its share of the pack's time.
        history: The folder with what was recorded, when asked for.
        unit: How the predictors of the member differ, where it has several and did not diverge. Its logits
            are then the logarithm of their mean probabilities.
    """

    run: Run
    diverged_at: int | None
    train_loss: NDArray[np.float32]
    validation_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    weights: dict[str, NDArray[np.float32]] | None
    parameters: int
    seconds: float
    history: Path | None = None
    unit: UnitFacts | None = None


def train(
    runs: Sequence[Run],
    data: Data,
    *,
    device: str = "cpu",
    stepping: Stepping | None = None,
    keep_weights: bool = False,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    histories: Path | None = None,
    checkpoints: Checkpoints | None = None,
    checkpoint_seconds: float = 0.0,
) -> list[Trained]:
    """Trains members of one cell side by side, each as it would be trained alone.

    Args:
        runs: Members of one cell.
        data: The cell's dataset.
        device: A torch device.
        stepping: How they are stepped; None steps all of them as grouped convolutions.
        keep_weights: Whether to return the weights too, of members that are single networks.
        on_epoch: Called with the number of epochs done, after each.
        histories: A folder for what the cell says is to be recorded; None records nothing.
        checkpoints: Of this pack, trained in this environment: training goes on from the newest, and ends as
            if it had never stopped, to the byte on a CPU. None starts anew and keeps none.
        checkpoint_seconds: From one checkpoint to the next at least; 0 keeps one after every epoch.

    Returns:
        One result a run, in order. A member that diverges is one of them, with its step.

    Raises:
        SteppingError: The members cannot be stepped in the way asked for.
        PlanError: They were planned by a version that trained by other rules; or weights are to be kept of
            members that are no single networks.
    """
    began = time.perf_counter()
    cell = runs[0].cell
    stepping = stepping or Stepping(pack=len(runs))
    unit = unit_of(cell.method, cell.method_options)
    _refuse(cell, stepping, device, keep_weights and not unit.is_network)
    parts = parts_of(cell, data.arrays)

    def make() -> Underway:
        pack = assemble(runs, parts, data.task, device, stepping)
        recorder = _recorder(pack, parts, data.task, histories) if histories else None
        return Underway(pack, collector_of(cell), recorder, losses=[])

    course = resumed(make, checkpoints)
    rates = [group["lr"] for group in course.pack.optimizer.param_groups]
    save = Saver(course, checkpoints, checkpoint_seconds)
    if course.losses:
        on_epoch(len(course.losses))
    for epoch in range(len(course.losses), cell.recipe.epochs):
        _train_epoch(course, rates, epoch)
        on_epoch(epoch + 1)
        if course.has_diverged:
            break
        save()
    if course.recorder:
        course.recorder.close()
    answers = unit_answers(course.collector, course.pack, parts, diverged=course.has_diverged)
    steps, seconds = torch.cat(course.losses), (course.seconds + time.perf_counter() - began) / len(runs)
    network = course.pack.network
    faults_at = [first_fault(steps[:, i], *(part[i] for part in answers.logits)) for i in range(len(runs))]
    return [
        Trained(
            run=run,
            diverged_at=fault,
            train_loss=_by_epoch(course.losses, i, cell.recipe.epochs),
            validation_logits=answers.validation[i].numpy(),
            test_logits=answers.test[i].numpy(),
            weights=_weights(network, i, len(runs)) if keep_weights else None,
            parameters=unit.networks * sum(p.numel() for p in network.parameters()) // len(runs),
            seconds=seconds,
            history=histories / run.key if course.recorder and histories else None,
            unit=answers.facts[i] if fault is None else None,
        )
        for i, (run, fault) in enumerate(zip(runs, faults_at, strict=True))
    ]


def _train_epoch(course: Underway, rates: Sequence[float], epoch: int) -> None:
    """One pass over the training samples; `rates` are the recipe's, by group, and epochs count from 0."""
    pack, recorder, cell = course.pack, course.recorder, course.pack.runs[0].cell
    if cell.recipe.dropout:
        masks = [stream(run.stream_key, "dropout", epoch) for run in pack.runs]
        set_dropout(pack.network, cell.recipe.dropout, masks)
    batches = pack.batches([stream(run.stream_key, "data", epoch) for run in pack.runs])
    if recorder:
        recorder.begin_epoch(epoch + 1)
    pack.network.train()
    losses = []
    for step, batch in enumerate(batches):
        if step == 0 or cell.recipe.moves:
            _set_rates(pack, rates, rate_factor(cell, epoch, step))
        losses.append(pack.step(*batch, recorder))
    # Nothing waits for the device before the epoch's end.
    course.losses.append(torch.stack(losses).cpu())
    if recorder:
        recorder.end_epoch(epoch + 1, pack.optimizer.param_groups[0]["lr"])
    course.collector.keep(epoch, pack.network)


def _set_rates(pack: Pack, rates: Sequence[float], factor: float) -> None:
    for group, rate in zip(pack.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def _refuse(cell: Cell, stepping: Stepping, device: str, weightless: bool) -> None:
    """Refuses what would train to something else than was planned, or not at all."""
    if cell.training_abi != TRAINING_ABI:
        raise PlanError(
            f"these members were planned under training ABI {cell.training_abi}. This version trains under"
            f" {TRAINING_ABI}, which gives other weights. Plan the study again."
        )
    if weightless:
        raise PlanError(
            f"a member of method {cell.method!r} is no single network, and its weights are not kept. Train"
            " without keep_weights, or by a method of single networks."
        )
    if wrong := faults(stepping, cell.recipe, device, recorded=cell.record is not None):
        raise SteppingError(" ".join(wrong))


def _recorder(pack: Pack, parts: Parts, task: AnyTask, histories: Path) -> Recorder | None:
    """The recorder of these runs; None where their cell records nothing."""
    runs, network, feed = pack.runs, pack.network, pack.feed
    cell, spec = runs[0].cell, runs[0].cell.record
    if spec is None:
        return None
    inputs, labels, count = pack.inputs, pack.labels, len(runs)
    shown = parts.test.some(spec.test_size)
    shown = shown._replace(inputs=shown.inputs.to(feed.device))
    chosen = slice(spec.curvature_size)
    folders = [histories / run.key for run in runs]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)

    def fixed_pass(add: Callable[[Tensor], None]) -> None:
        held = [buffer.clone() for buffer in network.buffers()]
        network.train()
        set_dropout(network, 0.0)  # draws nothing; the next epoch sets it again
        in_order = [still(len(labels))] * count
        for some, theirs in epoch_batches(inputs, labels, in_order, cell.recipe.batch_size, feed):
            network.zero_grad(set_to_none=True)
            told, trained = told_and_trained(network, some, theirs, cell.recipe.label_smoothing)
            trained.sum().backward()
            with torch.no_grad():
                add(told)
        network.zero_grad(set_to_none=True)
        for buffer, was in zip(network.buffers(), held, strict=True):
            buffer.copy_(was)

    def curved(member: int) -> dict[str, float]:
        network_of_one = single(cell, task)
        network_of_one.to_empty(device=feed.device).to(COMPUTE_DTYPES[cell.recipe.precision])
        network_of_one.load_state_dict(member_state(network, member, count))
        some = for_all(inputs[chosen], 1, feed)
        generator = stream(runs[member].stream_key, "curvature")
        return curvature(
            network_of_one, some, labels[chosen], eigenvalues=spec.eigenvalues, generator=generator
        )

    return Recorder(
        spec, pack.invariant, MODES[cell.mode].effective, folders,
        test=(lambda: loss_and_error(evaluate_logits(network, shown, feed, count), shown.labels))
        if len(shown.labels)
        else None,
        fixed_pass=fixed_pass,
        curvature=curved,
    )  # fmt: skip


def _by_epoch(losses: list[Tensor], member: int, epochs: int) -> NDArray[np.float32]:
    """Mean losses; NaN for epochs that were not trained, every member having diverged."""
    means = [float(epoch[:, member].mean()) for epoch in losses]
    return np.array(means + [np.nan] * (epochs - len(means)), np.float32)


def first_fault(losses: Tensor, *logits: Tensor) -> int | None:
    """The first step whose loss is not finite; one past the last where only logits are not; or None."""
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        return int(wrong[0])
    return None if all(bool(some.isfinite().all()) for some in logits) else len(losses)


def _weights(network: nn.Module, index: int, members: int) -> dict[str, NDArray[np.float32]]:
    return {k: v.cpu().contiguous().numpy() for k, v in member_state(network, index, members).items()}
