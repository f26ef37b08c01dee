"""Judges recipes by single members on the validation images, and chooses."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..records import Interval
from ..store import Stored
from .comparison import SplitLosses, compare, split_losses
from .ensembles import score_pool
from .standard_errors import cnll_interval, mean_metrics, member_errors


class Judgement(NamedTuple):
    """How single members of one recipe do on the validation images, means over the members.

    Attributes:
        nll: At temperature 1, nats per sample.
        cnll: At a temperature fitted on one half of the images and scored on the other.
        losses: What recipes are compared by.
    """

    nll: Interval
    cnll: Interval
    losses: SplitLosses


def judgement(members: Sequence[Stored]) -> Judgement | None:
    """How the members of one recipe do, or None where one of them diverged.

    The function that scores test logits scores these: each half of the images is scored at the temperature
    that fits the other.

    Args:
        members: At least one, with validation images.
    """
    if any(one.member.status == "diverged" for one in members):
        return None
    logits = torch.from_numpy(np.stack([one.validation_logits for one in members]))
    labels = torch.from_numpy(members[0].validation_labels)
    scores = score_pool(logits, labels, samples=members[0].validation_samples)
    errors = member_errors(logits, labels, scores, 1)
    nll = mean_metrics(scores, 1, errors)["nll"]
    assert nll is not None
    return Judgement(
        nll,
        cnll_interval(scores.mean(1, "cnll"), errors),
        split_losses(logits, labels, scores, 1),
    )


def ranking(judged: Mapping[int, Judgement | None], own: int | None) -> list[int]:
    """Recipes from the lowest CNLL to the highest; those that diverged are last.

    Of equals the study's own comes first, then the one listed first.

    Args:
        judged: By place in the list of recipes.
        own: The place of the study's own recipe.
    """

    def key(number: int) -> tuple[float, bool, int]:
        found = judged[number]
        return float("inf") if found is None else found.cnll.value, number != own, number

    return sorted(judged, key=key)


def above_lowest(judged: Mapping[int, Judgement | None]) -> dict[int, Interval]:
    """CNLL minus the lowest, over members and validation images; the intervals know which was chosen.

    Recipes of which a member diverged have none.
    """
    there = {number: found for number, found in judged.items() if found is not None}
    if not there:
        return {}
    compared = compare([found.losses for found in there.values()])
    return {number: one.above for number, one in zip(there, compared, strict=True)}
