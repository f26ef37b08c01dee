"""Writes an analysis as a report: tables in every format, figures, one page of all of it, the manifest."""

import json
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from ..analysis import Analysis
from ..catalog import FIGURES, TABLES
from ..figures._style import styled, watermark
from ..prediction.sidecar import plane_document
from ..rendering.manifest import NOT_PUBLISHED, manifest
from ..rendering.notes import result_notes
from ..rendering.page import page
from ..rendering.write import open_folder, write, write_figure, write_table
from ..tables._base import PARTIAL, Table, marked_partial
from ..tables._wording import samples_of, worded, worded_table


def report(analysis: Analysis, out: str | Path, *, logits: str = NOT_PUBLISHED) -> list[Table]:
    """Writes every file of a report.

    Args:
        analysis: As from `analyse`.
        out: A folder, created where it is not there; files of the same names are replaced.
        logits: Where a reader finds the logits that all numbers follow from.

    Returns:
        The tables for people, in the order of a report. A table without a row is not written.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder, about_all = open_folder(out), result_notes(analysis.results)
    samples = samples_of(analysis.results.plan)
    written = [worded_table(table, samples) for table in analysis_tables() if table.records(analysis)]
    if analysis.results.partial:
        written = [marked_partial(table) for table in written]
    study = analysis.results.plan.study.name
    for table in written:
        write_table(folder, table, analysis, about_all, study)
    if analysis.plane:
        plan, pools, csv = analysis.results.plan, analysis.results.pools, folder / "plane.csv"
        write(folder, "plane.json", plane_document(plan, pools, csv.read_bytes()))
    figures = dict(drawn(analysis))
    for name, figure in figures.items():
        if analysis.results.partial:
            watermark(figure, PARTIAL)
        write_figure(folder, name, figure)
    shown = [table for table in written if not table.csv_only]
    notes = {table.name: [*table.notes(analysis), *about_all] for table in shown}
    write(folder, "manifest.json", json.dumps(manifest(analysis.results, notes, logits), indent=1) + "\n")
    write(folder, "index.html", page(folder, shown, list(figures)))
    return shown


def analysis_tables() -> list[Table]:
    """Every table that is about an analysis, in the order of a report."""
    return sorted(
        (one for one in TABLES.usable().values() if one.about == "analysis"),
        key=lambda one: (one.order, one.name),
    )


def drawn(analysis: Analysis) -> Iterator[tuple[str, Figure]]:
    """Every figure that is about an analysis and has something to show, by name."""
    for name, one in FIGURES.usable().items():
        if one.about == "analysis" and (figure := styled(one, analysis)):
            word_figure(figure, samples_of(analysis.results.plan))
            yield name, figure


def word_figure(figure: Figure, samples: str) -> None:
    """Calls samples by their name in every text of a figure."""
    for text in figure.findobj(Text):
        said = text.get_text()
        if (new := worded(said, samples)) != said:
            text.set_text(new)
