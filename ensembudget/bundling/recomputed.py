"""Compares a published report with one that was recomputed from its logits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

from ..catalog import TABLES
from ..records import Cell
from .contents import Bundle
from .differing import Difference, table_differences, value_differences
from .rendered import MANIFEST, Checked, Unchecked

# Of a manifest: what says who computed it, where and when. No computation gives it again.
TOLD = ("code", "scored_on", "command")


def check_recomputed(bundle: Bundle, published: Mapping[str, Any], computed: Path) -> tuple[Checked, int]:
    """Compares every CSV, JSON and figure of a report with those that follow from its logits.

    Args:
        bundle: What was sent.
        published: Its manifest.
        computed: The folder of the report that was computed anew.

    Returns:
        What differs or could not be checked, and how many cells of CSV files were compared.

    Raises:
        BundleError: A file cannot be read.
    """
    folder, cells = bundle.folder, 0
    checked = Checked(0, [], [])
    again = {path.name for path in computed.iterdir()}
    for name in sorted(again - set(folder.sizes)):
        checked.unchecked.append(Unchecked(name, "it follows from the logits and was not published"))
    for name in sorted(again & set(folder.sizes)):
        if name.endswith(".csv"):
            text = (computed / name).read_text()
            cells += text.count(",") + text.count("\n")
            checked.differences.extend(table_differences(name.removesuffix(".csv"), folder.text(name), text))
        elif name == "plane.json":
            told = json.loads((computed / name).read_bytes())
            checked.differences.extend(
                value_differences(name, _undigested(folder.json(name)), _undigested(told))
            )
    for name in sorted(set(folder.sizes) - again):
        _unexpected(bundle, name, checked)
    _manifest(published, json.loads((computed / MANIFEST).read_bytes()), checked)
    _figures(bundle, published, computed, checked)
    if bundle.costs:
        checked.unchecked.append(Unchecked("columns of costs", "they were measured, on a machine of its own"))
    return checked, cells


def _undigested(plane: Any) -> Any:
    """Without the digest of `plane.csv`: that file is compared value by value, and with its own digest."""
    return (
        {name: value for name, value in plane.items() if name != "sha256"}
        if isinstance(plane, dict)
        else plane
    )


def _unexpected(bundle: Bundle, name: str, checked: Checked) -> None:
    """A published file that does not follow from the logits."""
    stem = name.removesuffix(".csv")
    if "/" in name or not name.endswith((".csv", ".svg")):
        return
    if name.endswith(".csv") and stem not in TABLES:
        checked.unchecked.append(Unchecked(name, "this ensembudget has no such table"))
    elif bundle.plan.study.record is not None and not bundle.index.histories:
        why = "it needs what members recorded, which the bundle leaves out (`bundle --histories` has it)"
        checked.unchecked.append(Unchecked(name, why))
    else:
        checked.differences.append(Difference(name, "whole file", "there", "the logits give none"))


def _manifest(published: Mapping[str, Any], computed: dict[str, Any], checked: Checked) -> None:
    kept = {name: value for name, value in published.items() if name not in TOLD}
    wanted = {name: value for name, value in computed.items() if name not in TOLD}
    # Tables that could not be computed have been told; the others have their notes.
    kept["notes"] = {name: value for name, value in kept["notes"].items() if name in wanted["notes"]}
    wanted["notes"] = {name: value for name, value in wanted["notes"].items() if name in kept["notes"]}
    for one in (kept, wanted):
        one["cells"] = [_with_newer_fields(cell) for cell in one["cells"]]
    checked.differences.extend(value_differences(MANIFEST, kept, wanted))
    checked.unchecked.append(
        Unchecked(f"{MANIFEST}: {', '.join(TOLD)}", "who computed a report, where and how, does not follow")
    )


def _with_newer_fields(cell: Any) -> Any:
    """A cell of a manifest, with the defaults of fields that are newer than it, which mean the same."""
    try:
        described = Cell.from_json(json.dumps(cell["cell"])).model_dump(mode="json")
    except (TypeError, KeyError, ValueError):  # it is compared as it is
        return cell
    return cell | {"cell": described}


def _figures(bundle: Bundle, published: Mapping[str, Any], computed: Path, checked: Checked) -> None:
    """Figures are equal to the byte where numbers and matplotlib are."""
    code = published.get("code")
    packages = code.get("packages") if isinstance(code, dict) else None
    drawn_by = packages.get("matplotlib") if isinstance(packages, dict) else None
    same = drawn_by == matplotlib.__version__ and not checked.differences
    for path in sorted(computed.iterdir()):
        if path.suffix not in (".svg", ".png") or path.name not in bundle.folder:
            continue
        if bundle.folder.read(path.name) == path.read_bytes():
            continue
        if same and path.suffix == ".svg":
            checked.differences.append(Difference(path.name, "bytes", "a figure", "another figure"))
        else:
            why = f"drawn anew by matplotlib {matplotlib.__version__} it has other bytes; theirs: {drawn_by}"
            checked.unchecked.append(Unchecked(path.name, why))
