"""What tests of bundles change, and how whoever changes one would cover it up."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from ensembudget.bundling.folder import GivenFolder
from ensembudget.bundling.index import INDEX, read_index, sealed_index
from ensembudget.catalog import TABLES
from ensembudget.records import Study
from ensembudget.rendering.page import page
from ensembudget.rendering.render import KINDS, from_csv, render

LABELS = np.arange(60) % 10
STUDY = Study(
    name="made-up", description="members that were never trained", family="wide_resnet",
    options={"depth": 10}, dataset="digits", budgets=[8000], members=[1, 2], tolerance=0.3, pool=3,
    replicates=1, validation_size=0, train_size=100,
)  # fmt: skip


def sealed_again(folder: Path) -> None:
    """Writes the index of a folder anew."""
    before = read_index(GivenFolder(folder))
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / INDEX
    }
    (folder / INDEX).write_bytes(sealed_index(before.dtype, before.labels, files, histories=before.histories))


def cells(folder: Path) -> list[Path]:
    return sorted((folder / "bundle" / "cells").glob("*.safetensors"))


def edit_arrays(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Changes the arrays of a safetensors file in place."""
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    change(arrays)
    save_file(arrays, path)


def change_digit(folder: Path, name: str = "scores.csv", column: str = "nll") -> None:
    """Changes the last digit of the first number in a column of a CSV."""
    head, first, *rest = (folder / name).read_text().split("\n")
    at, cells_of = head.split(",").index(column), first.split(",")
    last = cells_of[at][-1]
    cells_of[at] = cells_of[at][:-1] + str((int(last) + 1) % 10)
    (folder / name).write_text("\n".join([head, ",".join(cells_of), *rest]))


def swap_members(folder: Path) -> None:
    """Exchanges the logits of two members of a pool."""

    def swap(arrays: dict[str, np.ndarray]) -> None:
        one, other, *_ = sorted(name for name in arrays if name.endswith(".test_logits"))
        arrays[one], arrays[other] = arrays[other], arrays[one]

    edit_arrays(cells(folder)[0], swap)


def edit_label(folder: Path) -> None:
    """Changes one label of every set of labels that has some."""

    def edit(arrays: dict[str, np.ndarray]) -> None:
        for labels in arrays.values():
            if len(labels):
                labels[7] = (labels[7] + 1) % 10

    edit_arrays(folder / "bundle" / "labels.safetensors", edit)


def rendered_again(folder: Path) -> None:
    """Writes a report's files for people anew from its CSV and manifest."""
    said = manifest(folder)
    tables = [TABLES[name] for name in said["notes"]]
    for table in tables:
        rows = from_csv((folder / f"{table.name}.csv").read_text())
        for kind in KINDS:
            text = render(table, rows, kind, said["notes"][table.name], said["study"]["name"])
            (folder / f"{table.name}.{kind}").write_text(text)
    figures = sorted(path.stem for path in folder.glob("*.svg"))
    (folder / "index.html").write_text(page(folder, tables, figures))


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())
