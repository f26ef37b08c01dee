"""Exports a split of a study: members, card and every format, as one folder."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..catalog import DTYPES, INPUTS, TASKS
from ..datasets._data import Data
from ..datasets._load import study_data
from ..errors import DatasetError, ExportError
from ..exporting.card import (
    Blueprint,
    Card,
    ExportedBudget,
    ExportedData,
    ExportedMember,
    FittedOn,
    Provenance,
    Quality,
    WrittenFile,
)
from ..exporting.checking import StoredAnswers, stored_answers
from ..exporting.folder import check_formats, check_target, write_folder
from ..exporting.graph import WeightedEnsemble, state_of, state_shapes
from ..exporting.inputs._base import Batch, Shipment
from ..exporting.temperature import best_temperature
from ..packing.parts import Parts, parts_of
from ..records import Cell, Study
from ..store import Store
from .choose import ExportChoice
from .progress import Progress
from .run import do_jobs


def export(
    choice: ExportChoice,
    store: Store,
    out: str | Path,
    formats: Sequence[str] = ("safetensors",),
    *,
    executor: str = "serial",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Card:
    """Writes a chosen ensemble as one folder, and checks every file of it on the test samples.

    Weights that were not kept are trained again first; `choice.jobs` says which, and `choice.seconds` how
    long it takes. The temperature is fitted on the validation samples if there are any, else on the test
    samples.

    Args:
        choice: As from `choose_export`.
        store: Where the members are.
        out: The folder, which must be empty or not there.
        formats: `safetensors`, `torch`, `onnx`.
        executor: Trains weights that were not kept: one of `ls executors`, perhaps with options.
        on_progress: Called as epochs and jobs of that end.

    Returns:
        What the folder's card says.

    Raises:
        OutputError: The folder cannot be written, or has something in it.
        ExportError: A format cannot be written here or gives other probabilities than the store, or weights
            could not be trained again.
        DatasetError: The samples are not those that the members were trained on.
    """
    check_formats(formats)
    check_target(out)
    cell, study = choice.result.pool.planned.cell, choice.plan.study
    dtype = DTYPES[cell.dtype]
    if dtype.rounds_inputs:
        raise ExportError(
            f"networks in {cell.dtype!r} round what goes into every layer, and no format holds the ranges for"
            " that. Export a split in another dtype, such as 'int8', which rounds weights alone."
        )
    data = _data_of(study, cell)
    parts = parts_of(cell, data.arrays)
    shipment = INPUTS[data.task.kind].shipment(data, cell.recipe, parts.inputs)
    _train_weights(choice, store, executor, on_progress)
    blueprint = _blueprint(choice, shipment)
    names = state_shapes(blueprint)
    weights = [store.weights(one.member.run.trained.key) for one in choice.members]
    stored = [dtype.encode(state_of(one, names)) for one in weights]
    kept_in = {one.kept_in for one in choice.members}
    answers = stored_answers(_logits(choice, "test"), blueprint.temperature, kept_in)

    def card_of(files: dict[str, WrittenFile]) -> Card:
        return Card(
            blueprint=blueprint,
            data=_data_card(cell, parts, data.name),
            budget=_budget_card(choice),
            quality=_quality(choice, answers),
            provenance=_provenance(choice),
            files=files,
        )

    ensemble = WeightedEnsemble(blueprint, stored)
    test = Batch(parts.test.inputs, parts.test.places)
    return write_folder(out, ensemble, formats, test, answers, card_of, shipment.files)


def _data_of(study: Study, cell: Cell) -> Data:
    data = study_data(study)
    if data.digest != cell.dataset_digest:
        raise DatasetError(
            f"dataset {study.dataset!r} has other {TASKS[data.task.kind].samples} than the members were"
            " trained on. Restore them, or `run` the study again."
        )
    return data


def _train_weights(
    choice: ExportChoice, store: Store, executor: str, on_progress: Callable[[Progress], None]
) -> None:
    whole = {run.key for run in choice.repeated if "weights" in store.artefacts(run.key)}
    work = [choice.plan.training_flops(job.runs) for job in choice.jobs]
    outcomes = do_jobs(choice.jobs, work, store, whole, executor, 1, on_progress) if choice.jobs else []
    if failed := [one for one in outcomes if one.status == "failed"]:
        raise ExportError(
            f"the weights of {len(failed)} members could not be trained again: {failed[0].reason}"
        )


def _logits(choice: ExportChoice, part: str) -> torch.Tensor:
    """(member, answer, class), of the members that are exported."""
    return torch.from_numpy(np.stack([getattr(one, f"{part}_logits") for one in choice.members]))


def _blueprint(choice: ExportChoice, shipment: Shipment) -> Blueprint:
    cell = choice.result.pool.planned.cell
    part = _fitted_on(cell)
    labels = torch.from_numpy(getattr(choice.members[0], f"{part}_labels"))
    return Blueprint(
        family=cell.family,
        options=cell.options,
        width=cell.width,
        members=len(choice.members),
        class_names=list(shipment.class_names),
        inputs=shipment.inputs,
        temperature=best_temperature(_logits(choice, part), labels),
        dtype=cell.dtype,
    )


def _fitted_on(cell: Cell) -> FittedOn:
    return "validation" if cell.validation_size else "test"


def _data_card(cell: Cell, parts: Parts, name: str) -> ExportedData:
    return ExportedData(
        name=name,
        digest=cell.dataset_digest,
        training_samples=len(parts.inputs),
        validation_samples=len(parts.validation.inputs),
        test_samples=len(parts.test.inputs),
        test_answers=len(parts.test.labels),
        temperature_fitted_on=_fitted_on(cell),
    )


def _budget_card(choice: ExportChoice) -> ExportedBudget:
    split = choice.result.split
    return ExportedBudget(
        amount=split.budget,
        kind=split.budget_kind,
        dtype=choice.result.pool.planned.cell.dtype,
        parameters=split.parameters_total,
        bytes=split.bytes_total,
    )


def _quality(choice: ExportChoice, answers: StoredAnswers) -> Quality:
    score, labels = choice.result.score, choice.members[0].test_labels
    assert score is not None
    accuracy, nll = score.metrics["accuracy"], score.metrics["nll"]
    assert accuracy is not None
    assert nll is not None
    own = answers.probabilities[np.arange(len(labels)), labels]
    one = len(choice.members) == 1
    return Quality(
        ensembles=score.ensembles,
        accuracy=accuracy,
        nll=nll,
        cnll=score.cnll,
        own_accuracy=float((answers.probabilities.argmax(1) == labels).mean()),
        own_nll=float(-np.log(np.maximum(own, np.finfo(float).tiny)).mean()),
        own_disagreement=None if one else float(answers.disagreement.mean()),
    )


def _provenance(choice: ExportChoice) -> Provenance:
    study, cell = choice.plan.study, choice.result.pool.planned.cell
    told = study.model_copy(update={"dataset": cell.dataset})  # the same wherever the images lie
    return Provenance(
        study=study.name,
        study_sha256=hashlib.sha256(told.to_json().encode()).hexdigest(),
        setting=choice.result.split.setting.label,
        chosen="named" if choice.named else "lowest CNLL",
        members=[
            ExportedMember(key=one.member.run.key, seed=one.member.run.seed, digest=one.digest)
            for one in choice.members
        ],
        ensembudget=__version__,
        torch=torch.__version__,
    )
