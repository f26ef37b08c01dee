"""The whole chain on a study that trains in seconds: run, status, report, and the same again.

A study of two budgets on the digits: WRN-10 has 298 k^2 + 100 k + 10 parameters there, so 5,178 is one
network of width 4, and 11,338 one of width 6.
"""

import csv
import hashlib
import html.parser
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from ensembudget import studies
from ensembudget.executors._base import Outcome
from ensembudget.rendering.render import from_csv, render
from ensembudget.store import Store
from ensembudget.tables import memory_split, power_laws
from ensembudget.tables._answer import answer, counted, findings
from ensembudget.training.loop import Trained
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import run
from helpers import Said, command, make_site

STUDY = """
name = "tiny"
description = "two budgets on a few digits"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 150
validation_size = 50
budgets = [5178, 11338]
members = [1, 2, 4]
tolerance = 0.2
replicates = 1
pool = 2
stepping = { pack = 2 }

[recipe]
epochs = 2
batch_size = 32
crop_padding = 1
flip = false
"""
BUDGETS, SIZES = (5178, 11338), (1, 2, 4)
WIDTHS = {(5178, 1): 4, (5178, 2): 3, (5178, 4): 2, (11338, 1): 6, (11338, 2): 4, (11338, 4): 3}
POOLS = {2: 4, 3: 4, 4: 2, 6: 2}  # members of each width
PLANNED = sum(POOLS.values())
FIGURES = [f"{name}.{kind}" for name in ("memory_split", "power_laws", "plane") for kind in ("svg", "png")]
TABLES = [
    f"{name}.{kind}" for name in ("memory_split", "power_laws") for kind in ("csv", "md", "tex", "html")
]
FILES = {
    "index.html",
    "members.csv",
    "scores.csv",
    "plane.csv",
    "plane.json",
    "manifest.json",
    *TABLES,
    *FIGURES,
}


def parameters(width: int) -> int:
    """Counted by hand, layer by layer: biased convolutions, batch norms, 1 channel, 10 classes."""

    def conv(c_in: int, c_out: int, size: int = 3) -> int:
        return size * size * c_in * c_out + c_out

    def block(c_in: int, c_out: int) -> int:
        shortcut = conv(c_in, c_out, 1) if c_in != c_out else 0
        return 2 * c_in + conv(c_in, c_out) + 2 * c_out + conv(c_out, c_out) + shortcut

    k = width
    stages = block(k, k) + block(k, 2 * k) + block(2 * k, 4 * k)
    return conv(1, k) + stages + 2 * 4 * k + (4 * k * 10 + 10)


class Place(NamedTuple):
    """A study and a store of its own."""

    study: Path
    store: Path

    def __call__(self, verb: str, *arguments) -> Said:
        return command(verb, self.study, "--store", self.store, *arguments)

    def train(self) -> Said:
        return self("run", "--executor", "serial")

    def report(self, out: Path, *arguments) -> Said:
        return self("report", "--out", out, *arguments)

    def member(self, width: int, seed: int) -> Path:
        planned = plan_study(studies.load_study(self.study))
        key = next(r.key for r in planned.runs if (r.cell.width, r.seed) == (width, seed))
        return self.store / "members" / key[:2] / key


def a_study(folder: Path, old: str = "", new: str = "") -> Place:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(STUDY.replace(old, new) if old else STUDY)
    return Place(folder / "tiny.toml", folder / "store")


@pytest.fixture(scope="module")
def first(tmp_path_factory, cache) -> tuple[Place, Said, Said, Path]:
    """The study once through: where it is, what `run` and `report` said, and the report's folder."""
    folder = tmp_path_factory.mktemp("flow")
    place = a_study(folder)
    trained = place.train()
    return place, trained, place.report(folder / "report"), folder / "report"


@pytest.fixture
def trained(first, tmp_path) -> Place:
    """The trained study in a place of its own, to be damaged."""
    shutil.copytree(first[0].study.parent, tmp_path / "copy")
    return Place(tmp_path / "copy" / "tiny.toml", tmp_path / "copy" / "store")


@pytest.fixture
def place(tmp_path) -> Place:
    """The study, not trained."""
    return a_study(tmp_path / "new")


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def times(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def to_train(said: Said) -> str:
    """What `status` says in its last line."""
    return said.out.splitlines()[-1]


def test_a_run_trains_every_member_and_says_so(first):
    place, trained, _, _ = first
    assert trained.code == 0, trained
    assert trained.out == ""
    assert f"tiny: {PLANNED} members" in trained.err
    assert len(list((place.store / "members").glob("*/*"))) == PLANNED


def test_progress_is_reported_with_an_end(first):
    assert f"tiny: {PLANNED}/{PLANNED} members, 100%" in first[1].err


def test_status_of_a_trained_study_has_nothing_left(first):
    said = first[0]("status")
    assert (said.code, said.err) == (0, "")
    assert to_train(said) == f"0 of {PLANNED} members to train; time left: none."
    for width, members in POOLS.items():
        line = next(line.split() for line in said.out.splitlines() if line.split()[1:2] == [str(width)])
        assert line[3:7] == [str(members), str(members), "0", "0"]


def test_a_second_run_trains_nothing_and_leaves_every_file_as_it_was(trained):
    digests, moments = files(trained.store), times(trained.store)
    said = trained.train()
    assert said.code == 0
    assert "tiny: nothing" in said.err
    assert files(trained.store) == digests
    assert times(trained.store) == moments


def test_a_report_has_every_file(first):
    _, _, said, out = first
    assert (said.code, said.err) == (0, "")
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.stat().st_size > 100 for path in out.iterdir())


def test_a_second_report_is_the_same_to_the_byte(first, tmp_path):
    place, _, _, out = first
    assert place.report(tmp_path / "again").code == 0
    assert files(tmp_path / "again") == files(out)
    assert place.report(tmp_path / "again").code == 0  # and over what is there
    assert files(tmp_path / "again") == files(out)


def test_a_report_needs_neither_dataset_nor_training(first, tmp_path):
    """The package that the dataset comes with cannot be imported, and nothing is cached."""
    site = make_site(tmp_path / "site")
    (site.packages / "sklearn.py").write_text("raise ImportError('the dataset was read')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "empty"))
        asked = (first[0].study, "--store", first[0].store)
        assert site("run", *asked).code == 1
        assert site("report", *asked).code == 0
        assert site("status", *asked).code == 0


def test_the_memory_split_table_has_every_budget_and_size(first):
    table = rows(first[3] / "memory_split.csv")
    assert {(int(row["budget"]), int(row["members"])): int(row["width"]) for row in table} == WIDTHS
    for row in table:
        n, width, budget = int(row["members"]), int(row["width"]), int(row["budget"])
        assert int(row["parameters_total"]) == n * parameters(width)
        assert float(row["error_percent"]) == pytest.approx(100 * (n * parameters(width) / budget - 1))
        for name in ("accuracy", "nll", "cnll"):
            assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
        assert (row["difference"] == "") == (n == 1)
        if n > 1:
            assert float(row["difference_low"]) <= float(row["difference"]) <= float(row["difference_high"])
            touches_zero = float(row["difference_low"]) <= 0 <= float(row["difference_high"])
            assert (row["verdict"] == "tie") == touches_zero
    for budget in BUDGETS:
        here = [row for row in table if int(row["budget"]) == budget]
        cnll = [float(row["cnll"]) for row in here]
        assert [row["best"] == "best" for row in here] == [value == min(cnll) for value in cnll]
        assert sum(float(row["frequency_best"]) for row in here) == pytest.approx(1)
        for row in here[1:]:
            difference = float(row["cnll"]) - float(here[0]["cnll"])
            assert float(row["difference"]) == pytest.approx(difference, abs=1e-12)


def test_every_other_table_has_its_columns_and_rows(first):
    out = first[3]
    table = rows(out / "members.csv")
    columns = ("key", "family", "width", "parameters", "seed", "status", "nll", "cnll", "accuracy", "seconds")
    assert set(columns) <= set(table[0])
    assert len({row["key"] for row in table}) == len(table) == PLANNED
    for row in table:
        assert int(row["parameters"]) == parameters(int(row["width"]))
        assert row["status"] == "done"

    columns = ("members", "parameters_total", "nll", "cnll", "temperature", "accuracy", "brier", "ece")
    table = rows(out / "scores.csv")
    assert {"cell", "replicate", "disagreement", *columns} <= set(table[0])
    ensembles = {(int(r["width"]), int(r["members"]), int(r["replicate"])) for r in table}
    wanted = {(w, n, i) for w, pool in POOLS.items() for n in range(1, pool + 1) for i in range(pool // n)}
    assert ensembles == wanted
    assert len(table) == len(wanted)

    table = rows(out / "plane.csv")
    assert list(table[0])[:4] == ["members", "width", "parameters", "cnll"]
    plane = {(int(row["width"]), int(row["members"])) for row in table}
    assert plane == {(w, n) for w, n, _ in wanted}

    table = rows(out / "power_laws.csv")
    ends = [f"{name}{end}" for name in "abc" for end in ("", "_low", "_high")]
    assert {"along", "at", "residual", "points", "status", "held_out_error", *ends} <= set(table[0])
    assert {(row["along"], row["at"], int(row["points"])) for row in table} == {
        *(("members", f"width {w}", pool) for w, pool in POOLS.items()),
        *(("width", f"n {n}", sum(pool >= n for pool in POOLS.values())) for n in SIZES),
        ("budget", "best n", len(BUDGETS)),
    }
    assert all(row["status"] != "ok" for row in table if int(row["points"]) < 4)


def cross_fitted(logits, labels):
    """CNLL of an ensemble by plain NumPy, its temperature by SciPy's bounded search in log T."""
    average = logsumexp(log_softmax(logits.astype(np.float64), -1), 0) - np.log(len(logits))
    count = len(labels)

    def loss(log_t, some):
        return -log_softmax(average[some] * np.exp(-log_t), -1)[np.arange(len(some)), labels[some]]

    total = np.zeros(count)
    for repeat in range(5):
        order = np.random.default_rng([0, repeat]).permutation(count)
        halves = order[: (count + 1) // 2], order[(count + 1) // 2 :]
        for fit, score in (halves, halves[::-1]):
            found = minimize_scalar(
                lambda t, fit=fit: loss(t, fit).mean(), bounds=(-6.9, 6.9), method="bounded",
                options={"xatol": 1e-10},
            )  # fmt: skip
            total[score] += loss(found.x, score) / 5
    return total.mean()


@pytest.mark.parametrize(("budget", "size"), [(5178, 4), (11338, 2), (5178, 1)])
def test_a_row_follows_from_the_stored_logits_alone(budget, size, first):
    place, width = first[0], WIDTHS[budget, size]
    (row,) = (
        row
        for row in rows(first[3] / "memory_split.csv")
        if (int(row["budget"]), int(row["members"])) == (budget, size)
    )
    store, planned = Store(place.store), plan_study(studies.load_study(place.study))
    found = [store.read(r.key) for r in planned.runs if r.cell.width == width]
    groups = [found[i : i + size] for i in range(0, len(found) - size + 1, size)]
    assert int(row["groups"]) == len(groups) == POOLS[width] // size
    labels = found[0].test_labels
    assert len(labels) == 797
    logits = [np.stack([one.test_logits for one in group]) for group in groups]
    expected = np.mean([cross_fitted(some, labels) for some in logits])
    assert float(row["cnll"]) == pytest.approx(expected, abs=1e-7)
    averages = [logsumexp(log_softmax(some.astype(float), -1), 0) - np.log(size) for some in logits]
    right = np.mean([(average.argmax(1) == labels).mean() for average in averages])
    assert float(row["accuracy"]) == pytest.approx(right, abs=1e-12)


def test_the_report_prints_its_tables_and_a_verdict_a_budget(first):
    _, _, said, out = first
    for budget in BUDGETS:
        best = next(
            row
            for row in rows(out / "memory_split.csv")
            if int(row["budget"]) == budget and row["best"] == "best"
        )
        sentence = f"At {budget:,} parameters the lowest CNLL is that of n = {best['members']}"
        assert sentence in said.out
        for kind in ("md", "html"):
            assert sentence in (out / f"memory_split.{kind}").read_text()
        assert sentence in (out / "memory_split.tex").read_text().replace("\\", "")
    assert "Power laws" in said.out
    assert str(out) in said.out
    # The last word is the answer, and the page of the report has it too.
    table = from_csv((out / "memory_split.csv").read_text())
    assert said.out.splitlines()[-1] == answer(table)
    assert f"{counted(findings(table))}." in (out / "index.html").read_text()
    assert "nan" not in said.out.lower()


class Cells(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


def test_the_renderings_of_a_table_say_the_same(first):
    out = first[3]
    for name in ("memory_split", "power_laws"):
        in_html = [row for row in Cells((out / f"{name}.html").read_text()).rows if row]
        lines = [line for line in (out / f"{name}.md").read_text().splitlines() if line.startswith("|")]
        in_md = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert in_md[0] == in_html[0]
        assert in_md[2:] == in_html[1:]
        assert len(in_html) - 1 == len(rows(out / f"{name}.csv"))


@pytest.mark.parametrize("layout", [memory_split.table, power_laws.table], ids=lambda layout: layout.name)
def test_a_report_renders_again_from_its_csv_and_manifest(layout, first):
    out = first[3]
    notes = json.loads((out / "manifest.json").read_text())["notes"][layout.name]
    table = from_csv((out / f"{layout.name}.csv").read_text())
    for kind in ("md", "tex", "html"):
        assert render(layout, table, kind, notes, "tiny") == (out / f"{layout.name}.{kind}").read_text()


def test_the_manifest_says_where_every_number_comes_from(first):
    place, _, _, out = first
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["study"]["name"] == "tiny"
    assert manifest["exclusions"] == {"diverged": {}, "missing": []}
    store = Store(place.store)
    listed = {key: digest for cell in manifest["cells"] for key, digest in cell["members"].items()}
    assert len(listed) == PLANNED
    assert all(store.read(key).digest == digest for key, digest in listed.items())
    assert {"torch", "numpy", "ensembudget"} <= set(manifest["code"]["packages"])
    assert "command" in manifest
    assert str(Path.home()) not in (out / "manifest.json").read_text()
    assert str(place.store) not in (out / "manifest.json").read_text()


def test_costs_are_joined_to_their_splits(first, tmp_path):
    lines = ["budget,members,inference_ms_batch_1", *(f"{b},{n},{b / 1000 + n}" for b, n in WIDTHS)]
    (tmp_path / "costs.csv").write_text("\n".join(lines) + "\n")
    said = first[0].report(tmp_path / "report", "--costs", tmp_path / "costs.csv")
    assert said.code == 0, said
    for row in rows(tmp_path / "report" / "memory_split.csv"):
        expected = int(row["budget"]) / 1000 + int(row["members"])
        assert float(row["inference_ms_batch_1"]) == pytest.approx(expected)


def test_a_cost_that_was_not_measured_is_no_number_and_has_no_ratio(first, tmp_path):
    """An empty cell used to give a ratio of 0, or 900 where the wide network's was empty."""
    places = list(WIDTHS)
    wide, thin = places[0], next(place for place in places if place[1] > 1)
    for empty in (wide, thin):
        costs = {(b, n): "" if (b, n) == empty else "900" for b, n in places}
        lines = ["budget,members,train_step_ms", *(f"{b},{n},{v}" for (b, n), v in costs.items())]
        (tmp_path / "costs.csv").write_text("\n".join(lines) + "\n")
        assert first[0].report(tmp_path / "report", "--costs", tmp_path / "costs.csv").code == 0
        for row in rows(tmp_path / "report" / "memory_split.csv"):
            place = int(row["budget"]), int(row["members"])
            assert row["train_step_ms"] == ("" if place == empty else "900.0")
            judged = empty not in (place, (place[0], 1))
            assert row["train_step_ratio"] == ("1.0" if judged else "")


@pytest.mark.parametrize("content", [None, "budget,n\n1,2\n", "budget,members,x\nlots,2,3\n", ""])
def test_costs_that_cannot_be_read_are_refused(content, first, tmp_path):
    path = tmp_path / "costs.csv"
    if content is not None:
        path.write_text(content)
    said = first[0].report(tmp_path / "report", "--costs", path)
    assert (said.code, said.out) == (2, "")
    assert "costs" in said.err
    assert str(path) in said.err
    assert not (tmp_path / "report").exists()


def test_a_report_into_a_folder_that_cannot_be_is_refused(first, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "report", tmp_path / "file"):
        said = first[0].report(out)
        assert (said.code, said.out) == (2, "")
        assert str(out) in said.err
        assert "--out" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_dry_run_trains_nothing(place):
    said = place("run", "--dry-run")
    assert said.code == 0
    assert all("timing a few steps of width" in line for line in said.err.splitlines())
    assert f"{PLANNED} members planned, 0 in the store, {PLANNED} to train" in said.out
    assert not list(place.store.rglob("members/*/*"))


def test_a_dry_run_can_be_read_by_a_program(place):
    found = json.loads(place("run", "--dry-run", "--format", "json").out)
    (work,) = found["work"]
    assert (work["planned"], work["stored"], work["to_train"], work["to_round"]) == (PLANNED, 0, PLANNED, 0)
    assert 0 < max(row["training_seconds"] for row in found["plan"]) <= work["seconds"] * PLANNED
    lines = place("run", "--dry-run", "--format", "csv").out.splitlines()
    assert len(lines) == 1 + len(found["plan"])
    refused = place("run", "--format", "json")
    assert (refused.code, "--format json is for --dry-run" in refused.err) == (2, True)
    assert not list(place.store.rglob("members/*/*"))


def test_one_missing_member_is_told_from_a_whole_result(trained, tmp_path):
    shutil.rmtree(trained.member(3, 1))
    assert to_train(trained("status")).startswith(f"1 of {PLANNED} members to train")

    said = trained.report(tmp_path / "report")
    assert (said.code, said.out) == (3, "")
    assert f"lacks 1 of {PLANNED} members" in said.err
    assert not (tmp_path / "report").exists()

    said = trained.report(tmp_path / "report", "--allow-partial")
    assert said.code == 0, said
    for kind in ("md", "tex", "html"):
        for table in ("memory_split", "power_laws"):
            text = (tmp_path / "report" / f"{table}.{kind}").read_text()
            assert f"PARTIAL: 1 of {PLANNED}" in text
    assert "PARTIAL" in said.out
    manifest = json.loads((tmp_path / "report" / "manifest.json").read_text())
    assert manifest["exclusions"]["missing"] == [trained.member(3, 1).name]


def test_a_split_without_enough_members_has_dashes_in_a_partial_report(trained, tmp_path):
    shutil.rmtree(trained.member(3, 1))
    assert trained.report(tmp_path / "report", "--allow-partial").code == 0
    row = next(
        row
        for row in rows(tmp_path / "report" / "memory_split.csv")
        if (row["budget"], row["members"]) == ("11338", "4")
    )
    assert row["cnll"] == row["cnll_low"] == row["difference"] == row["frequency_best"] == row["best"] == ""
    assert row["verdict"] == "3 members only"
    line = next(
        line
        for line in (tmp_path / "report" / "memory_split.md").read_text().splitlines()
        if "3 members only" in line
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells.count("\N{EN DASH}") >= 5
    assert not {"0", "0.0000", "+0.0000", "nan"} & set(cells)
    assert "never zero" in (tmp_path / "report" / "memory_split.md").read_text()


def test_no_difference_from_the_wide_network_is_given_where_that_is_missing(trained, tmp_path):
    for seed in range(POOLS[6]):
        shutil.rmtree(trained.member(6, seed))
    said = trained.report(tmp_path / "report", "--allow-partial")
    assert said.code == 0, said
    here = [row for row in rows(tmp_path / "report" / "memory_split.csv") if row["budget"] == "11338"]
    assert [row["members"] for row in here if row["cnll"]] == ["2", "4"]
    assert [row["difference"] for row in here] == ["", "", ""]
    verdict = next(line for line in said.out.splitlines() if line.startswith("At 11,338"))
    assert "from the wide network" not in verdict


def test_a_run_trains_exactly_the_pack_that_is_missing(trained):
    gone = trained.member(3, 1)
    before = files(gone)
    shutil.rmtree(gone)
    moments = times(trained.store / "members")
    assert "1 to train" in trained("run", "--dry-run").out
    said = trained.train()
    assert said.code == 0
    after = times(trained.store / "members")
    assert {path for path in after if path not in moments} == {
        f"{gone.parent.name}/{gone.name}/{name}" for name in ("member.json", "logits.safetensors")
    }
    assert {path: after[path] for path in moments} == moments
    # The member is the one that was there: trained beside the same others, from its own streams.
    assert files(gone)["logits.safetensors"] == before["logits.safetensors"]


def test_members_that_were_there_are_no_outcome_of_a_run(trained):
    """As the docstring of `run` has it; seed 0 of the pack lies in the store and is not trained now."""
    gone = trained.member(3, 1)
    shutil.rmtree(gone)
    planned = plan_study(studies.load_study(trained.study))
    outcomes = run(planned, Store(trained.store), executor="serial")
    assert outcomes == [Outcome(key=gone.name, status="done")]


def test_twins_are_refused(trained, tmp_path):
    """Two members of one width with the same logits, each published whole under its own key."""
    store, planned = Store(trained.store), plan_study(studies.load_study(trained.study))
    one, other = (r for r in planned.runs if r.cell.width == 4)
    folders = [trained.member(4, seed) for seed in (0, 1)]
    logits = store.read(one.key)
    shutil.rmtree(folders[1])
    copy = Trained(
        run=other,
        diverged_at=None,
        train_loss=logits.train_loss,
        validation_logits=logits.validation_logits,
        test_logits=logits.test_logits,
        weights=None,
        parameters=logits.member.parameters,
        seconds=1.0,
    )
    labels = logits.validation_labels, logits.test_labels
    assert store.publish(copy, labels, logits.member.environment)
    said = trained.report(tmp_path / "report")
    assert (said.code, said.out) == (2, "")
    assert "members 0 and 1 of width 4 have the same logits" in said.err
    assert not (tmp_path / "report").exists()


def test_a_damaged_member_is_named_then_trained_anew_to_the_same_logits(trained, tmp_path):
    folder = trained.member(2, 3)
    before = files(folder)
    content = bytearray((folder / "logits.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "logits.safetensors").write_bytes(content)
    said = trained.report(tmp_path / "report")
    assert (said.code, said.out) == (2, "")
    assert folder.name in said.err
    assert "quarantine" in said.err
    assert trained.train().code == 0
    assert files(folder)["logits.safetensors"] == before["logits.safetensors"]
    assert trained.report(tmp_path / "report").code == 0


IMPATIENT = """
from pathlib import Path
from ensembudget.modes.bn_wd import mode as usual
from ensembudget.modes._base import Mode

def optimizer(network, recipe, invariant):
    width = len(next(network.parameters())) // invariant.members
    if width == 3 and not Path("patience").exists():
        raise RuntimeError("out of patience\\nwith width 3")
    return usual.optimizer(network, recipe, invariant)

mode = Mode(optimizer, usual.effective, usual.faults, usual.norm)
"""


def test_an_exception_in_training_is_exit_1_and_the_same_command_resumes(tmp_path, folder, install):
    install("short_tempered", modes={"impatient": IMPATIENT})
    study = a_study(tmp_path, "[recipe]", "mode = 'impatient'\n[recipe]").study
    said = command("run", study, "--executor", "serial")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "4 failed: RuntimeError: out of patience" in said.err
    assert f"tiny: {PLANNED - 4} members" in said.err
    assert "100%" in said.err  # nothing of the run is left, although some of it failed
    status = command("status", study)
    assert status.code == 0
    assert "failed: RuntimeError: out of patience" in status.out
    assert to_train(status).startswith(f"4 of {PLANNED} members to train; time left: about")
    line = next(line.split() for line in status.out.splitlines() if line.split()[1:2] == ["3"])
    assert line[3:7] == ["4", "0", "0", "4"]

    (folder / "patience").touch()
    assert command("run", study, "--executor", "serial").code == 0
    status = command("status", study)
    assert "patience" not in status.out
    assert to_train(status) == f"0 of {PLANNED} members to train; time left: none."


INTERRUPTED = """
import os, signal
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    marker = Path("packs")
    begun = int(marker.read_text()) if marker.exists() else 0
    marker.write_text(str(begun + 1))
    if begun == 1:
        os.kill(os.getpid(), signal.SIGINT)
    return network

way = Way(forward)
"""


def test_an_interrupted_run_is_exit_130_and_the_same_command_resumes(first, tmp_path):
    """Ctrl-C as the second pack begins."""
    site = make_site(tmp_path / "site")
    site.install("ways", "interrupted", "interrupted", INTERRUPTED)
    place = a_study(tmp_path, "pack = 2", 'pack = 2, way = "interrupted"')
    ask = ("run", place.study, "--store", place.store, "--executor", "serial", "--threads", 1)
    said = site(*ask)
    assert said.code == 130
    assert "Traceback" not in said.err
    assert "rerun the same command to resume" in said.err
    moments = times(place.store / "members")
    assert len(moments) == 2 * 2  # two files a member
    status = site("status", place.study, "--store", place.store)
    assert to_train(status).startswith(f"{PLANNED - 2} of {PLANNED} members to train")

    said = site(*ask)
    assert said.code == 0
    assert f"tiny: {PLANNED - 2} members" in said.err
    after = times(place.store / "members")
    assert {path: after[path] for path in moments} == moments

    def logits(store: Path) -> dict[str, str]:
        return {k: v for k, v in files(store / "members").items() if k.endswith("logits.safetensors")}

    # An interruption leaves no trace in the numbers.
    assert logits(place.store) == logits(first[0].store)


DIVERGING = ("[recipe]", "[recipe]\nlearning_rate = 1e9\nweight_decay = 1.0\nnormalisation = 'dataset'")


@pytest.fixture(scope="module")
def diverged(tmp_path_factory, cache) -> tuple[Place, Said]:
    place = a_study(tmp_path_factory.mktemp("diverged"), *DIVERGING)
    return place, place.train()


def test_members_that_diverge_are_done_and_counted(diverged):
    place, said = diverged
    assert said.code == 0, said
    assert f"{PLANNED} of them diverged" in said.err
    status = place("status")
    assert to_train(status) == f"0 of {PLANNED} members to train; time left: none."
    for width, members in POOLS.items():
        line = next(line.split() for line in status.out.splitlines() if line.split()[1:2] == [str(width)])
        assert line[3:7] == [str(members), "0", str(members), "0"]


def test_a_run_whose_members_diverge_comes_to_its_end(diverged):
    assert f"{PLANNED}/{PLANNED} members, 100%" in diverged[1].err


def test_members_that_diverged_are_not_trained_again(diverged):
    assert "tiny: nothing" in diverged[0].train().err


def test_a_report_on_nothing_but_diverged_members_says_so(diverged, tmp_path):
    said = diverged[0].report(tmp_path / "report")
    assert said.code == 0, said
    table = rows(tmp_path / "report" / "members.csv")
    assert [row["status"] for row in table] == ["diverged"] * PLANNED
    assert all(int(row["diverged_at"]) >= 0 and row["cnll"] == "" for row in table)
    for row in rows(tmp_path / "report" / "memory_split.csv"):
        assert row["verdict"] == "0 members only"
        assert not row.get("cnll")
    text = (tmp_path / "report" / "memory_split.md").read_text()
    assert f"{PLANNED} members planned, 0 done, {PLANNED} diverged" in text


def test_a_diverged_member_is_counted_beside_those_that_are_scored(trained, diverged, tmp_path):
    """One of the four members of width 3 is put in as diverged; the other three are scored."""
    store, planned = Store(trained.store), plan_study(studies.load_study(trained.study))
    lost = [r for r in planned.runs if r.cell.width == 3][2]
    was = store.read(lost.key)
    shutil.rmtree(trained.member(3, 2))
    broken = np.full_like(was.test_logits, np.nan)
    empty = np.full_like(was.validation_logits, np.nan)
    gone = Trained(lost, 7, was.train_loss * np.float32(np.nan), empty, broken, None, parameters(3), 1.0)
    assert store.publish(gone, (was.validation_labels, was.test_labels), was.member.environment)
    said = trained.report(tmp_path / "report")
    assert said.code == 0, said  # not partial: nothing is missing
    out = tmp_path / "report"
    table = [row for row in rows(out / "members.csv") if row["width"] == "3"]
    assert [row["status"] for row in table] == ["done", "done", "diverged", "done"]
    assert table[2]["diverged_at"] == "7"
    assert table[2]["cnll"] == table[2]["accuracy"] == ""
    assert json.loads((out / "manifest.json").read_text())["exclusions"]["diverged"] == {lost.key: 7}
    splits = {(int(r["budget"]), int(r["members"])): r for r in rows(out / "memory_split.csv")}
    assert splits[5178, 2]["groups"] == "1"
    assert splits[11338, 4]["verdict"] == "3 members only"
    assert "1 diverged" in (out / "memory_split.md").read_text()
    assert "PARTIAL" not in (out / "memory_split.md").read_text()
