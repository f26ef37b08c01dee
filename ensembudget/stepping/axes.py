"""What autotuning may vary, and its search along one axis after another."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ..catalog import WAYS
from ..records import Stepping

PACKS = (1, 2, 4, 8, 16, 32, 64)
BETTER = 0.95  # of the best time so far: a smaller gain is noise
MISSES = 2  # pack sizes in a row that gain nothing end the search along them


def axes(device: str, members: int, *, layouts: bool = True) -> list[list[dict[str, Any]]]:
    """What may be varied, one axis at a time, in the order in which it is tried.

    Args:
        device: Where members are trained.
        members: How many.
        layouts: Whether their samples can lie in memory in several ways.
    """
    kind = torch.device(device).type
    packs: list[dict[str, Any]] = [{"pack": pack} for pack in PACKS if pack <= members]
    orders: list[dict[str, Any]] = [{"layout": layout} for layout in ("channels_last", "contiguous")]
    compiled: list[dict[str, Any]] = [{"compiled": False}, {"compiled": True}]
    captured: list[dict[str, Any]] = [{"captured": False}, {"captured": True}]
    ways: list[dict[str, Any]] = [
        {"way": way} for way, part in WAYS.usable().items() if kind in part.autotuned_on
    ]
    # Packs again after ways: one way may gain from packs that another does not.
    again = [ways, packs] if len(ways) > 1 else []
    return [*([captured] if kind == "cuda" else []), packs, *again, *([orders] if layouts else []), compiled]


def coordinate_search(
    cost: Callable[[Stepping], float],
    fixed: Mapping[str, Any],
    choices: Iterable[Sequence[Mapping[str, Any]]],
) -> Stepping:
    """The cheapest stepping, one axis after another; what is fixed is not varied.

    Args:
        cost: What a stepping costs; infinite where it cannot be, or may not be tried any more.
        fixed: Fields of `Stepping` that are given.
        choices: Along each axis its values, the plainest first.

    Example:
        >>> cost = {1: 9.0, 2: 7.0, 4: 8.0, 8: 8.0}
        >>> coordinate_search(lambda how: cost[how.pack], {}, [[{"pack": pack} for pack in cost]]).pack
        2
    """
    best = Stepping(**fixed)
    for values in choices:
        misses = 0
        for value in sorted(values, key=partial(_distance, best)):
            candidate = best.model_copy(update=dict(value))
            if set(value) & set(fixed) or candidate == best:
                continue
            if cost(candidate) < BETTER * cost(best):
                best, misses = candidate, 0
            else:
                misses += 1
            if misses == MISSES:
                break
    return best


def _distance(best: Stepping, value: Mapping[str, Any]) -> float:
    """Of a pack size from the best so far, in doublings; other values keep their order."""
    return abs(math.log2(value["pack"] / best.pack)) if "pack" in value else 0.0
