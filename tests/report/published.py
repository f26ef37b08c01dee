"""The published reports, as tests of their renderings read them."""

import importlib
import json
from pathlib import Path
from typing import Any

from ensembudget.rendering.render import from_csv
from ensembudget.tables._base import Row, Table

TABLES = Path(__file__).parents[2] / "tables"
REPORTS = sorted(path.parent for path in TABLES.glob("*/manifest.json"))


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def layouts(folder: Path) -> list[Table]:
    """Its tables for people."""
    return [importlib.import_module(f"ensembudget.tables.{name}").table for name in manifest(folder)["notes"]]


def rows_of(folder: Path, table: Table) -> list[Row]:
    return from_csv((folder / f"{table.name}.csv").read_text())


def figures(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.svg"))
