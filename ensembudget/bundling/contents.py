"""Reads a bundle: its plan, members and costs, and what has changed since it was sealed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..records import Plan, Record, SplitCost
from ..store.documents import DamageError, UnknownError, record, unseal
from .folder import TEXT_BYTES, GivenFolder, parsed
from .index import COSTS, INDEX, PLAN, BundleIndex, index_faults, read_index
from .members import BundledMembers, read_members

MOST = 100_000  # pools, members or splits of a plan that somebody sent

Costs = Mapping[tuple[str, int, int], SplitCost]


class GivenCost(Record):
    """What a split was measured to cost: its setting's label, its budget and its members say which."""

    label: str
    budget: int
    members: int
    cost: SplitCost


class GivenCosts(Record):
    """All that were measured."""

    costs: list[GivenCost]


@dataclass(frozen=True)
class Bundle:
    """A bundle from elsewhere.

    Attributes:
        folder: Where it lies, the report around it.
        index: What it says of itself.
        plan: The study's.
        members: Its members, as scoring reads them.
        costs: Measured costs, which nothing here can check.
        faults: What is not as it was sealed or published, a sentence each.
    """

    folder: GivenFolder
    index: BundleIndex
    plan: Plan
    members: BundledMembers
    costs: Costs
    faults: tuple[str, ...]


def has_bundle(folder: GivenFolder) -> bool:
    """Whether a folder has a bundle beside its report."""
    return INDEX in folder


def read_bundle(root: str | Path | GivenFolder) -> Bundle:
    """Reads a bundle without trusting it: nothing in it is run, and no size is trusted.

    Args:
        root: The report's folder, which has a folder `bundle`.

    Raises:
        BundleError: It is none, or cannot be read.
    """
    folder = root if isinstance(root, GivenFolder) else GivenFolder(root)
    if not has_bundle(folder):
        raise folder.refusal(f"is no bundle: it has no {INDEX}")
    index = read_index(folder)
    plan = _plan(folder)
    members, faults = read_members(folder, index, plan)
    return Bundle(folder, index, plan, members, _costs(folder), (*index_faults(folder, index), *faults))


def costs_document(costs: Costs) -> str:
    """The content of `costs.json`."""
    return GivenCosts(
        costs=[
            GivenCost(label=label, budget=budget, members=members, cost=cost)
            for (label, budget, members), cost in costs.items()
        ]
    ).to_json()


def _plan(folder: GivenFolder) -> Plan:
    raw = folder.read(PLAN, TEXT_BYTES)
    try:
        parsed(raw)
        plan, unknown = record(Plan, unseal(raw).get("plan"))
    except (ValueError, DamageError, UnknownError) as error:
        raise folder.refusal(f"has a plan that cannot be read: {error}") from None
    if unknown:
        raise folder.refusal(f"has a plan of a newer version (field {unknown[0]!r}); update ensembudget")
    _bounded(folder, "members", (cell.members for cell in plan.cells))
    _bounded(folder, "pools", [1] * len(plan.cells))
    _bounded(folder, "splits", [1] * len(plan.splits))
    if plan.task is None:  # it would be looked for in a dataset of this machine
        raise folder.refusal("has a plan that does not say what its images are")
    pools = {(cell.setting, cell.cell.width): cell for cell in plan.cells}
    if not plan.cells or any((split.setting, split.width) not in pools for split in plan.splits):
        raise folder.refusal("has a plan with splits of pools that it does not have")
    return plan


def _bounded(folder: GivenFolder, what: str, counts: Iterable[int]) -> None:
    if (total := sum(counts)) > MOST:
        raise folder.refusal(f"has a plan of {total:,} {what}; at most {MOST:,} are read")


def _costs(folder: GivenFolder) -> Costs:
    if COSTS not in folder:
        return {}
    try:
        raw = folder.read(COSTS, TEXT_BYTES)
        parsed(raw)
        found = GivenCosts.from_json(raw)
    except ValueError as error:
        raise folder.refusal(f"has costs that cannot be read: {error}") from None
    return {(one.label, one.budget, one.members): one.cost for one in found.costs}
