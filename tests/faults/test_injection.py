"""Text that tries to be more than text: in tables of every format, on the page, and on a screen."""

import csv
import html
import html.parser
import io
import json
import re
import shutil
import unicodedata
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ensembudget.cli.show import print_lines, print_rows
from ensembudget.errors import visible
from ensembudget.rendering.page import page
from ensembudget.rendering.render import from_csv, markdown, render, to_csv
from ensembudget.tables._base import Column, Row, Table
from ensembudget.verbs.report import analysis_tables

PAYLOADS = (
    # What a spreadsheet runs.
    "=cmd|'/c calc'!A0", "+1+1", "-2+3+cmd", "@SUM(A1:A9)", "\t=1+1", "\r=1+1",
    "  =HYPERLINK(\"http://x\")", "\ufeff=1+1",
    "\u200b=1+1", "\uff1d1+1", "\uff0b1", "a\",=1+1,\"b",
    # What a page runs, or obeys.
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)",
    "</td></tr></table><h1>big",
    "<!-- ", "&lt;b&gt;", "javascript:alert(1)", "<svg/onload=alert(1)>", "{{ 7 * 7 }}{% include 'x' %}",
    # What TeX runs.
    "\\input{/etc/passwd}", "\\immediate\\write18{ls}", "a & b \\\\ c", "100% of it", "\\end{tabular}",
    "^^5cinput x",
    "$x_1^2$ {a} #1 ~", "[2cm] x", "*[2cm]",
    # What Markdown makes of text.
    "[a](javascript:alert(1))", "![x](http://x.example/p.png)", "[a]: http://x.example", "a|b|c",
    "# big", "- - a",
    "*a* _b_ **c** ~~d~~", "`code` and ``` more",
    # What a screen obeys.
    "\x1b[31mred\x1b]0;title\x07", "\u202egnp.exe \u2066x\u2069\x9b2J\x00",
)  # fmt: skip
KINDS = ("csv", "html", "tex", "md")
LAYOUT = Table(
    "trial",
    "A trial",
    (
        Column("arm", "arm"),
        Column("dataset", "dataset"),
        Column("n", "n", "d"),
        Column("y", "y", ".3f", interval=True),
    ),
    rules=("One rule.",),
)
PLAIN = "harmless"
FORMULA = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"


def shown(text: str) -> str:
    """What a reader must see: text, and an escape for each character that would be obeyed unseen."""

    def one(c: str) -> str:
        turns = unicodedata.bidirectional(c) in (
            "LRE",
            "RLE",
            "PDF",
            "LRO",
            "RLO",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
        obeyed = turns or c == "\ufeff" or (unicodedata.category(c) == "Cc" and c not in "\t\n\r")
        return c.encode("unicode_escape").decode() if obeyed else c

    return "".join(map(one, text))


def words(text: str) -> str:
    return " ".join(text.split())


def rows(text: str) -> list[Row]:
    return [{"arm": text, "dataset": text, "n": 2, "y": -0.5, "y_low": -0.75, "y_high": 1e-05}]


def rendered(text: str, kind: str) -> str:
    """A table whose cells, notes and study are this text, made as a report makes it."""
    written = to_csv(LAYOUT, rows(text))
    return written if kind == "csv" else render(LAYOUT, from_csv(written), kind, [text], text)


def check_csv(text: str) -> None:
    header, cells = csv.reader(io.StringIO(rendered(text, "csv"), newline=""))
    assert header == ["arm", "dataset", "n", "y", "y_low", "y_high"]
    assert cells[2:] == ["2", "-0.5", "-0.75", "1e-05"]  # numbers are numbers, and no text
    for cell in cells[:2]:
        assert cell.removeprefix("'") == shown(text)
        assert (cell.lstrip(" \u200b\ufeff") or " ")[0] not in FORMULA


class Page(html.parser.HTMLParser):
    """Tags with the names of their attributes, in order, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment",))


def bare(page: Page) -> list[tuple[str, ...]]:
    return [one for one in page.tags if one[0] != "comment"]


def check_html(text: str) -> None:
    found, harmless = Page(rendered(text, "html")), Page(rendered(PLAIN, "html"))
    assert found.tags == harmless.tags
    assert words(found.text).count(words(shown(text))) >= 3


PRINTED = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbar{}": "|", "$-$": "-", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#",
    r"\_": "_",
    r"\{": "{", r"\}": "}",
}  # fmt: skip
TOKEN = re.compile("|".join(map(re.escape, PRINTED)) + r"|\\[A-Za-z]+|\\.|[{}&%$#^_~\\]|.", re.DOTALL)


def tex_tokens(source: str) -> list[str]:
    return TOKEN.findall(source)


def active(source: str) -> list[str]:
    """Commands and characters that TeX acts on, but for those that print a character."""
    found = (one for one in tex_tokens(source) if one not in PRINTED and one[0] in "\\&%$#^_~")
    return sorted(found)


def check_tex(text: str) -> None:
    source, harmless = rendered(text, "tex"), rendered("h" * len(shown(text)), "tex")  # as wide
    active, allowed = (
        [
            t
            for t in tex_tokens(s)
            if t not in PRINTED and not t.isalnum() and (t[0] == "\\" or t in "&%$#^_~")
        ]
        for s in (source, harmless)
    )
    assert sorted(active) == sorted(allowed)
    depth = 0
    for token in tex_tokens(source):
        depth += (token == "{") - (token == "}")
        assert depth >= 0
    assert depth == 0
    assert not {"<", "|"} & set(source)  # which plain fonts of TeX print as other characters
    assert not re.search(r"\\\\\s*[\[*]", source)  # an argument of the line break
    printed = "".join(PRINTED.get(t, t if t not in "{}" else "") for t in tex_tokens(source))
    wanted = words(shown(text))
    assert words(printed).count(wanted) >= 4  # caption, two cells, note


BLOCKS = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def check_md(text: str) -> None:
    found, harmless = BLOCKS.parse(rendered(text, "md")), BLOCKS.parse(rendered(PLAIN, "md"))
    assert [one.type for one in found] == [one.type for one in harmless]
    said = [one for one in found if one.type == "inline"]
    kinds = {child.type for one in said for child in one.children or []}
    assert kinds <= {"text", "text_special", "code_inline"}, kinds
    shown_here = [words("".join(child.content for child in one.children or [])) for one in said]
    wanted = words(shown(text))
    assert [words(one.removeprefix("'")) for one in shown_here].count(wanted) >= 2, shown_here
    if "`" not in text:  # code in a note is code, as in a rule
        assert shown_here[-1] == wanted


def check_screen(text: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        print_rows(LAYOUT, from_csv(to_csv(LAYOUT, rows(text))), columns="all")
        print_rows(LAYOUT, rows(text), "csv")
        print_rows(LAYOUT, rows(text), "json")
        print_lines([text])
    said = out.getvalue().replace("\t", " ")
    wrong = [c for c in said if unicodedata.category(c) == "Cc" and c not in "\n\r"]
    assert not wrong, said
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", said)


def test_no_payload_is_more_than_text(attacked):
    assert len(set(PAYLOADS)) == 40
    checks = {"csv": check_csv, "html": check_html, "tex": check_tex, "md": check_md}
    for text in PAYLOADS:
        for kind in KINDS:
            checks[kind](text)
        check_screen(text)
    attacked("P10", "text that tries to run, in CSV, HTML, LaTeX and Markdown", len(PAYLOADS) * len(KINDS))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A published report, to be changed."""
    return Path(shutil.copytree(Path(__file__).parents[2] / "tables" / "digits", tmp_path / "report"))


def whole_page(report: Path, text: str) -> Page:
    """The page of a report whose study, dataset, machine and notes say this."""
    manifest = json.loads((report / "manifest.json").read_text())
    manifest["study"] |= {"name": text, "description": text, "source": text}
    manifest["dataset"] |= {"name": text}
    manifest["command"] = text
    manifest["notes"] = {name: [text, *lines] for name, lines in manifest["notes"].items()}
    (report / "manifest.json").write_text(json.dumps(manifest))
    tables = [one for one in analysis_tables() if not one.csv_only and (report / f"{one.name}.csv").exists()]
    return Page(page(report, [one for one in tables if one.name in manifest["notes"]][:2], []))


def test_no_payload_is_more_than_text_on_a_page(report, tmp_path, attacked):
    kept = tmp_path / "kept.json"
    shutil.copy(report / "manifest.json", kept)
    harmless = whole_page(report, PLAIN)
    for text in PAYLOADS:
        shutil.copy(kept, report / "manifest.json")
        found = whole_page(report, text)
        assert bare(found) == bare(harmless)
        assert words(found.text).count(words(shown(text))) >= 4
    attacked("P10", "text that tries to run, on the page of a report", len(PAYLOADS))


@pytest.mark.parametrize("text", PAYLOADS)
def test_what_is_visible_is_visible_once(text):
    assert visible(visible(text)) == visible(text)
    assert visible(text.replace("\r", "")) == shown(text.replace("\r", ""))


def test_plain_text_of_any_script_stays_as_it_is():
    for text in ("größe", "中文", "עברית", "🙂", "a\tb\nc", "1.5 [0.2, 0.3]", "wide_resnet"):
        assert visible(text) == text


def test_a_name_within_a_sentence_of_markdown_is_text():
    """So the names of classes stand in the README of an exported ensemble."""
    for text in PAYLOADS:
        (_, said, _) = BLOCKS.parse(f"Classes: {markdown(text)}.")
        assert {child.type for child in said.children or []} <= {"text", "text_special"}, text
        content = "".join(child.content for child in said.children or [])
        assert words(content) == words(f"Classes: {shown(text)}.")
