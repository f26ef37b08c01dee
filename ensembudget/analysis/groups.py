"""Pools that differ in nothing but swept fields of the recipe: one sweep, or one grid."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..records import Cell
from ..scoring.pools import Pool, Results


class Group(NamedTuple):
    """Such pools, in the plan's order, and their arm; "" where there is but one, or they span several."""

    arm: str
    pools: tuple[Pool, ...]


def groups_of(
    results: Results, arms: Mapping[str, str], chosen: Callable[[Cell], bool], swept: Mapping[str, object]
) -> list[Group]:
    """The groups of a study's pools.

    Args:
        results: A study's.
        arms: Arms' names without what is swept, by pools' arms.
        chosen: Which cells are grouped.
        swept: The recipe fields in which a group's cells may differ, with any one value of each.
    """
    found: dict[str, list[Pool]] = {}
    for pool in results.pools:
        if chosen(pool.planned.cell):
            found.setdefault(without(pool.planned.cell, swept), []).append(pool)
    return [Group(_shared_arm(pools, arms), tuple(pools)) for pools in found.values()]


def without(cell: Cell, swept: Mapping[str, object]) -> str:
    """All that determines a cell's members, but for swept fields of the recipe."""
    recipe = cell.recipe.model_copy(update=swept)
    return cell.model_copy(update={"recipe": recipe}).to_json()


def _shared_arm(pools: list[Pool], arms: Mapping[str, str]) -> str:
    names = {arms[pool.planned.arm] for pool in pools}
    return names.pop() if len(names) == 1 else ""
