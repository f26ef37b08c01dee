"""Numbers of a report that follow from others of its numbers: what can be checked without logits."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ..rendering.render import from_csv
from ..tables._base import Row
from .differing import Difference
from .folder import GivenFolder
from .rendered import csv_fault

CLOSE = 1e-9  # relative: the same mean, summed in another order
MEANS = ("nll", "accuracy")  # columns that are plain means over the disjoint ensembles of a size


def disagreements(folder: GivenFolder, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """Where two files of a report contradict each other.

    Members are those of the manifest; a member's own scores are those of ensembles of one; means are means of
    the scores; parameters add up; and the plane's description is of this plane.

    Raises:
        BundleError: A file cannot be read.
    """
    tables = {name: _rows(folder, name) for name in ("members", "scores", "plane", "memory_split")}
    if tables["members"]:
        yield from _members(tables["members"], manifest)
        yield from _singles(tables["members"], tables["scores"])
    for name in ("plane", "memory_split"):
        yield from _means(name, tables[name], tables["scores"])
    yield from _totals(tables["memory_split"])
    if "plane.json" in folder and "plane.csv" in folder:
        said = folder.json("plane.json")
        digest = sha256(folder.read("plane.csv")).hexdigest()
        if not isinstance(said, dict) or said.get("sha256") != digest:
            yield Difference("plane.json", "sha256", str(said)[:80], digest)


def _rows(folder: GivenFolder, name: str) -> list[Row]:
    text = folder.text(f"{name}.csv") if f"{name}.csv" in folder else ""
    return from_csv(text) if text and not csv_fault(text) else []


def _members(rows: Sequence[Row], manifest: Mapping[str, Any]) -> Iterator[Difference]:
    listed = {row.get("key") for row in rows}
    cells = [one for one in manifest["cells"] if isinstance(one, dict)]
    cited = {key for one in cells for key in one.get("members", {})}
    for key in sorted(map(str, listed - cited)):
        yield Difference("members.csv", f"member {key[:12]}", "a row", "no member of the manifest")
    for key in sorted(map(str, cited - listed)):
        yield Difference("members.csv", f"member {key[:12]}", "no row", "a member of the manifest")
    for one in cells:
        if one.get("done", 0) + one.get("diverged", 0) != len(one.get("members", {})):
            place = f"cell {str(one.get('key'))[:12]}"
            yield Difference("manifest.json", place, "done and diverged", "as many as members")


def _singles(members: Sequence[Row], scores: Sequence[Row]) -> Iterator[Difference]:
    alone = {(row.get("nll"), row.get("accuracy")) for row in scores if row.get("members") == 1}
    for number, row in enumerate(members, 1):
        if scores and row.get("status") == "done" and (row.get("nll"), row.get("accuracy")) not in alone:
            place = f"row {number}, columns nll and accuracy"
            said = f"{row.get('nll')}, {row.get('accuracy')}"
            yield Difference("members.csv", place, said, "scores.csv has no such member alone")


def _means(name: str, rows: Sequence[Row], scores: Sequence[Row]) -> Iterator[Difference]:
    groups: dict[tuple[Any, Any], dict[Any, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in scores:
        groups[row.get("width"), row.get("members")][row.get("cell")].append(row)
    for number, row in enumerate(rows, 1):
        found = groups.get((row.get("width"), row.get("members")), {})
        if not found or any(row.get(column) is None for column in MEANS):
            continue
        means = [[_mean(its, column) for column in MEANS] for its in found.values()]
        mine = [float(row[column] or 0) for column in MEANS]
        if not any(all(map(_close, mine, its)) for its in means):
            place = f"row {number}, columns {' and '.join(MEANS)}"
            yield Difference(f"{name}.csv", place, f"{mine}", f"a mean of scores.csv: {means[:3]}")


def _totals(rows: Sequence[Row]) -> Iterator[Difference]:
    for number, row in enumerate(rows, 1):
        each, count = row.get("parameters_per_member"), row.get("members")
        total = row.get("parameters_total")
        if not (isinstance(each, int) and isinstance(count, int)):
            continue
        if total != each * count:
            yield Difference(
                "memory_split.csv", f"row {number}, column parameters_total", str(total), str(each * count)
            )


def _mean(rows: Sequence[Row], column: str) -> float:
    values = [row.get(column) for row in rows]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=0)
