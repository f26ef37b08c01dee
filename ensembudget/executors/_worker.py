"""What a worker does: trains members, rounds them or measures a probe at them, and publishes what comes."""

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..catalog import PROBES
from ..datasets._cache import open_cached
from ..errors import ConflictError, EnsembudgetError, StoreError
from ..landscape.site import site_of
from ..packing.parts import parts_of
from ..records import Environment, Probed, ProbeSubject, Run
from ..stepping.memory import keep_freed
from ..store import Labels, Store
from ..threads import torch_threads
from ..training.loop import Trained, train
from ..training.rounding import rounded_logits
from ._base import PROBE_LENGTH, Job, Outcome


def work(job: Job, on_epoch: Callable[[int], None]) -> list[Outcome]:
    """Trains and publishes what is missing of a job, rounds it from trained members, or probes them.

    The whole pack is trained even where some of it is published, so that a member does not depend
    on where a run was interrupted; what is there already stays as it is.
    """
    keep_freed()
    store = Store(job.store)
    told: dict[str, Outcome] = {}
    try:
        with store.claim(job.keys[0]):
            if job.probe:
                with torch_threads(job.threads):
                    return [_probe_and_keep(job.probe, job, store, on_epoch)]
            if any(store.lacks(run, keep_weights=job.keep_weights) for run in job.runs):
                with torch_threads(job.threads):
                    if job.runs[0].cell.is_trained:
                        told = _train_and_publish(job, store, on_epoch)
                    else:
                        _round_and_publish(job, store)
        return [told.get(run.key) or _published(store, run) for run in job.runs]
    except Exception as error:  # a worker always answers
        return job.failed(_reason(error))


def _train_and_publish(job: Job, store: Store, on_epoch: Callable[[int], None]) -> dict[str, Outcome]:
    """Trains a pack, and says by key of which members another one is stored, or weights were refused."""
    cell = job.runs[0].cell
    data = open_cached(cell.dataset_digest, cell.dataset)
    parts = parts_of(cell, data.arrays)
    labels = (parts.validation_labels.numpy(), parts.test_labels.numpy())
    stepping = job.stepping.model_copy(update={"pack": len(job.runs)})
    environment = Environment(**_here(job), **stepping.model_dump())
    told = {}
    with store.staging() as histories:
        for trained in train(
            job.runs, data, device=job.device, stepping=job.stepping, keep_weights=job.keep_weights,
            on_epoch=on_epoch, histories=histories if cell.record else None,
        ):  # fmt: skip
            found = _publish(trained, labels, environment, job, store)
            if found:
                told[trained.run.key] = found
    return told


def _publish(
    trained: Trained, labels: Labels, environment: Environment, job: Job, store: Store
) -> Outcome | None:
    """Publishes a member, or weights that the stored one lacks; returns what is to be told."""
    key = trained.run.key
    try:
        if store.publish(trained, labels, environment):
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
        store.publish(rounded, (source.validation_labels, source.test_labels), environment)


def _probe_and_keep(subject: ProbeSubject, job: Job, store: Store, on_done: Callable[[int], None]) -> Outcome:
    """Measures a probe at trained members and keeps what it finds."""
    if store.saved_probe(subject) is None:
        cell, began = job.runs[0].cell, time.perf_counter()
        data = open_cached(cell.dataset_digest, cell.dataset)
        weights = [store.weights(run.key) for run in job.runs]
        site = site_of(cell, data, weights, subject.key, job.device)
        found = PROBES[subject.kind].measure(
            site, subject.options, lambda share: on_done(round(share * PROBE_LENGTH))
        )
        seconds = time.perf_counter() - began
        store.save_probe(Probed(subject=subject, points=found.points, facts=found.facts, seconds=seconds))
    return Outcome(key=subject.key, status="done")


def _here(job: Job) -> dict[str, Any]:
    """What an environment says of this process; the rest is how members were stepped."""
    return {
        "ensembudget": __version__,
        "torch": torch.__version__,
        "device": device_name(job.device),
        "threads": job.threads,
    }


def _published(store: Store, run: Run) -> Outcome:
    return Outcome(key=run.key, status=store.read(run.key).member.status)


def _reason(error: Exception) -> str:
    reason = str(error) if isinstance(error, EnsembudgetError) else f"{type(error).__name__}: {error}"
    return " ".join(reason.split())


def device_name(device: str) -> str:
    """What a table says a member was trained on."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} {platform.machine()}, {os.cpu_count()} cores"
