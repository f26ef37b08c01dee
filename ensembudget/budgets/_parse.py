"""Budgets as people write them."""

import re
from decimal import Decimal

from ..catalog import BUDGETS
from ..errors import PlanError, told

_PREFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9_]*)\.?[0-9]+(?:[eE][+-]?[0-9]{1,4})?|[0-9]{1,3}(?:,[0-9]{3})+"

_WRITTEN = re.compile(rf"\s*({_NUMBER})\s*([a-zA-Z]*)\s*")

LONGEST = 100  # characters: the time of matching grows with their square
LARGEST = 10**18  # of any unit: more than any machine has


def parse_budget(text: str | int, kind: str | None = None) -> tuple[int, str]:
    """Reads a budget as people write it: a whole number, and its kind.

    Args:
        text: Say `36.8M`, `250k`, `40MB`, `1GiB`, `5.2GFLOP`, or a number.
        kind: `parameters`, `bytes`, `flops` or `activations`; None lets the unit decide.

    Raises:
        PlanError: Not a number, an unknown unit, a unit of another kind, or less than 1.

    Example:
        >>> parse_budget("36.8M"), parse_budget("40MB"), parse_budget("5.2GFLOP")
        ((36800000, 'parameters'), (40000000, 'bytes'), (5200000000, 'flops'))
    """
    written = str(text)
    match = _WRITTEN.fullmatch(written) if len(written) <= LONGEST else None
    if not match:
        raise PlanError(
            f"budget {told(text)} is not a number with a unit. Write it like 36.8M, 250k, 40MB or 5.2GFLOP."
        )
    number, letters = Decimal(match[1].replace(",", "").replace("_", "")), match[2]
    kinds = BUDGETS.usable()
    readings = {
        other: factor
        for other in sorted(kinds, key=lambda other: other != "parameters")
        for suffix in kinds[other].suffixes
        if (factor := _factor(letters, suffix, "B" in kinds[other].suffixes)) is not None
    }
    if not readings:
        raise PlanError(
            f"budget {told(text)} has an unknown unit {told(letters)}. Known: k, M, G or T, alone or before"
            " B (bytes) or FLOP; Ki, Mi, Gi before B. For example 36.8M, 40MB, 5.2GFLOP."
        )
    kind = kind or next(iter(readings))
    if kind not in readings and not letters:
        readings[kind] = 1  # a bare number is in the unit of the kind asked for
    unit = BUDGETS[kind].unit
    if kind not in readings:
        other = next(iter(readings))
        raise PlanError(
            f"budget {told(text)} is in {BUDGETS[other].unit}, but the kind of budget is {kind!r}."
            f" Write it in {unit}, or choose kind {other!r} (budget_kind in a study, --budget-kind in plan)."
        )
    exact = number * readings[kind]
    if exact > LARGEST:
        raise PlanError(f"budget {told(text)} is above {LARGEST:,} {unit}, the most that is planned with.")
    value = round(exact)
    if value < 1:
        raise PlanError(f"budget {told(text)} is {value} {unit}; it must be at least 1.")
    return value, kind


def has_unit(text: object) -> bool:
    """Whether a budget has a unit, which a kind of budget must know; checked without importing any.

    Example:
        >>> has_unit("36.8M"), has_unit(5178), has_unit("40MB")
        (False, False, True)
    """
    match = _WRITTEN.fullmatch(str(text))
    return match is None or match[2] not in {*_PREFIXES} - {"B"}


def _factor(letters: str, suffix: str, binary: bool) -> int | None:
    if not letters.lower().endswith(suffix.lower()):
        return None
    prefix = letters[: len(letters) - len(suffix)]
    # B alone means a billion of what has no unit, and bytes of what is counted in bytes.
    return _PREFIXES.get(prefix, _BINARY.get(prefix) if binary else None)
