"""Folders of tables: those that are published, or made now from stores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ensembudget import Store, analyse, evaluate, load_study, report
from ensembudget.errors import DatasetError, IncompleteError
from ensembudget.rendering.render import from_csv
from ensembudget.tables._base import Row
from ensembudget.verbs.plan import stored_plan

from .records import Source
from .selecting import UnreadableError


def reported(studies: Mapping[str, Source], stores: Sequence[Store], out: Path) -> dict[str, str]:
    """Reports every study into a folder of its name, from the first store that holds all its members.

    Returns:
        Studies that have no report, and why.
    """
    missing = {}
    for name, source in studies.items():
        if not source.study:
            missing[name] = "no store makes these tables"
        elif not source.study.endswith(".toml") or Path(source.study).exists():
            missing[name] = _report(source.study, stores, out / name)
        else:
            missing[name] = f"the study is not published yet: there is no {source.study}"
    return {name: reason for name, reason in missing.items() if reason}


def _report(study: str, stores: Sequence[Store], out: Path) -> str:
    for store in stores:
        try:
            results = evaluate(stored_plan(load_study(study), store), store)
        except (IncompleteError, DatasetError):  # without its images a study that no store has is not planned
            continue
        report(analyse(results), out)
        return ""
    return "no store has all members of the study"


class Tables:
    """Tables by study and name.

    Args:
        folder: Holds a folder of tables for each study.
        missing: Studies without tables, and why.
    """

    def __init__(self, folder: Path, missing: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._missing = missing or {}
        self._read: dict[Path, list[Row]] = {}

    def rows(self, study: str, table: str) -> list[Row]:
        """The rows of a study's table.

        Raises:
            UnreadableError: There is none.
        """
        if study in self._missing:
            raise UnreadableError(self._missing[study])
        path = self._folder / study / f"{table}.csv"
        if not path.parent.is_dir():
            raise UnreadableError("the study is not published yet")
        if not path.exists():
            raise UnreadableError(f"the study's report has no table {table!r}")
        if path not in self._read:
            self._read[path] = from_csv(path.read_text())
        return self._read[path]

    def setting(self, study: str) -> str:
        """Family, dataset and data sizes, as the manifest has them; "" where there is none."""
        path = self._folder / study / "manifest.json"
        if not path.exists():
            return ""
        cells = [one["cell"] for one in json.loads(path.read_text())["cells"]]
        options = ", ".join(f"{key} {value}" for key, value in cells[0]["options"].items())
        sizes = sorted({cell["train_size"] for cell in cells})
        images = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        family = f"{cells[0]['family']} ({options})" if options else cells[0]["family"]
        return f"{family}, {cells[0]['dataset']}, {images} images"
