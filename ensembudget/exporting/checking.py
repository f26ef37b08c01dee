"""Compares what an exported file says of the test images with what the store has."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Array, Mask
from ..errors import ExportError
from ..scoring.mixing import group_matrix, pooled
from .graph import Runner, disagreements, in_parts

TOLERANCE = 1e-5  # of a probability
CLOSE = 1e-3  # of a logit: where a member's two likeliest classes are closer, rounding may swap them


class StoredAnswers(NamedTuple):
    """What the stored logits of an ensemble's members say, in float64.

    Attributes:
        probabilities: Averaged, then tempered, (sample, class).
        disagreement: (sample,); NaN where there is one member.
        certain: Samples of which no member's two likeliest classes are close, (sample,).
    """

    probabilities: Array
    disagreement: Array
    certain: Mask


def stored_answers(logits: Tensor, temperature: float) -> StoredAnswers:
    """Of members' logits, (member, sample, class)."""
    averages = pooled(logits, group_matrix(len(logits), [slice(None)]))[0]
    first, second = logits.topk(2).values.unbind(-1)
    return StoredAnswers(
        (averages / temperature).softmax(-1).numpy(),
        disagreements(logits).double().numpy(),
        ((first - second) > CLOSE).all(0).numpy(),
    )


def checked_difference(
    name: str, runner: Runner, images: Tensor, answers: StoredAnswers, members: int
) -> float:
    """The largest difference between a probability of a file and the store's, in batches and one by one.

    Args:
        name: The format's.
        runner: Runs the file.
        images: Of the test set, uint8, (sample, row, column, channel).
        answers: What the store says of them.
        members: How many there are.

    Raises:
        ExportError: It is above 1e-5, or members disagree on other images.
    """
    whole = in_parts(runner, images, members)
    alone = in_parts(runner, images[:1], members)  # where a graph that fixes its batch fails
    off = max(
        _off(alone.probabilities, answers.probabilities[:1]), _off(whole.probabilities, answers.probabilities)
    )
    if not off <= TOLERANCE:
        raise ExportError(
            f"format {name!r} gives other probabilities on the test images than the store has: by"
            f" {off:.1e} at most, and {TOLERANCE:.0e} is allowed. Nothing was exported. Export on the kind of"
            " device that the members were trained on, where numbers are rounded alike."
        )
    wrong = ~np.isclose(whole.disagreement, answers.disagreement, atol=TOLERANCE, equal_nan=True)
    if count := int((wrong & answers.certain).sum()):
        raise ExportError(
            f"format {name!r} has members disagree otherwise than the store on {count} of {len(wrong)} test"
            " images. Nothing was exported."
        )
    return off


def _off(found: NDArray[np.float32], wanted: Array) -> float:
    return float(np.abs(found.astype(np.float64) - wanted).max())
