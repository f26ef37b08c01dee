"""A folder of reports: which there are, and the page that lists them."""

import re
from pathlib import Path

from ..errors import BundleError
from ..rendering.render import from_csv
from ..tables._answer import answer
from .contents import has_bundle
from .folder import GivenFolder
from .index import PLACE
from .rendered import MANIFEST, csv_fault, manifest_of

COLLECTION_PAGE = "README.md"
LISTED = 3  # titles of the tables of a folder that no manifest describes
_INTRODUCTION = """# Published tables

A line a folder. Each has its tables as CSV, Markdown, LaTeX and HTML, and where it is a study's report a
manifest. Where logits are there too, `ensembudget verify` computes every number again from them. This page is
written by `python -m benchmarks.collection`.

| folder | what it is | answer | numbers can be computed again |
|---|---|---|---|
"""


def folders_of(root: Path) -> list[Path]:
    """The folders of a collection, none where the folder is a report itself."""
    if (root / MANIFEST).exists() or (root / PLACE).exists():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def collection_page(root: Path) -> str:
    """What stands in a collection's `README.md`: a line a folder, read off its files."""
    return _INTRODUCTION + "".join(f"| {' | '.join(_line(folder))} |\n" for folder in folders_of(root))


def _line(path: Path) -> list[str]:
    try:
        folder = GivenFolder(path)
        about, said, logits = _facts(folder)
    except BundleError as error:
        about, said, logits = str(error), "", "no"
    return [f"[{path.name}]({path.name}/{_entry(path)})", *map(_plain, (about, said, logits))]


def _facts(folder: GivenFolder) -> tuple[str, str, str]:
    """What a folder is, its result, and whether its numbers can be recomputed."""
    if MANIFEST not in folder:
        titles = _titles(folder)
        more = f" and {len(titles) - LISTED} more" if len(titles) > LISTED else ""
        return "; ".join(titles[:LISTED]) + more, "", "no: measured, or of several studies"
    manifest = manifest_of(folder)
    about = str(manifest["study"].get("description") or manifest["study"]["name"])
    text = folder.text("memory_split.csv") if "memory_split.csv" in folder else ""
    logits = "yes" if has_bundle(folder) else "no: its logits are not here"
    said = answer(from_csv(text)) if text and not csv_fault(text) else ""
    return about, re.split("[:;]", said)[0].rstrip("."), logits


def _titles(folder: GivenFolder) -> list[str]:
    pages = sorted(name for name in folder.sizes if name.endswith(".md"))
    found = [re.match(r"### (.*)", folder.text(name)) for name in pages]
    return [one[1] for one in found if one]


def _entry(path: Path) -> str:
    """The page that a reader opens first."""
    pages = sorted(one.name for one in path.glob("*.md"))
    return next((one for one in ("memory_split.md", "map.md") if one in pages), pages[0] if pages else "")


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
