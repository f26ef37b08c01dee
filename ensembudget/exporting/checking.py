"""Compares what an exported file says of the test samples with what the store has."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Array, Mask
from ..catalog import TASKS
from ..errors import ExportError
from ..records import FLOAT32
from ..scoring.mixing import group_matrix, pooled
from .card import Blueprint
from .graph import Runner, disagreements, in_parts
from .inputs._base import Batch


class Tolerance(NamedTuple):
    """How far a file may be from stored logits.

    Attributes:
        probability: The largest difference.
        logit: Where a member's two likeliest classes are closer than this, rounding may swap them.
    """

    probability: float
    logit: float


TOLERANCE = 1e-5  # of a probability, where logits are stored as they were computed
# By the dtype in which logits are stored. Float16 has log-probabilities to 1 part in 2,000.
TOLERANCES = {"float32": Tolerance(TOLERANCE, 1e-3), "float16": Tolerance(1e-3, 1e-2)}


class StoredAnswers(NamedTuple):
    """What the stored logits of an ensemble's members say, in float64.

    Attributes:
        probabilities: Averaged, then tempered, (answer, class).
        disagreement: (answer,); NaN where there is one member.
        certain: Answers of which no member's two likeliest classes are close, (answer,).
        tolerance: How far the probabilities of a file may be from these.
    """

    probabilities: Array
    disagreement: Array
    certain: Mask
    tolerance: float


def stored_answers(
    logits: Tensor, temperature: float, kept_in: Collection[str] = (FLOAT32,)
) -> StoredAnswers:
    """What members' logits say.

    Args:
        logits: (member, answer, class).
        temperature: Of the ensemble.
        kept_in: The dtypes in which they are stored; the coarsest sets the tolerance.
    """
    tolerance = max(TOLERANCES[one] for one in kept_in)
    averages = pooled(logits, group_matrix(len(logits), [slice(None)]))[0]
    first, second = logits.topk(2).values.unbind(-1)
    return StoredAnswers(
        (averages / temperature).softmax(-1).numpy(),
        disagreements(logits).double().numpy(),
        ((first - second) > tolerance.logit).all(0).numpy(),
        tolerance.probability,
    )


def checked_difference(
    name: str, runner: Runner, test: Batch, answers: StoredAnswers, blueprint: Blueprint
) -> float:
    """The largest difference between a probability of a file and the store's, in batches and one by one.

    Args:
        name: The format's.
        runner: Runs the file.
        test: The test samples.
        answers: What the store says of them.
        blueprint: Of the ensemble.

    Raises:
        ExportError: It is above the tolerance, or members disagree on other samples.
    """
    whole = in_parts(runner, test, blueprint)
    alone = in_parts(runner, _first(test), blueprint)  # where a graph that fixes its batch fails
    firsts = answers.probabilities[: len(alone.probabilities)]
    off = max(_off(alone.probabilities, firsts), _off(whole.probabilities, answers.probabilities))
    samples = TASKS[blueprint.inputs.kind].samples
    if not off <= answers.tolerance:
        raise ExportError(
            f"format {name!r} gives other probabilities on the test {samples} than the store has: by"
            f" {off:.1e} at most, and {answers.tolerance:.0e} is allowed. Nothing was exported. Export on the"
            " kind of device that the members were trained on, where numbers are rounded alike."
        )
    wrong = ~np.isclose(whole.disagreement, answers.disagreement, atol=answers.tolerance, equal_nan=True)
    if count := int((wrong & answers.certain).sum()):
        raise ExportError(
            f"format {name!r} has members disagree otherwise than the store on {count} of {len(wrong)}"
            f" answers on the test {samples}. Nothing was exported."
        )
    return off


def _first(batch: Batch) -> Batch:
    """The first sample alone, with its answers."""
    places = batch.places
    return Batch(batch.inputs[:1], places if places is None else places[places[:, 0] == 0])


def _off(found: NDArray[np.float32], wanted: Array) -> float:
    return float(np.abs(found.astype(np.float64) - wanted).max())
