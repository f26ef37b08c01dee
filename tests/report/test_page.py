"""The page of a report: the answer first, all of it in one file, and it works in a real browser."""

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from published import REPORTS, TABLES, figures, layouts, manifest, rows_of

from ensembudget.rendering.cells import shown
from ensembudget.rendering.page import ORDER, page, provenance
from ensembudget.tables._answer import counted, findings

DIGITS = TABLES / "digits"
CHROMIUM = shutil.which("chromium")
every_report = pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)


@functools.cache
def page_of(folder: Path) -> str:
    return page(folder, layouts(folder), figures(folder))


def text_of(source: str) -> str:
    """What a reader sees, without figures."""
    bare = re.sub(r"<(svg|style|script)\b.*?</\1>", " ", source, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", bare)).split())


@every_report
def test_a_page_needs_nothing_but_itself(folder):
    text = page_of(folder)
    assert "://" not in text
    assert not re.search(r"<(link|script|img|iframe)[^>]*(src|href)=\"(?!data:,)", text)
    assert all(one.startswith("data:") for one in re.findall(r'\bhref="([^#][^"]*)"', text))
    assert "@import" not in text


@every_report
def test_every_value_of_every_table_is_on_the_page(folder):
    text = text_of(page_of(folder))
    for table in layouts(folder):
        for line in shown(table, rows_of(folder, table)).lines:
            assert " ".join(cell.whole for cell in line) in text
    for sentences in manifest(folder)["notes"].values():
        assert all(" ".join(one.split()) in text for one in sentences)


@every_report
def test_every_figure_is_drawn_once_with_ids_of_its_own(folder):
    text = page_of(folder)
    assert text.count("<svg") == len(figures(folder))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    used = {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)}
    assert used <= set(ids)


def test_the_question_and_the_answer_stand_before_the_first_table():
    text = page_of(DIGITS)
    place = [text.index(part) for part in ("<h1>", 'class="verdict"', "<table", "Provenance</h2>")]
    assert place == sorted(place)
    rows = next(rows_of(DIGITS, one) for one in layouts(DIGITS) if one.name == "memory_split")
    assert f"{counted(findings(rows))}." in text
    assert all(one.said in text for one in findings(rows))


def test_sections_stand_in_the_order_of_a_reader():
    found = re.findall(r'<section id="(\w+)">', page_of(TABLES / "digits-modes"))
    known = [name for name in found if name in ORDER]
    assert known == [name for name in ORDER if name in known]
    assert known[0] == "memory_split"
    assert known[-1] == "costs"
    assert found[-1] == "provenance"


def test_provenance_has_study_members_versions_hardware_and_command():
    found, whole = dict(provenance(manifest(DIGITS))), manifest(DIGITS)
    assert found["command"] == whole["command"]
    assert whole["code"]["packages"]["torch"] in found["versions"]
    assert json.loads(whole["environments"][0])["device"] in found["trained on"]
    assert found["study.recipe.epochs"] == "20"
    assert found["study.budgets"] == "15.5k, 31k, 61k, 122k"
    for cell in whole["cells"]:
        assert f"<code>{cell['key'][:12]}</code>" in page_of(DIGITS)


def test_the_best_and_its_ties_are_marked_in_the_table_of_splits():
    body = page_of(DIGITS).partition('<section id="memory_split">')[2].partition("</tbody>")[0]
    rows = next(rows_of(DIGITS, one) for one in layouts(DIGITS) if one.name == "memory_split")
    marks = re.findall(r'<tr(?: class="(\w+)")?>', body)[1:]
    assert marks == [row["best"] if row["best"] in ("best", "tie") else "" for row in rows]


def test_names_from_outside_are_text_on_the_page(tmp_path):
    shutil.copytree(DIGITS, tmp_path / "report")
    path = tmp_path / "report" / "manifest.json"
    payload = "</title><script>alert(1)</script><img src=x onerror=alert(2)>"
    changed = json.loads(path.read_text())
    changed["study"] |= {"name": payload, "description": payload, "source": payload}
    changed["command"] = payload
    changed["notes"] = {name: [payload, *lines] for name, lines in changed["notes"].items()}
    path.write_text(json.dumps(changed))
    text = page(tmp_path / "report", layouts(DIGITS), figures(DIGITS))
    assert text.count("<script") == 1
    assert "<img" not in text
    assert html.escape(payload) in text


def test_a_partial_report_says_so_above_its_tables(tmp_path):
    shutil.copytree(DIGITS, tmp_path / "report")
    path = tmp_path / "report" / "manifest.json"
    changed = json.loads(path.read_text())
    said = "PARTIAL: 3 of 144 members are missing; numbers will change."
    changed["notes"] = {name: [*lines, said] for name, lines in changed["notes"].items()}
    path.write_text(json.dumps(changed))
    text = page(tmp_path / "report", layouts(DIGITS), figures(DIGITS))
    assert text.index(f'<p class="warning">{said}</p>') < text.index("<table")


# In a browser. A page loads the report in frames as wide as a screen and as a phone, and writes what it saw.

PROBE = """<!doctype html><meta charset="utf-8"><body><script>
const seen = {errors: [], widths: {}};
const wait = (width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 800; frame.src = "index.html";
  frame.onload = () => done(frame.contentWindow);
  document.body.append(frame);
});
(async () => {
  for (const width of [1280, 390]) {
    const view = await wait(width), page = view.document;
    view.addEventListener("error", (event) => seen.errors.push(event.message));
    const table = page.querySelector("#memory_split table"), heads = [...table.tHead.rows[0].cells];
    const shown = () => heads.filter((one) => view.getComputedStyle(one).display !== "none").length;
    const at = heads.findIndex((one) => one.textContent === "CNLL");
    const column = () => [...table.tBodies[0].rows].map((row) => row.cells[at].dataset.value ?? null);
    const before = shown();
    heads[at].querySelector("button").click();
    const rising = column();
    heads[at].querySelector("button").click();
    const falling = column(), sorted = heads[at].getAttribute("aria-sort");
    page.querySelector("#memory_split .more").click();
    seen.widths[width] = {
      page: page.documentElement.scrollWidth, before, after: shown(), all: heads.length,
      rising, falling, sorted, paper: view.getComputedStyle(page.body).backgroundColor,
      table: table.closest(".scroll").clientWidth,
    };
  }
  const out = document.createElement("pre");
  out.id = "seen"; out.textContent = JSON.stringify(seen);
  document.body.append(out);
})();
</script></body>"""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--virtual-time-budget=15000", "--dump-dom",
)  # fmt: skip


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def address(tmp_path):
    (tmp_path / "index.html").write_text(page_of(DIGITS))
    (tmp_path / "probe.html").write_text(PROBE)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/probe.html"
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: nothing to look at a page with")
@pytest.mark.parametrize(
    ("scheme", "paper"), [(1, "rgb(255, 255, 255)"), (0, "rgb(21, 24, 28)")], ids=["light", "dark"]
)
def test_a_browser_shows_the_page_sorts_it_and_has_no_errors(scheme, paper, address, tmp_path):
    colours = f"--blink-settings=preferredColorScheme={scheme}"
    command = [CHROMIUM, *FLAGS, colours, f"--user-data-dir={tmp_path / 'profile'}", address]
    said = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert "CONSOLE" not in said.stderr, said.stderr
    found = re.search(r'<pre id="seen">(.*?)</pre>', said.stdout, re.DOTALL)
    assert found, said.stdout[-2000:] + said.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert seen["errors"] == []
    for width, view in seen["widths"].items():
        assert view["page"] <= int(width)  # the page itself never scrolls sideways
        assert view["paper"] == paper
        assert view["before"] < view["after"] == view["all"]
        numbers = [float(one) for one in view["rising"]]
        assert numbers == sorted(numbers)
        assert [float(one) for one in view["falling"]] == sorted(numbers, reverse=True)
        assert view["sorted"] == "descending"
    phone, screen = seen["widths"]["390"], seen["widths"]["1280"]
    assert phone["before"] < screen["before"]
    assert phone["table"] <= 390
