"""Checks that a report's Markdown, LaTeX, HTML and page follow from its CSV and manifest."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..catalog import TABLES
from ..rendering.page import page
from ..rendering.render import KINDS, from_csv, render
from ..tables._base import Table
from ..tables._wording import IMAGES, worded_table
from .differing import Difference, text_differences
from .folder import GivenFolder

MANIFEST, PAGE = "manifest.json", "index.html"
SVG_BYTES = 16 << 20
# What rendering may raise on a CSV or a manifest that no report wrote.
ODD = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Unchecked(NamedTuple):
    """Something that was not checked, and why."""

    what: str
    why: str


class Checked(NamedTuple):
    """The result of a check.

    Attributes:
        files: Those that were compared whole.
        differences: Where they differ.
        unchecked: What could not be compared.
    """

    files: int
    differences: list[Difference]
    unchecked: list[Unchecked]


def manifest_of(folder: GivenFolder) -> dict[str, Any]:
    """The manifest of a report, with what rendering needs checked.

    Raises:
        BundleError: It is none.
    """
    found = folder.json(MANIFEST)
    try:
        names_are_texts = isinstance(found["study"]["name"], str) and all(
            isinstance(line, str) for lines in found["notes"].values() for line in lines
        )
        lists = all(isinstance(lines, list) for lines in found["notes"].values())
        in_order = names_are_texts and lists and isinstance(found["cells"], list)
    except ODD:
        in_order = False
    if not in_order:
        raise folder.refusal(f"has a {MANIFEST} that no report wrote: it lacks study, cells or notes")
    manifest: dict[str, Any] = found
    return manifest


def check_rendered(folder: GivenFolder, manifest: Mapping[str, Any]) -> Checked:
    """Renders every table and the page of a report again from its own CSV and manifest.

    Raises:
        BundleError: A file cannot be read.
    """
    checked = Checked(0, [], [])
    known = TABLES.usable()
    shown: list[Table] = []
    for name, notes in manifest["notes"].items():
        if name not in known:
            checked.unchecked.append(Unchecked(name, "this ensembudget has no such table"))
        elif f"{name}.csv" not in folder:
            checked.differences.append(Difference(f"{name}.csv", "whole file", "not there", "a table"))
        else:
            table = worded_table(known[name], str(manifest.get("samples", IMAGES)))
            shown.append(table)
            checked = _table(folder, table, notes, manifest["study"]["name"], checked)
    if PAGE in folder and len(shown) == len(manifest["notes"]):
        checked = _page(folder, shown, checked)
    return checked


def _table(folder: GivenFolder, table: Table, notes: list[str], study: str, checked: Checked) -> Checked:
    text, files = folder.text(f"{table.name}.csv"), 0
    if fault := csv_fault(text):
        checked.differences.append(Difference(f"{table.name}.csv", "whole file", fault, "a table"))
        return checked
    for kind in KINDS:
        name = f"{table.name}.{kind}"
        if name not in folder:
            checked.differences.append(Difference(name, "whole file", "not there", "a rendered table"))
            continue
        try:
            again = render(table, from_csv(text), kind, notes, study)
        except ODD as error:
            why = f"cannot be rendered: {error}"
            checked.differences.append(Difference(name, "whole file", why, "a table"))
            continue
        files += 1
        checked.differences.extend(text_differences(name, folder.text(name), again))
    return checked._replace(files=checked.files + files)


def csv_fault(text: str) -> str:
    """Why a text is no table of rows that are as long as its header; "" where it is one."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return f"no CSV: {error}"
    if not rows or len(set(rows[0])) < len(rows[0]):
        return "no CSV: no header, or a column twice"
    odd = next((number for number, row in enumerate(rows) if len(row) != len(rows[0])), None)
    return "" if odd is None else f"row {odd} has {len(rows[odd])} cells, the header {len(rows[0])}"


def _page(folder: GivenFolder, shown: list[Table], checked: Checked) -> Checked:
    figures = sorted(name.removesuffix(".svg") for name in folder.sizes if _is_drawing(name))
    if any(not _is_closed(folder.text(f"{name}.svg")) for name in figures):
        checked.unchecked.append(Unchecked(PAGE, "a figure is no SVG that matplotlib wrote"))
        return checked
    try:
        again = page(folder.root, shown, figures)
    except ODD as error:
        checked.differences.append(Difference(PAGE, "whole file", f"cannot be rendered: {error}", "a page"))
        return checked
    checked.differences.extend(text_differences(PAGE, folder.text(PAGE), again))
    return checked._replace(files=checked.files + 1)


def _is_drawing(name: str) -> bool:
    return name.endswith(".svg") and "/" not in name


def _is_closed(svg: str) -> bool:
    """Whether every comment ends before the next begins, so that taking them out takes linear time."""
    if len(svg) > SVG_BYTES or "<svg" not in svg:
        return False
    return all(_in_turns(svg, *pair) for pair in (("<!--", "-->"), ("<metadata>", "</metadata>")))


def _in_turns(text: str, opens: str, closes: str) -> bool:
    first, *rest = text.split(opens)
    return closes not in first and all(part.count(closes) == 1 for part in rest)


def unrendered(folder: GivenFolder) -> Iterator[Unchecked]:
    """Tables of a folder that has no manifest."""
    for name in sorted(folder.sizes):
        if name.endswith(".csv") and "/" not in name:
            yield Unchecked(name, f"no {MANIFEST} says which study it is of")
