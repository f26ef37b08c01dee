"""What a metric is: a number for one ensemble as it stands, and the column that shows it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Ensemble:
    """What a metric may look at, on the test set and at temperature 1.

    Attributes:
        log_probs: Log-probabilities of the members' average, (sample, class), float64.
        labels: True classes, (sample,), int64.
        logits: Of each member, (member, sample, class), any float dtype.
        agreements: Share of samples on which two members predict the same class, (member, member), float64.
    """

    log_probs: Tensor
    labels: Tensor
    logits: Tensor
    agreements: Tensor


@dataclass(frozen=True)
class Metric:
    """One metric, at every ensemble size and in every table of scores; the file's name names its column.

    Attributes:
        score: The metric of one ensemble, finite; None where it has none, as a single member has no
            disagreement.
        heading: Of its column in tables for people.
        form: How its numbers are written there, a format specification.
        rule: A sentence that defines it, printed below tables of scores; "" where the heading says it all.
        order: Its columns' place among those of other metrics, ascending, then by name.
        of_member: Whether `members.csv` has it for every single member.
        csv_only: Whether the memory-split table leaves it out of what people read.
        bounds: The lowest and highest number it can be; no interval goes beyond.
        tasks: The kinds of task that have it, as `language_model`; None for all. Tables of others do not have
            its column.
    """

    score: Callable[[Ensemble], float | None]
    heading: str
    form: str = ".4f"
    rule: str = ""
    order: int = 100
    of_member: bool = True
    csv_only: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    tasks: frozenset[str] | None = None
