"""Tables as people and programs read them: nothing in a cell acts, no number changes, no gap is a zero."""

import csv
import html.parser
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ensembudget.analysis.laws import Along, LawResult
from ensembudget.laws._base import Points
from ensembudget.laws._fit import fit_points
from ensembudget.records import Setting
from ensembudget.rendering.render import from_csv, render, to_csv
from ensembudget.tables import memory_split, power_laws
from ensembudget.tables._base import Column, Table

DASH = "\N{EN DASH}"
LAYOUT = Table(
    "trial",
    "A trial",
    (
        Column("name", "name"),
        Column("n", "n", "d"),
        Column("y", "y", ".3f", interval=True),
        Column("why", "why"),
    ),
    rules=("One rule.",),
    marked="n",
)

PAYLOADS = {
    "formula": "=cmd|'/c calc'!A0",
    "sum": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "space before a formula": "  =1+1",
    "tab before a formula": "\t=1+1",
    "pipes": "a|b||c",
    "escaped pipe": "a\\|b",
    "script": "<script>alert('x')</script>",
    "image": '<img src=x onerror="alert(1)">',
    "end of the cell": "</td></tr></table><h1>big</h1>",
    "entity": "&lt;b&gt; &amp; &copy",
    "input": r"\input{/etc/passwd}",
    "write": r"\immediate\write18{ls}",
    "end of the table": r"\end{tabular} \\ & new",
    "ampersand": "this & that",
    "percent": "100% of it",
    "other characters of TeX": "#1 $x^2$ {a}_b ~",
    "distance": "[2cm] after a row",
    "star after a row": "* next",
    "quotes": "say \"it\", 'he', said",
    "newline": "one\ntwo",
    "paragraph": "one\n\ntwo",
    "carriage return": "one\rtwo",
    "line separator": "one\u2028two",
    "unicode": "größe 中文 🙂 ★",
    "right to left": "\u202egnp.exe",
}
ESCAPES = {
    f"\\text{name}" for name in ("backslash", "asciitilde", "asciicircum", "less", "greater", "bar")
} | {r"\star"}
# Marks that are obeyed and not seen are shown as escapes.
SHOWN = {PAYLOADS["right to left"]: r"\u202egnp.exe", PAYLOADS["line separator"]: r"one\u2028two"}
payloads = pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)


def row(text: str, n: int = 2) -> dict:
    return {"name": text, "n": n, "y": 0.5, "y_low": 0.25, "y_high": 0.75, "why": text}


def table(text: str, kind: str) -> str:
    """The payload in the first and the last column, between rows that are harmless."""
    return render(LAYOUT, [row("before", 1), row(text), row("after", 3)], kind, ["A note."])


def words(text: str) -> str:
    return " ".join(text.split())


@payloads
def test_no_cell_of_a_csv_is_run_by_a_spreadsheet(text):
    lines = list(csv.reader(io.StringIO(to_csv(LAYOUT, [row(text)]), newline="")))
    assert len(lines) == 2
    assert lines[0] == ["name", "n", "y", "y_low", "y_high", "why"]
    for cell in (lines[1][0], lines[1][-1]):
        assert cell.lstrip()[:1] not in set("=+-@\t\r")
        assert cell.removeprefix("'") == SHOWN.get(text, text)


@payloads
def test_text_survives_a_round_trip_but_for_what_makes_it_inert(text):
    (found,) = from_csv(to_csv(LAYOUT, [row(text)]))
    assert found["name"].removeprefix("'") == SHOWN.get(text, text)
    assert {**found, "name": text, "why": text} == row(text)


ATTRIBUTES = {
    "style": "text-align: right",
    "class": r"(first|second|rest)( long)?|best|tie",
    "scope": "col",
    "data-value": r"-?[\d.]+(e[-+]\d+)?",
}


class Page(html.parser.HTMLParser):
    """Tags in order, and the text of every cell as a browser has it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            assert re.fullmatch(ATTRIBUTES[name], value), (name, value)
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


@payloads
def test_html_shows_a_cell_and_runs_nothing(text):
    page, harmless = Page(table(text, "html")), Page(table("harmless", "html"))
    assert page.tags == harmless.tags
    assert words(page.cells[8]) == words(page.cells[11]) == words(SHOWN.get(text, text))
    assert [words(c) for c in page.cells[12:]] == ["after", "3", "0.500 [0.250, 0.750]", "after"]


def markdown_cells(line: str) -> list[str]:
    """A row as GitHub cuts it: at bars without a backslash before them."""
    inner = re.split(r"(?<!\\)(?:\\\\)*\|", line.strip())
    return [words(cell) for cell in inner[1:-1]]


@payloads
def test_markdown_keeps_a_cell_in_its_cell(text):
    # A line ends where CommonMark says.
    lines = [line for line in re.split(r"\r\n|\n|\r", table(text, "md")) if line.strip()]
    assert lines[0] == "### A trial"
    cells = [markdown_cells(line) for line in lines[1:6]]
    assert [len(line) for line in cells] == [4] * 5
    assert cells[2] == ["before", "1", "0.500 [0.250, 0.750]", "before"]
    assert cells[3][1:3] == ["2", "0.500 [0.250, 0.750]"]
    assert cells[4] == ["after", "3", "0.500 [0.250, 0.750]", "after"]
    assert lines[6:] == ["- One rule.", "- A note."]
    # No tag begins: what follows a < without a backslash or an entity would be one.
    assert not re.search(r"(?<!\\)<[a-zA-Z/!?]", table(text, "md"))


def test_markdown_shows_an_entity_as_it_was_written():
    assert html.unescape(markdown_cells(table("&lt;b&gt;", "md").splitlines()[5])[0]) == "&lt;b&gt;"


def tex_commands(source: str) -> set[str]:
    return set(re.findall(r"\\[a-zA-Z]+", source.replace("\\\\", "")))


@payloads
def test_latex_prints_a_cell_and_runs_nothing(text):
    source, harmless = table(text, "tex"), table("harmless", "tex")
    escapes = ESCAPES
    assert tex_commands(source) <= tex_commands(harmless) | escapes
    environments = r"\\(?:begin|end)\{\w+\}"
    assert re.findall(environments, source) == re.findall(environments, harmless)
    body = source.partition(r"\toprule")[2].rpartition(r"\bottomrule")[0].replace(r"\midrule", "")
    lines = re.split(r"(?<!\\)\\\\", body)
    assert lines.pop().strip() == ""
    assert len(lines) == 4  # the heading and three rows
    for line in lines:
        # After a row's end a bracket is a distance, and a star belongs to that end.
        assert line.strip()[0] not in "[*"
        unescaped = re.sub(r"\\.", "", line)
        assert unescaped.count("&") == 3
        assert not set("%#~^_") & set(unescaped)
        assert unescaped.count("{") == unescaped.count("}")
        assert unescaped.count("$") % 2 == 0


@payloads
def test_notes_are_as_inert_as_cells(text):
    def noted(kind: str, note: str) -> str:
        return render(LAYOUT, [row("x")], kind, [note])

    assert Page(noted("html", text)).tags == Page(noted("html", "harmless")).tags
    assert not re.search(r"(?<!\\)<[a-zA-Z/!?]", noted("md", text))
    assert len(re.split(r"\r\n|\n|\r", noted("md", text))) == len(noted("md", "harmless").split("\n"))
    escapes = ESCAPES
    assert tex_commands(noted("tex", text)) <= tex_commands(noted("tex", "harmless")) | escapes
    assert noted("tex", text).count(r"\end{tabular}") == 1


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values=st.lists(st.none() | finite, min_size=1, max_size=6))
@example(values=[0.1 + 0.2, 1 / 3, 2 / 3])
@example(values=[1.7976931348623157e308, 5e-324, 2.2250738585072014e-308])
def test_floats_survive_a_round_trip_to_the_last_bit(values):
    rows = [{"name": "x", "n": 1, "y": value, "why": "y"} for value in values]
    assert [found["y"] for found in from_csv(to_csv(LAYOUT, rows))] == values


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=1, max_size=6))
@example(values=[3, None])
@example(values=[2**53 + 1, None])
def test_whole_numbers_stay_whole_beside_a_gap(values):
    rows = [{"name": "x", "n": value, "y": 1.5, "why": "y"} for value in values]
    found = [one["n"] for one in from_csv(to_csv(LAYOUT, rows))]
    assert found == values
    assert all(value is None or isinstance(value, int) for value in found)


def test_numbers_beyond_64_bits_survive_a_round_trip():
    rows = [{"name": "x", "n": value, "y": 1.5, "why": "y"} for value in (3 * 10**20, 1)]
    assert [one["n"] for one in from_csv(to_csv(LAYOUT, rows))] == [3 * 10**20, 1]


def test_a_table_without_rows_has_its_columns():
    assert to_csv(LAYOUT, []) == "name,n,y,y_low,y_high,why\n"
    assert from_csv(to_csv(LAYOUT, [])) == []


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
def test_a_missing_value_is_a_dash_with_a_footnote(kind):
    gap = {"name": "gap", "n": 2, "y": None, "y_low": None, "y_high": None, "why": "y"}
    text = render(LAYOUT, from_csv(to_csv(LAYOUT, [row("whole"), gap])), kind)
    line = next(line for line in text.replace("</td>\n", "</td>").splitlines() if "gap" in line)
    cells = {
        "md": lambda: markdown_cells(line),
        "tex": lambda: [words(cell) for cell in line.removesuffix(r"\\").split("&")],
        "html": lambda: [words(cell) for cell in Page(line).cells],
    }[kind]()
    assert cells == ["gap", "2", "--" if kind == "tex" else DASH, "y"]
    assert "marks a missing value, never zero" in text


def test_a_table_without_gaps_needs_no_footnote():
    assert "never zero" not in render(LAYOUT, [row("whole")], "md")


def test_a_measured_zero_is_a_zero():
    zero = {**row("x"), "y": 0.0, "y_low": 0.0, "y_high": 0.0}
    assert markdown_cells(render(LAYOUT, [zero], "md").splitlines()[4])[2] == "0.000 [0.000, 0.000]"


def test_a_value_without_an_interval_stands_alone():
    bare = {**row("x"), "y_low": None, "y_high": None}
    assert markdown_cells(render(LAYOUT, [bare], "md").splitlines()[4])[2] == "0.500"


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
def test_the_best_row_alone_wears_a_star(kind):
    rows = [{**row(name), "best": best} for name, best in (("a1", "tie"), ("b2", "best"), ("c3", ""))]
    star = r"$\star$" if kind == "tex" else "★"
    text = render(LAYOUT, rows, kind)
    assert text.count(star) == 1
    assert text.index("a1") < text.index("b2") < text.index(star) < text.index("c3")


def test_the_memory_split_table_stars_the_best_of_each_budget():
    rows = [
        {"budget": budget, "members": n, "width": 4, "cnll": 0.5, "best": "best" if n == best else "tie"}
        for budget, best in ((1000, 2), (2000, 1))
        for n in (1, 2)
    ]
    lines = render(memory_split.table, rows, "md").splitlines()[4:8]
    assert [markdown_cells(line)[1] for line in lines] == ["1", "2 ★", "1 ★", "2"]


M = [1.0, 2, 4, 8]


def law_row(width: int, m: list[float], y: list[float]) -> dict:
    m, y = np.array(m), np.array(y)
    law = LawResult(Setting(), Along.MEMBERS, (width,), Points(m, y), fit_points(m, y))
    (row,) = power_laws.table.rows(SimpleNamespace(laws=[law]))
    return row


LAW = law_row(4, M, [0.8, 0.65, 0.58, 0.54])
NO_LAW = law_row(8, M, [0.5, 0.9, 0.4, 0.45])
NO_POINTS = law_row(9, M[:3], [0.8, 0.65, 0.58])


def law_cells(*rows) -> dict[str, dict[str, str]]:
    text = to_csv(power_laws.table, rows)
    lines = render(power_laws.table, from_csv(text), "md").splitlines()
    headings = markdown_cells(lines[2])
    cells = (dict(zip(headings, markdown_cells(line), strict=True)) for line in lines[4 : 4 + len(rows)])
    return {line["at"]: line for line in cells}


def test_a_refused_law_has_dashes_for_its_parameters_and_its_reason():
    cells = law_cells(LAW, NO_LAW, NO_POINTS)
    assert NO_LAW["a"] is not None  # in the CSV its numbers are
    for at, refused in (("width 8", NO_LAW), ("width 9", NO_POINTS)):
        assert [cells[at][name] for name in "abc"] == [DASH] * 3
        assert cells[at]["status"] == refused["status"] != "ok"
        assert cells[at]["points"] in "34"
    assert cells["width 4"]["a"].startswith(f"{LAW['a']:.3f} [")
    assert cells["width 4"]["status"] == "ok"


def test_a_refused_law_has_no_error_of_its_own_either():
    """As the table's rule says: its numbers are in the CSV and dashes here."""
    cells = law_cells(LAW, NO_LAW)
    assert cells["width 8"]["residual"] == DASH
    assert cells["width 8"]["held-out error"] == DASH
    assert cells["width 4"]["residual"] != DASH
