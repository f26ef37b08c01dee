"""The work of a job: trains members, rounds them or measures a probe at them, and publishes the result."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import __version__
from ..catalog import PROBES
from ..datasets._cache import open_cached
from ..errors import ConflictError, EnsembudgetError, PlanError, StoreError
from ..landscape.site import site_of
from ..packing.parts import Parts, parts_of
from ..records import Environment, Probed, ProbeSubject
from ..stepping.memory import keep_freed
from ..store import Labels, Store
from ..threads import torch_threads
from ..training.loop import Trained, train
from ..training.rounding import rounded_logits
from ._base import PROBE_LENGTH, Job, Outcome


def work(job: Job, on_epoch: Callable[[int], None]) -> list[Outcome]:
    """Trains and publishes what is missing of a job, rounds it from trained members, or probes them.

    The whole pack is trained even where some of it is published, so that a member does not depend
    on where a run was interrupted; what is there already stays as it is. So a job may be begun any
    number of times: what another worker, or this one before it died, published is not trained again.
    A job that another run has now is not waited for.
    """
    keep_freed()
    store = Store(job.store)
    try:
        with store.claimed(job.keys) as is_ours:
            if not is_ours:
                return job.held()
            if is_done(job, store):
                return outcomes_of(job, store, by_other=True)
            with torch_threads(job.threads):
                done = _done(job, store, on_epoch)
        found = [one.model_copy(update={"note": done.note}) for one in outcomes_of(job, store)]
        return [done.told.get(one.key, one) for one in found]
    except Exception as error:  # a worker always answers
        return job.failed(_reason(error))


def is_done(job: Job, store: Store) -> bool:
    """Whether the store lacks nothing that a job makes.

    Raises:
        StoreError: What its probe found is damaged.
    """
    if job.probe:
        return store.saved_probe(job.probe) is not None
    return not any(store.lacks(run, keep_weights=job.keep_weights) for run in job.runs)


def outcomes_of(job: Job, store: Store, *, by_other: bool = False) -> list[Outcome]:
    """The outcomes of a job that is done: its members, or its probe.

    Raises:
        StoreError: A member is damaged or not there.
    """
    if job.probe:
        return [Outcome(key=job.probe.key, status="done", by_other=by_other)]
    return [
        Outcome(key=run.key, status=store.read(run.key).member.status, by_other=by_other) for run in job.runs
    ]


def lost(job: Job, reason: str, log: str = "") -> list[Outcome]:
    """The outcomes of a job whose worker died at every try: what it published before is done."""
    store, found = Store(job.store), []
    for failed in job.failed(reason):
        own = {} if job.probe else {"runs": [run for run in job.runs if run.key == failed.key]}
        one = job.model_copy(update=own)
        try:
            if is_done(one, store):
                found += outcomes_of(one, store)
            else:
                found.append(failed.model_copy(update={"log": log}))
        except EnsembudgetError as error:
            found.append(failed.model_copy(update={"reason": _reason(error)}))
    return found


class Done(NamedTuple):
    """What to report of a job that was done.

    Attributes:
        told: By key: another one is stored of this member, or weights were refused.
        note: What checkpoints note; None for nothing.
    """

    told: Mapping[str, Outcome] = MappingProxyType({})
    note: str | None = None


class Answered(NamedTuple):
    """The right answers of validation and of test.

    Attributes:
        labels: (answer,) each.
        samples: The sample of each answer, (answer,) each; None where every sample has one answer.
    """

    labels: Labels
    samples: Labels | None


def _done(job: Job, store: Store, on_epoch: Callable[[int], None]) -> Done:
    """Does what is missing of a job."""
    if job.probe:
        _probe_and_keep(job.probe, job, store, on_epoch)
    elif job.runs[0].cell.is_trained:
        return _train_and_publish(job, store, on_epoch)
    else:
        _round_and_publish(job, store)
    return Done()


def _train_and_publish(job: Job, store: Store, on_epoch: Callable[[int], None]) -> Done:
    """Trains a pack and publishes its members."""
    cell = job.runs[0].cell
    data = open_cached(cell.dataset_digest, cell.dataset)
    parts = parts_of(cell, data.arrays)
    answers = _answers(parts)
    stepping = job.stepping.model_copy(update={"pack": len(job.runs)})
    environment = Environment(**_here(job), **stepping.model_dump())
    processor = torch.backends.cpu.get_cpu_capability()
    checkpoints = store.checkpoints(job.runs, environment, processor, keep_weights=job.keep_weights)
    told = {}
    with store.staging() as histories:
        for trained in train(
            job.runs, data, device=job.device, stepping=job.stepping, keep_weights=job.keep_weights,
            on_epoch=on_epoch, histories=histories if cell.record else None,
            checkpoints=checkpoints, checkpoint_seconds=job.checkpoint_seconds,
        ):  # fmt: skip
            found = _publish(trained, answers, environment, job, store)
            if found:
                told[trained.run.key] = found
    checkpoints.remove()
    return Done(told, " ".join(checkpoints.notes) or None)


def _answers(parts: Parts) -> Answered:
    asked = parts.validation, parts.test
    validation, test = (one.labels.numpy() for one in asked)
    if parts.test.places is None:
        return Answered((validation, test), None)
    first, second = (one.samples.numpy() for one in asked)
    return Answered((validation, test), (first, second))


def _publish(
    trained: Trained, answers: Answered, environment: Environment, job: Job, store: Store
) -> Outcome | None:
    """Publishes a member, or weights that the stored one lacks; returns what to report."""
    key = trained.run.key
    try:
        if store.publish(trained, answers.labels, environment, answers.samples):
            return None
        why = store.difference(trained, environment)
        told = Outcome(key=key, status="kept", reason=why) if why else None
    except ConflictError as error:
        told = Outcome(key=key, status="conflict", reason=_reason(error))
    if job.keep_weights:
        try:
            store.publish_weights(trained, environment)
        except StoreError as error:
            return Outcome(key=key, status="failed", reason=_reason(error))
    return told


def _round_and_publish(job: Job, store: Store) -> None:
    """Publishes members whose weights are those of trained ones in another dtype, and their logits."""
    cell = job.runs[0].cell
    data = open_cached(cell.dataset_digest, cell.dataset)
    for run in job.runs:
        if run.key in store:
            continue
        source = store.read(run.trained.key)
        validation, test = source.validation_logits, source.test_logits
        fault = source.member.diverged_at
        if fault is None:
            validation, test = rounded_logits(cell, store.weights(run.trained.key), data, job.device)
            fault = None if np.isfinite(validation).all() and np.isfinite(test).all() else cell.steps
        rounded = Trained(
            run=run,
            diverged_at=fault,
            train_loss=source.train_loss,
            validation_logits=validation,
            test_logits=test,
            weights=None,
            parameters=source.member.parameters,
            seconds=source.member.seconds,
        )
        environment = source.member.environment.model_copy(update=_here(job))
        labels = source.validation_labels, source.test_labels
        store.publish(rounded, labels, environment, source.samples)


def _probe_and_keep(subject: ProbeSubject, job: Job, store: Store, on_done: Callable[[int], None]) -> None:
    """Measures a probe at trained members and keeps what it finds.

    Raises:
        PlanError: It was planned under an ABI that this version does not measure by.
    """
    part = PROBES[subject.kind]
    if subject.abi != part.abi:
        raise PlanError(
            f"probe {subject.kind!r} was planned under ABI {subject.abi}. This version measures under"
            f" {part.abi}, which gives other findings. Plan the study again."
        )
    cell, began = job.runs[0].cell, time.perf_counter()
    data = open_cached(cell.dataset_digest, cell.dataset)
    weights = [store.weights(run.key) for run in job.runs]
    site = site_of(cell, data, weights, subject.key, job.device)
    found = part.measure(site, subject.options, lambda share: on_done(round(share * PROBE_LENGTH)))
    seconds = time.perf_counter() - began
    store.save_probe(
        Probed(
            subject=subject,
            points=found.points,
            facts=found.facts,
            seconds=seconds,
            examples=found.examples,
        )
    )


def _here(job: Job) -> dict[str, Any]:
    """What an environment says of this process; the rest is how members were stepped."""
    return {
        "ensembudget": __version__,
        "torch": torch.__version__,
        "device": device_name(job.device),
        "threads": job.threads,
    }


def _reason(error: Exception) -> str:
    reason = str(error) if isinstance(error, EnsembudgetError) else f"{type(error).__name__}: {error}"
    return " ".join(reason.split())


def device_name(device: str) -> str:
    """What a table says a member was trained on."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} {platform.machine()}, {os.cpu_count()} cores"
