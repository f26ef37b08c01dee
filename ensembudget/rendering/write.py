"""Writes a report: every table in every format, every figure, and the manifest."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from ..errors import OutputError
from ..files import write_whole
from ..scoring.pools import Results
from ..tables import arms, history, members, memory_split, periods, plane, power_laws, regimes, scores
from ..tables._base import Row, Table
from .dynamics_figures import dynamics_figures
from .figures import figures
from .manifest import manifest
from .render import from_csv, render, to_csv


class Published(NamedTuple):
    """A table as it was written: its columns, rows, and what stands below."""

    table: Table
    rows: list[Row]
    notes: list[str]


def report(
    results: Results, out: str | Path, costs: Mapping[memory_split.Place, Row] | None = None
) -> dict[str, Published]:
    """Writes every file of a report.

    Args:
        results: What to report.
        out: A folder, made where it is not there; files of the same names are replaced.
        costs: Measured time and memory of splits by (arm, budget, members), joined to the memory-split
            table.

    Returns:
        The tables for people, by name: those of splits and laws, those of recorded runs.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder, notes = open_folder(out), notes_of(results)
    write(folder, "members.csv", to_csv(members.table, members.rows(results)))
    write(folder, "scores.csv", to_csv(scores.table, scores.rows(results)))
    recorded = results.plan.study.record is not None
    tables = _dynamics(folder, results, notes) if recorded else {}
    if results.plan.splits or not recorded:
        tables |= _splits(folder, results, notes, costs)
    for table in tables.values():
        write_table(folder, *table)
    all_notes = {name: table.notes for name, table in tables.items()}
    write(folder, "manifest.json", json.dumps(manifest(results, all_notes), indent=1) + "\n")
    return tables


def _splits(
    folder: Path, results: Results, notes: list[str], costs: Mapping[memory_split.Place, Row] | None
) -> dict[str, Published]:
    """What the splits of a study come to: the plane, the laws, the figures, the answer."""
    splits = memory_split.with_costs(memory_split.rows(results), costs or {})
    split_notes = [*memory_split.verdicts(splits), *([memory_split.COST_RULE] if costs else []), *notes]
    plane_rows, laws = plane.rows(results), list(power_laws.series(results))
    write(folder, "plane.csv", to_csv(plane.table, plane_rows))
    for name, figure in figures(splits, laws, plane_rows):
        write_figure(folder, name, figure)
    tables = {
        "memory_split": Published(memory_split.table, splits, split_notes),
        "power_laws": Published(power_laws.table, power_laws.rows(laws), notes),
    }
    if beside := arms.rows(results):
        tables["arms"] = Published(arms.table, beside, [*arms.verdicts(beside), *notes])
    return tables


def _dynamics(folder: Path, results: Results, notes: list[str]) -> dict[str, Published]:
    """What recorded runs come to: regimes on the sphere, periods with weight decay."""
    found = {
        "regimes": Published(regimes.table, regimes.rows(results), notes),
        "regime_boundaries": Published(regimes.boundary_table, regimes.boundary_rows(results), notes),
        "periods": Published(periods.table, periods.rows(results), notes),
        "period_laws": Published(periods.law_table, periods.law_rows(results), notes),
    }
    histories = history.rows(results)
    write(folder, "history.csv", to_csv(history.table, histories))
    drawn = (found[name].rows for name in ("regimes", "periods", "period_laws"))
    for name, figure in dynamics_figures(histories, *drawn):
        write_figure(folder, name, figure)
    return {name: table for name, table in found.items() if table.rows}


def notes_of(results: Results) -> list[str]:
    """What a reader must know about these results: where from, how many, what is left out."""
    cell, pools = results.plan.cells[0].cell, results.pools
    done, diverged = sum(len(p.trained) for p in pools), sum(p.diverged for p in pools)
    planned = sum(p.planned.members for p in pools)
    tests = len(next(s for p in pools for s in p.stored).test_labels)
    epochs, modes = (
        " or ".join(dict.fromkeys(str(value) for value in values))
        for values in (
            [p.planned.cell.recipe.epochs for p in pools],
            [p.planned.cell.mode for p in pools],
        )
    )
    notes = [
        f"{cell.family} ({', '.join(f'{k} {v}' for k, v in cell.options.items())}) on {cell.dataset}:"
        f" {cell.train_size:,} training and {tests:,} test images, {epochs} epochs, mode"
        f" {modes}. {planned} members planned, {done} done, {diverged} diverged."
    ]
    if results.partial:
        missing = planned - done - diverged
        notes.append(f"PARTIAL: {missing} of {planned} members are missing; numbers will change.")
    found = [s.member.environment for p in pools for s in p.stored]
    where = {(e.torch, e.device, f"{e.threads} threads", str(e)) for e in found}
    if len(where) > 1:
        notes.append(
            f"Members were trained in {len(where)} environments: {'; '.join(map(', '.join, sorted(where)))}."
        )
    off = [s for s in results.plan.splits if abs(s.error_percent) > 1]
    if off:
        worst = max(off, key=lambda s: abs(s.error_percent))
        notes.append(
            f"{len(off)} of {len(results.plan.splits)} splits miss their budget by more than 1%, at most"
            f" {worst.error_percent:+.1f}% (n = {worst.members} at {worst.budget:,}): widths are whole"
            " numbers."
        )
    return notes


def open_folder(out: str | Path) -> Path:
    """The folder, made and found writable.

    Raises:
        OutputError: It is not to be had.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".ensembudget"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"output folder {str(out)!r} cannot be written: {error.strerror or error}."
            " Name another with --out."
        ) from None
    return folder


def write_table(folder: Path, table: Table, rows: Sequence[Row], notes: Sequence[str]) -> None:
    """A table in every format, the readable ones rendered from the CSV as it was written."""
    text = to_csv(table, rows)
    write(folder, f"{table.name}.csv", text)
    for kind in ("md", "tex", "html"):
        write(folder, f"{table.name}.{kind}", render(table, from_csv(text), kind, notes))


def write_figure(folder: Path, name: str, figure: Figure) -> None:
    for kind in ("svg", "png"):
        buffer = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
        write(folder, f"{name}.{kind}", buffer.getvalue())


def write(folder: Path, name: str, content: str | bytes) -> None:
    """One file, replaced whole or not at all."""
    try:
        write_whole(folder / name, content)
    except OSError as error:
        raise OutputError(f"{str(folder / name)!r} cannot be written: {error.strerror or error}.") from None
