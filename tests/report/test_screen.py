"""Tables fit the screen: the important columns first, the rest named, colour where there is colour."""

import re

import pytest
from published import REPORTS, layouts, rows_of

from ensembudget.cli.show import print_lines, print_rows
from ensembudget.rendering.cells import fitted, shown
from ensembudget.tables import memory_split
from ensembudget.tables._base import Column, Table

EVERY = [(folder, table) for folder in REPORTS for table in layouts(folder)]
every_table = pytest.mark.parametrize(
    ("folder", "table"), EVERY, ids=[f"{folder.name}-{table.name}" for folder, table in EVERY]
)
CODES = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture
def printed(capsys, monkeypatch):
    """`printed(table, rows, 80)` is what a screen of 80 columns shows; `colour` says of what kind it is."""

    def show(table, rows, width=None, columns="fit", colour=None):
        for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TERM", "COLORTERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"COLUMNS": width, **(colour or {})}.items():
            if value is not None:
                monkeypatch.setenv(name, str(value))
        print_rows(table, rows, columns=columns)
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("width", [80, 120])
@every_table
def test_no_line_of_a_published_table_is_wider_than_the_screen(folder, table, width, printed):
    for line in printed(table, rows_of(folder, table), width).splitlines():
        assert len(line.rstrip()) <= width, line


@every_table
def test_no_number_is_cut_at_80_columns(folder, table, printed):
    rows = rows_of(folder, table)
    text = printed(table, rows, 80)
    assert "…" not in text
    seen = fitted(table, rows, 80)
    for at, column in enumerate(seen.columns):
        for line in seen.lines:  # words may be broken between lines, numbers and intervals may not
            whole = [line[at].text] if column.form else line[at].text.split()
            assert all(one in text for one in whole)


@every_table
def test_columns_all_has_every_column_on_a_screen_of_any_width(folder, table, printed):
    rows = rows_of(folder, table)
    text = printed(table, rows, 80, "all")
    words = set(text.split())
    for column in shown(table, rows).columns:
        assert set(column.heading.split()) <= words
    assert "More with" not in text


WIDE = Table(
    "wide",
    "A wide table",
    tuple(Column(f"c{i}", f"column {i:02d}", "d") for i in range(30)),
    summary=("c29", "c7"),
)
ROW = {f"c{i}": 10_000_000 + i for i in range(30)}


def test_the_important_columns_come_first_and_the_rest_is_named_on_one_line(printed):
    text = printed(WIDE, [ROW], 30)
    assert "10000029" in text
    assert "10000007" in text
    assert text.index("10000007") < text.index("10000029")  # in the table's own order
    (told,) = [line for line in text.splitlines() if "--columns all" in line]
    assert len(told) <= 30


def test_what_there_is_place_for_is_filled_with_the_other_columns_in_order(printed):
    text = printed(WIDE, [ROW], 55)
    assert [word for word in text.split() if word.startswith("100")] == [
        "10000000", "10000001", "10000002", "10000007", "10000029",
    ]  # fmt: skip
    (told,) = [line for line in text.splitlines() if "--columns all" in line]
    assert told.startswith("More with --columns all: column 03")


def test_where_there_is_no_screen_a_table_is_plain_text_of_at_most_120_columns(printed):
    folder, table = next((f, t) for f, t in EVERY if t is memory_split.table)
    text = printed(table, rows_of(folder, table))
    assert "\x1b" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) in range(100, 121)


ROWS = [
    {"budget": 9000, "members": n, "cnll": 0.5, "verdict": verdict, "best": best}
    for n, verdict, best in ((1, None, "worse"), (2, "better", "best"), (4, "tie", "tie"))
]


def line_with(text: str, n: str) -> str:
    return next(line for line in text.splitlines() if CODES.sub("", line).split()[1:2] == [n])


def test_the_best_row_and_its_ties_have_colours_on_a_terminal(printed):
    text = printed(memory_split.table, ROWS, 80, colour={"FORCE_COLOR": 1, "TERM": "xterm-256color"})
    assert "\x1b[1;32m" in line_with(text, "2")  # bold green
    assert "\x1b[33m" in line_with(text, "4")  # yellow
    assert not {"\x1b[1;32m", "\x1b[33m"} & set(CODES.findall(line_with(text, "1")))


def test_no_color_is_respected(printed):
    colour = {"FORCE_COLOR": 1, "TERM": "xterm-256color", "NO_COLOR": 1}
    text = printed(memory_split.table, ROWS, 80, colour=colour)
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", text)
    assert "★" in text


@pytest.mark.parametrize("text", ["[red]not markup[/red]", ":smile:", "a\tb", "[link=x]"])
def test_text_of_a_cell_is_printed_as_it_is(text, printed):
    table = Table("names", "Names", (Column("name", "name"),))
    assert text.replace("\t", " ").split()[0] in printed(table, [{"name": text}], 80)


def test_text_of_wide_characters_gets_the_place_it_takes(printed):
    table = Table("names", "Names", (Column("name", "name"), Column("n", "n", "d")))
    text = printed(table, [{"name": "\u4e2d" * 10, "n": 7}], 80)
    assert "\u4e2d" * 10 in text
    assert "…" not in text


PLAN = ("plan", "--family", "wide_resnet", "--dataset", "cifar10", "--budget", "36.8M", "--members", "1,4")


def test_a_command_fits_its_table_to_the_screen_and_shows_all_columns_on_request(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = command(*PLAN).out.splitlines()
    (told,) = [line for line in said if "More with --columns all" in line]
    rows = said[: said.index(told)]
    assert all(len(line.rstrip()) <= 80 for line in said[: said.index(told) + 1])
    assert "activations" not in " ".join(rows)
    whole = command(*PLAN, "--columns", "all").out
    assert "activations" in whole
    assert "More with" not in whole


@pytest.mark.parametrize("columns", ["fit", "all"])
def test_a_table_without_rows_is_its_title(columns, printed):
    assert printed(memory_split.table, [], 80, columns).split() == memory_split.table.summary_title.split()


def test_sentences_are_whole_where_there_is_no_screen(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_lines(["word " * 60, "another"])
    assert capsys.readouterr().out == f"{'word ' * 60}\nanother\n"
