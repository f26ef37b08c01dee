"""LaTeX: booktabs, captions and labels that name the study, real minus signs, and a page that compiles."""

import re
import shutil
import subprocess

import pytest
from published import REPORTS, TABLES, layouts, manifest, rows_of

from ensembudget.rendering.latex import escape
from ensembudget.rendering.render import render

SOURCES = sorted(TABLES.glob("*/*.tex"))
DOCUMENT = r"\documentclass{article}\usepackage{booktabs, array, longtable}\begin{document}%s\end{document}"


def test_no_published_table_is_shrunk_and_every_one_has_rules_of_booktabs():
    assert SOURCES
    for path in SOURCES:
        text = path.read_text()
        assert r"\resizebox" not in text, path
        assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule")), path
        assert r"\hline" not in text, path


@pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)
def test_the_caption_and_the_label_name_the_study(folder):
    study = manifest(folder)["study"]["name"]
    for table in layouts(folder):
        text = (folder / f"{table.name}.tex").read_text()
        (caption,) = re.findall(r"\\caption\{(.*)\}\\label", text)
        assert caption.endswith(f"Study {escape(study)}.")
        (label,) = re.findall(r"\\label\{tab:([a-z0-9-]+)\}", text)
        assert label == f"{study} {table.name}".replace("_", "-").replace(" ", "-")


def test_labels_of_all_published_tables_differ_within_their_folder():
    for folder in {path.parent for path in SOURCES}:
        labels = [re.findall(r"\\label\{(.*?)\}", path.read_text()) for path in folder.glob("*.tex")]
        assert len({one[0] for one in labels}) == len(labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-0.5 [-0.7, -0.3]", r"$-$0.5 [$-$0.7, $-$0.3]"),
        ("+0.5", "+0.5"),
        ("1e-05", r"1$\times10^{-5}$"),
        ("-2.5e+10", r"$-$2.5$\times10^{10}$"),
        ("two-stage, 2-3, a-1", "two-stage, 2-3, a-1"),
        ("c - b", "c $-$ b"),
        ("x^2_1 50%", r"x\textasciicircum{}2\_1 50\%"),
        ("2e5f", "2e5f"),
    ],
)
def test_numbers_have_real_minus_signs_and_words_their_hyphens(text, expected):
    assert escape(text) == expected


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed: no page to look at")
def test_every_published_table_compiles_and_stays_within_the_text(tmp_path):
    awkward = [
        render(table, [{**row, "arm": r"50% of \a_b & {c} #1 ~^$"} for row in rows_of(folder, table)], "tex")
        for folder in REPORTS
        for table in layouts(folder)
        if "arm" in table.names
    ]
    parts = [path.read_text() for path in SOURCES] + awkward
    (tmp_path / "all.tex").write_text(DOCUMENT % "\\clearpage\n".join(parts))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    said = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
        timeout=240,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-3000:]
    assert (tmp_path / "all.pdf").stat().st_size > 50_000
    assert "Float too large" not in said.stdout
    assert "Undefined control sequence" not in said.stdout
    wide = [float(one) for one in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", said.stdout)]
    assert not [one for one in wide if one > 1], wide
