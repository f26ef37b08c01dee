"""The ledger of claims: whole, published as the tables have it, the same from a store as from its report."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claims import records, selecting
from benchmarks.claims.__main__ import main, write
from benchmarks.claims.ledger import TABLE, ledger
from benchmarks.claims.records import Claims, Source, read_claims
from benchmarks.claims.reports import Tables, reported
from benchmarks.claims.statistics import STATISTICS
from ensembudget import Store, analyse, evaluate, load_study, plan_study, report
from ensembudget.catalog import TABLES
from ensembudget.rendering.render import from_csv
from helpers import THREE_PACKS, publish, trained_as

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "tables" / "claims"
CLAIMS = read_claims()
ROWS = from_csv((PUBLISHED / "claims.csv").read_text())


@pytest.mark.parametrize("module", [records, selecting])
def test_examples_run(module):
    assert doctest.testmod(module).failed == 0


def test_there_are_25_claims_at_least():
    assert len({row["id"] for row in ROWS}) >= 25


def test_no_row_is_without_an_interval_or_a_reason():
    for row in ROWS:
        whole = row["value_low"] is not None and row["value_high"] is not None and row["interval"]
        assert bool(whole) != bool(row["reason"]), row


def test_only_an_interval_gives_a_verdict():
    assert all(row["verdict"] == "undecided" for row in ROWS if row["reason"])


def test_every_value_lies_in_its_interval():
    assert all(row["value_low"] <= row["value"] <= row["value_high"] for row in ROWS if row["interval"])


def test_a_setting_says_what_was_looked_up():
    found = {(row["id"], row["study"]): row["setting"] for row in ROWS}
    assert found["split-wins-accuracy", "digits"].endswith("; budget 122,000")
    assert found["law-members-exponent", "cifar10-jpeg"].startswith("wide_resnet (depth 10), cifar10-jpeg")


def test_every_claim_has_a_row_for_each_of_its_studies():
    assert {(row["id"], row["study"]) for row in ROWS} == {
        (one.id, study) for one in CLAIMS.claims for study in one.studies
    }


@pytest.mark.parametrize("one", CLAIMS.claims, ids=lambda one: one.id)
def test_what_a_claim_reads_is_there_or_its_row_says_why_not(one):
    assert one.statistic in STATISTICS
    for study in one.studies:
        path = ROOT / "tables" / study / f"{one.table}.csv"
        mine = [row for row in ROWS if (row["id"], row["study"]) == (one.id, study)]
        if path.exists():
            columns = path.read_text().splitlines()[0].split(",")
            assert one.column in columns or all("no column" in str(row["reason"]) for row in mine), path
        else:
            assert all(row["reason"] for row in mine), path


@pytest.mark.parametrize("one", CLAIMS.claims, ids=lambda one: one.id)
def test_a_claim_names_columns_that_reports_have(one):
    """Those of a study that is not published yet too: its tables are known."""
    if one.table in TABLES:
        keys = {*one.where, *one.first, *one.second}
        named = {one.column, *one.each, *(key.removesuffix("?") for key in keys)} | {one.over} - {""}
        assert named <= set(TABLES[one.table].names)


def test_rules_fixed_before_are_those_of_studies_that_were_not_seen():
    for row in ROWS:
        assert (row["rule_fixed"] == "after") == CLAIMS.studies[row["study"]].seen


@pytest.mark.parametrize("kind", ["csv", "md", "tex", "html"])
def test_the_published_ledger_is_that_of_the_published_tables(kind, written):
    assert (written / f"claims.{kind}").read_text() == (PUBLISHED / f"claims.{kind}").read_text()


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("claims")
    write(ROOT / "tables", [], out)
    return out


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "three.toml"
    path.write_text(THREE_PACKS)
    return path


def test_a_store_gives_the_rows_that_its_report_gives(study, tmp_path):
    store, plan = Store(tmp_path / "store"), plan_study(load_study(str(study)))
    made, labels = np.random.default_rng(0), np.arange(50) % 10
    for one in plan.runs:
        publish(store, trained_as(one, made.normal(size=(50, 10)).astype(np.float32)), labels)
    report(analyse(evaluate(plan, store)), tmp_path / "published" / "three")
    claims = about(study)
    missing = reported(claims.studies, [Store(tmp_path / "empty"), store], tmp_path / "made")
    assert missing == {"elsewhere": "no store makes these tables"}
    rows = TABLE.rows(ledger(claims, Tables(tmp_path / "made", missing)))
    assert rows[:-1] == TABLE.rows(ledger(claims, Tables(tmp_path / "published")))[:-1]
    assert [row["reason"] for row in rows if row["study"] == "elsewhere"] == ["no store makes these tables"]
    assert any(row["interval"] for row in rows)
    assert all("digits, 100 images" in row["setting"] for row in rows if row["study"] == "three")


def test_members_that_no_store_has_are_a_reason(study, tmp_path):
    missing = reported(about(study).studies, [Store(tmp_path / "empty")], tmp_path / "made")
    assert missing["three"] == "no store has all members of the study"


def test_a_study_that_is_not_there_yet_is_a_reason(tmp_path):
    sources = {"map": Source(study=str(tmp_path / "map.toml"), seen=False)}
    assert "not published yet" in reported(sources, [], tmp_path)["map"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "members.csv").write_text("key\n")
    claims = about(tmp_path / "three.toml")
    reasons = [row["reason"] for row in TABLE.rows(ledger(claims, Tables(tmp_path)))]
    assert set(reasons) == {"the study is not published yet"}


def about(study: Path) -> Claims:
    """Claims of this project, asked of another study."""
    ids = ("split-wins", "split-wins-accuracy", "law-members-exponent")
    chosen = [one for one in CLAIMS.claims if one.id in ids]
    asked = [one.model_copy(update={"studies": ("three",)}) for one in chosen]
    last = chosen[0].model_copy(update={"id": "elsewhere", "studies": ("elsewhere",)})
    sources = {"three": Source(study=str(study), seen=True), "elsewhere": Source(seen=True)}
    return Claims(studies=sources, claims=(*asked, last))


@pytest.mark.parametrize("option", ["--tables", "--store"])
def test_a_folder_that_is_not_there_is_one_message(option, tmp_path, capsys):
    assert main([option, str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
