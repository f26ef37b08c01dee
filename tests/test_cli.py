"""The command line, in process: what it refuses and how, what it prints, and nothing else."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from PIL import Image
from scipy.special import log_softmax, logsumexp

from ensembudget import recipes, studies
from ensembudget.catalog import BUDGETS, DATASETS, EXECUTORS, FAMILIES, LAWS, MODES
from ensembudget.cli.parser import build_parser
from ensembudget.records import PlannedCell

VERBS = ("quickstart", "ls", "plan", "run", "status", "report", "evaluate", "fit")

TINY = """
name = "tiny"
description = "a study that a test can afford"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 60
budgets = ["5178"]
members = [1]
pool = 2

[recipe]
epochs = 1
batch_size = 32
"""
PLAN = ("plan", "--family", "wide_resnet", "--depth", "10", "--dataset", "digits", "--budget", "10k")


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def parquet(folder: Path, images: list[bytes], labels: list[int], names: list[str] | None = None) -> None:
    """The hub's layout; with names of classes, as its own metadata has them."""
    folder.mkdir()
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "image": pa.array([{"bytes": b, "path": None} for b in images], struct),
            "label": pa.array(labels, pa.int64()),
        }
    )
    if names:
        features = {"info": {"features": {"label": {"names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    for split in ("train", "test"):
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


def tensors(path: Path, **arrays) -> None:
    path.write_bytes(safetensors.numpy.save(arrays))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """Everything bad that a case below names, in one folder that stays as it is."""
    root = tmp_path_factory.mktemp("inputs")
    (root / "file").write_text("a regular file\n")
    (root / "empty").mkdir()
    (root / "one_class" / "cat").mkdir(parents=True)
    for seed in range(3):
        (root / "one_class" / "cat" / f"{seed}.png").write_bytes(png(seed))
    images = [png(seed) for seed in range(4)]
    parquet(root / "truncated", [images[0], images[1][:80], *images[2:]], [0, 1, 0, 1])
    parquet(root / "out_of_range", images, [0, 1, 7, 1], ["cat", "dog"])
    parquet(root / "negative", images, [0, 1, -3, 1])
    parquet(root / "same_label", images, [0, 0, 0, 0])

    logits = np.random.default_rng(0).normal(size=(3, 8, 4)).astype(np.float32)
    labels = np.arange(8) % 4
    broken = logits.copy()
    broken[2, 5, 1] = np.nan
    tensors(root / "nan.safetensors", logits=broken, labels=labels)
    tensors(root / "short.safetensors", logits=logits, labels=labels[:7])
    tensors(root / "flat.safetensors", logits=logits[0], labels=labels)
    tensors(root / "label9.safetensors", logits=logits, labels=np.where(np.arange(8) == 6, 9, labels))
    tensors(root / "no_labels.safetensors", logits=logits, extra=labels)
    tensors(root / "good.safetensors", logits=logits, labels=labels)
    (root / "points.csv").write_text("members,cnll\n1,0.8\n2,0.65\n4,0.58\n8,0.54\n")
    (root / "words.csv").write_text("members,cnll\n1,low\n2,high\n")
    (root / "twice.csv").write_text("members,cnll\n1,0.8\n1,0.7\n2,0.6\n4,0.5\n")
    (root / "gap.csv").write_text("members,cnll\n1,0.8\n2,\n4,0.6\n8,0.5\n")
    (root / "below.csv").write_text("members,cnll\n1,0.8\n2,-0.25\n4,0.6\n8,0.5\n")
    (root / "ragged.csv").write_text("members,cnll\n1,0.8\n2,0.7,3,4\n")
    (root / "picture.csv").write_bytes(png(0))
    (root / "nothing.csv").write_bytes(b"")

    def study(file: str, /, **changes: str) -> None:
        text = TINY
        for old, new in changes.items():
            line = next(line for line in TINY.splitlines() if line.startswith(f"{old} ="))
            text = text.replace(line, new)
        (root / f"{file}.toml").write_text(text)

    study("tiny")
    study("misspelt", train_size="train_sise = 60")
    study("types", train_size='train_size = "many"', members="members = 4")
    study("nested", epochs='epochs = "few"', batch_size="batchsize = 32")
    study("names", family='family = "wide_resnt"', dataset='dataset = "digts"', budgets='budgets = ["12 Q"]')
    study(
        "everything",
        family='family = "wide_resnt"',
        train_size="train_sise = 60",
        members='members = "4"',
        budgets='budgets = ["12 Q"]',
    )
    study("depth", options="options = { depth = 11 }")
    study("too_many_images", train_size="train_size = 1001")
    study("too_many_held_out", train_size="train_size = 900\nvalidation_size = 200")
    study("all_held_out", train_size="validation_size = 1000")
    study("too_small", budgets='budgets = ["1k", "2k"]', members="members = [1, 16]")
    study("too_many", members="members = [1000000000]")
    study("zero_width", members="members = [1]\nmultiple_of = 0")
    study("missing_data", dataset=f"dataset = 'folder:{root / 'nowhere'}'")
    study("empty_data", dataset=f"dataset = 'parquet:{root / 'empty'}'")
    study("truncated_data", dataset=f"dataset = 'parquet:{root / 'truncated'}'")
    study("outside", name='name = "../outside"')
    (root / "not_toml.toml").write_text("name = ")
    (root / "latin.toml").write_bytes("name = 'größe'".encode("latin-1"))

    headers = {"bare": '{"format": 1}', "newer": '{"format": 99}', "no_store": "hello", "listed": "[1]"}
    for name, header in headers.items():
        (root / name).mkdir()
        (root / name / "store.json").write_text(header)
    return root


class Case(NamedTuple):
    arguments: str  # {} is the folder of inputs
    words: tuple[str, ...]  # the field, the value, what would do
    code: int = 2


def plan_case(rest: str, *words: str) -> Case:
    """A change to a good plan: the last of two equal flags wins."""
    return Case(f"{shlex.join(PLAN)} {rest}", words)


CASES = {
    # The budget and what it is spent on.
    "budget too small for n members": plan_case(
        "--members 64", "10,000", "64 members", "width 1", "408", "26,112", "at most 24 members"
    ),
    "budget too small for one member": plan_case(
        "--budget 100 --members 1", "100", "408", "a budget of at least 408"
    ),
    "width below 1": plan_case("--multiple-of 0", "multiple_of", "0", "below 1"),
    "negative width": plan_case("--multiple-of -8", "multiple_of", "-8"),
    "width that is no number": plan_case("--multiple-of eight", "--multiple-of", "eight"),
    "steps wider than anything": plan_case(
        "--members 1 --multiple-of 10000000000", "10,000,000,000", "65,536"
    ),
    "steps wider than the widest": plan_case(
        "--budget 1e18 --members 1 --multiple-of 70000", "70,000", "65,536"
    ),
    "1e9 members": plan_case("--members 1e9", "1,000,000,000 members", "at most 24 members"),
    "no members": plan_case("--members 0", "--members", "'0'", "at least 1"),
    "half a member": plan_case("--members 1,2.5", "--members", "2.5", "whole"),
    "members that are no number": plan_case("--members 1,two", "--members", "two"),
    "infinitely many members": plan_case("--members inf", "--members", "inf"),
    "members that are nan": plan_case("--members nan", "--members", "nan"),
    "an empty list of members": plan_case("--members ''", "--members", "''"),
    "budget with an unknown unit": plan_case("--budget '12 Q'", "budget", "12 Q", "'Q'", "36.8M"),
    "budget that is no number": plan_case("--budget lots", "budget", "lots", "36.8M"),
    "budget of nothing": plan_case("--budget 0", "budget", "'0'", "at least 1"),
    "negative budget": plan_case("--budget=-5M", "budget", "-5M"),
    "endless budget": plan_case("--budget 1e400", "budget", "1e400"),
    "budget above all widths": plan_case("--budget 1e18 --members 1", "65,536", "1,000,000,000,000,000,000"),
    "bytes where FLOP are counted": plan_case("--budget 40MB --budget-kind flops", "40MB", "flops", "bytes"),
    "unknown kind of budget": plan_case("--budget-kind parametres", "parametres", "'parameters'"),
    "unknown dtype": plan_case("--dtype float31", "--dtype", "float31"),
    "unknown family": plan_case("--family wide_resnt", "family", "wide_resnt", "Did you mean 'wide_resnet'?"),
    "unknown dataset": plan_case("--dataset digts", "dataset", "digts", "Did you mean 'digits'?"),
    "depth that is not 6n+4": plan_case("--depth 11", "depth", "11", "6n+4", "10 or 16"),
    "depth below the least": plan_case("--depth -2", "depth", "-2", "10"),
    "another family's depth": plan_case("--family vgg --depth 28", "depth", "28", "16"),
    "option the family lacks": plan_case("--batch-norm", "wide_resnet", "batch_norm", "depth"),
    # Data.
    "missing folder": plan_case("--dataset folder:{}/nowhere", "folder:", "nowhere", "no folder"),
    "empty folder": plan_case("--dataset folder:{}/empty", "folder:", "empty"),
    "folder of one class": plan_case("--dataset folder:{}/one_class", "one_class", "1", "at least two"),
    "folder that is a file": plan_case("--dataset folder:{}/file", "folder:", "file"),
    "folder that is not named": plan_case("--dataset folder", "folder:DIR"),
    "folder where none belongs": plan_case("--dataset digits:here", "digits", "here"),
    "missing Parquet folder": plan_case("--dataset parquet:{}/nowhere", "parquet:", "nowhere", "no folder"),
    "empty Parquet folder": plan_case("--dataset parquet:{}/empty", "parquet:", "empty", "train*.parquet"),
    "truncated image": plan_case("--dataset parquet:{}/truncated", "row 1", "train-00000", "80 bytes"),
    "label out of range": plan_case("--dataset parquet:{}/out_of_range", "label 7", "image 2", "0..1"),
    "negative label": plan_case("--dataset parquet:{}/negative", "label -3", "image 2"),
    "one label only": plan_case("--dataset parquet:{}/same_label", "same_label", "1 class"),
    # Words of the command line.
    "misspelt command": Case("plann", ("unknown command 'plann'", "Did you mean 'plan'?")),
    "misspelt flag": plan_case(
        "--batch_norm", "unknown argument '--batch_norm'", "'--batch-norm'?", "plan --help"
    ),
    "value that is no choice": plan_case("--format xml", "unknown --format 'xml'", "table, csv, json"),
    # Studies.
    "unknown study": Case("run digts", ("digts", "Did you mean 'digits'?")),
    "study that is a folder": Case("run {}/empty", ("study", "empty")),
    "study that is not TOML": Case("run {}/not_toml.toml", ("not_toml.toml", "TOML")),
    "study that is not text": Case("run {}/latin.toml", ("latin.toml", "read")),
    "misspelt key": Case("run {}/misspelt.toml", ("train_sise", "Did you mean 'train_size'?")),
    "two wrong types": Case("run {}/types.toml", ("2 faults", "train_size = 'many'", "members = 4")),
    "faults of the recipe": Case(
        "run {}/nested.toml", ("recipe.epochs = 'few'", "Did you mean 'batch_size'?")
    ),
    "three unknown names": Case(
        "run {}/names.toml", ("3 faults", "'wide_resnet'?", "'digits'?", "family", "dataset", "12 Q")
    ),
    "a misspelt key, a wrong type and unknown names": Case(
        "run {}/everything.toml", ("'train_size'?", "members = '4'", "'wide_resnet'?", "12 Q")
    ),
    "depth of a study": Case("run {}/depth.toml", ("depth 11", "10 or 16")),
    "name of a study that is a path": Case("report {}/outside.toml", ("name", "../outside")),
    "more training images than there are": Case(
        "run {}/too_many_images.toml", ("train_size 1,001", "1,000 training images", "at most 1,000")
    ),
    "more held out than there is": Case(
        "run {}/too_many_held_out.toml", ("train_size 900", "validation_size 200", "at most 800")
    ),
    "nothing left to train on": Case("run {}/all_held_out.toml", ("validation_size 1,000",)),
    "budgets of a study too small": Case(
        "run {}/too_small.toml", ("'1k', members 16", "'2k', members 16", "6,528")
    ),
    "1e9 members in a study": Case("run {}/too_many.toml", ("5178", "1,000,000,000 members")),
    "width below 1 in a study": Case("run {}/zero_width.toml", ("multiple_of = 0",)),
    "missing data of a study": Case("run {}/missing_data.toml", ("nowhere", "no folder")),
    "empty data of a study": Case("run {}/empty_data.toml", ("empty", "train*.parquet")),
    "truncated data of a study": Case("run {}/truncated_data.toml", ("row 1", "80 bytes")),
    "dry run of missing data": Case("run {}/missing_data.toml --dry-run", ("nowhere", "no folder")),
    # How to run.
    "unknown executor": Case(
        "run {}/tiny.toml --executor proceses", ("executor", "proceses", "'processes'?")
    ),
    "unknown device": Case("run {}/tiny.toml --device gpu0", ("device", "gpu0", "cpu")),
    "device without memory": Case(
        "run {}/tiny.toml --executor serial --device meta", ("device", "meta", "cpu")
    ),
    "no workers": Case("run {}/tiny.toml --workers 0", ("workers", "0", "below 1")),
    "negative workers": Case("run {}/tiny.toml --workers -2", ("workers", "-2")),
    "workers that are no number": Case("run {}/tiny.toml --workers many", ("--workers", "many")),
    # Stores and folders; below a regular file not even root can write.
    "store below a file": Case("run {}/tiny.toml --store {}/file/store", ("store", "/file/store", "--store")),
    "store that is a file": Case("run {}/tiny.toml --store {}/file", ("store", "/file", "--store")),
    "quickstart below a file": Case("quickstart --out {}/file/out", ("/file/out", "--out")),
    "quickstart in a file": Case("quickstart --out {}/file", ("/file", "--out")),
    "scores below a file": Case(
        "evaluate --logits {}/good.safetensors --out {}/file/out", ("/file/out", "--out")
    ),
    "newer store, run": Case("run {}/tiny.toml --store {}/newer", ("newer", "99", "Update")),
    "newer store, status": Case("status {}/tiny.toml --store {}/newer", ("newer", "99", "Update")),
    "newer store, report": Case("report {}/tiny.toml --store {}/newer", ("newer", "99", "Update")),
    "store that is none": Case("status {}/tiny.toml --store {}/no_store", ("no_store", "--store")),
    "store with a list for a header": Case("status {}/tiny.toml --store {}/listed", ("listed", "--store")),
    "report on no store": Case("report {}/tiny.toml", ("store", "run")),
    "status of no store": Case("status {}/tiny.toml", ("store", "run")),
    "report on a store elsewhere": Case("report {}/tiny.toml --store {}/nowhere", ("nowhere", "--store")),
    "report on an incomplete store": Case(
        "report {}/tiny.toml --store {}/bare", ("2 of 2 members", "bare", "--allow-partial"), 3
    ),
    "partial report on nothing": Case(
        "report {}/tiny.toml --store {}/bare --allow-partial", ("no member",), 3
    ),
    # Logits from elsewhere.
    "logits with NaN": Case("evaluate --logits {}/nan.safetensors", ("logits", "2")),
    "fewer labels than samples": Case("evaluate --logits {}/short.safetensors", ("labels", "(7,)", "8")),
    "logits of two dimensions": Case("evaluate --logits {}/flat.safetensors", ("(8, 4)", "(member, sample")),
    "label that is no class": Case(
        "evaluate --logits {}/label9.safetensors", ("label 9", "sample 6", "0..3")
    ),
    "logits without labels": Case(
        "evaluate --logits {}/no_labels.safetensors", ("no_labels", "extra", "missing: labels")
    ),
    "logits that are text": Case("evaluate --logits {}/words.csv", ("words.csv", "not a safetensors file")),
    "logits that are not there": Case("evaluate --logits {}/nowhere", ("logits", "nowhere", "No such file")),
    "logits that are a folder": Case("evaluate --logits {}/empty", ("logits", "empty")),
    "bad logits with a folder to fill": Case(
        "evaluate --logits {}/nan.safetensors --out scores", ("logits", "2")
    ),
    # Points.
    "points that are not there": Case("fit {}/nowhere.csv --x members --y cnll", ("nowhere.csv",)),
    "points that are a picture": Case("fit {}/picture.csv --x members --y cnll", ("picture.csv", "CSV")),
    "points of nothing": Case("fit {}/nothing.csv --x members --y cnll", ("nothing.csv", "CSV")),
    "points of several shapes": Case("fit {}/ragged.csv --x members --y cnll", ("ragged.csv", "line 3")),
    "unknown x column": Case("fit {}/points.csv --x member --y cnll", ("--x", "'member'", "'members'?")),
    "unknown y column": Case("fit {}/points.csv --x members --y nll", ("--y", "'nll'", "'cnll'?")),
    "column of words": Case("fit {}/words.csv --x members --y cnll", ("--y", "'cnll'", "numbers")),
    "the same x twice": Case("fit {}/twice.csv --x members --y cnll", ("x = 1", "2 times")),
    "a gap among the points": Case("fit {}/gap.csv --x members --y cnll", ("y of point 1", "nan")),
    "a point below zero": Case("fit {}/below.csv --x members --y cnll", ("y of point 1", "-0.25")),
    "unknown column of errors": Case(
        "fit {}/points.csv --x members --y cnll --stderr cnl", ("--stderr", "'cnl'", "'cnll'?")
    ),
    "an error below zero": Case(
        "fit {}/below.csv --x members --y members --independent --stderr cnll", ("--stderr", "-0.25")
    ),
    "unknown law": Case(
        "fit {}/points.csv --x members --y cnll --law powerlaw", ("law", "powerlaw", "'power_law'?")
    ),
    "unknown objective": Case(
        "fit {}/points.csv --x members --y cnll --objective log3", ("objective", "log3", "log2")
    ),
    "unknown format": Case(
        "fit {}/points.csv --x members --y cnll --format xml", ("--format", "xml", "json")
    ),
    # The command itself.
    "no verb": Case("", ("COMMAND",)),
    "unknown verb": Case("pln --family vgg", ("pln", "plan")),
    "unknown flag": Case("ls families --all", ("--all",)),
    "missing flags": Case("plan --family vgg", ("--dataset", "--budget")),
    "missing study": Case("run", ("STUDY",)),
    "missing columns": Case("fit {}/points.csv", ("--x", "--y")),
    "unknown kind of part": Case("ls famlies", ("famlies", "families")),
}


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_gets_one_message_and_writes_nothing(case, command, inputs, tmp_path):
    before = listing(inputs)
    said = command(*shlex.split(case.arguments.replace("{}", str(inputs))))
    assert said.code == case.code, said
    assert said.out == ""
    assert "Traceback" not in said.err
    first, *more = said.err.splitlines()
    assert first.startswith("ensembudget: ")
    assert said.err.count("ensembudget: ") == 1
    assert all(line.startswith("  - ") for line in more), said.err
    assert first.endswith(":" if more else "."), said.err
    for word in case.words:
        assert word in said.err.replace(str(inputs), ""), said.err
    assert listing(tmp_path / "cwd") == []
    assert listing(inputs) == before


def test_a_pool_of_1e9_members_is_refused_before_it_is_listed(command, inputs, tmp_path, monkeypatch):
    """Such a list of runs takes all memory, so that here it may not even be begun."""
    path = tmp_path / "pool.toml"
    path.write_text(TINY.replace("pool = 2", "pool = 1000000000"))
    listed = PlannedCell.runs.fget

    def runs(planned):
        assert planned.members < 10**6, f"{planned.members} runs are listed"
        return listed(planned)

    monkeypatch.setattr(PlannedCell, "runs", property(runs))
    said = command("run", path, "--dry-run")
    assert said.code == 2, said
    assert "pool" in said.err
    assert "1000000000" in said.err.replace(",", "")


def test_a_dry_run_makes_no_store(command, inputs, tmp_path):
    said = command("run", inputs / "tiny.toml", "--dry-run")
    assert said.code == 0
    assert "Nothing was trained" in said.out
    assert "2 to train" in said.out
    assert "Pools of 2 members (widths 4): intervals are wide" in said.out
    assert listing(tmp_path / "cwd") == []


def test_a_fault_of_its_own_is_exit_1_and_asks_for_a_report(command, inputs, monkeypatch):
    monkeypatch.setattr("safetensors.torch.load_file", lambda path: 1 / 0)
    said = command("evaluate", "--logits", inputs / "good.safetensors")
    assert said.code == 1
    assert "ZeroDivisionError" in said.err
    assert "ENSEMBUDGET_TRACEBACK" in said.err
    assert "Traceback" not in said.err


ISSUE = shlex.split(
    "plan --family wide_resnet --depth 28 --dataset cifar100 --budget 36755940 --members 1,2,4,8,16"
)
COLUMNS = [
    "budget", "members", "width", "parameters_per_member", "parameters_total", "error_percent",
    "flops_per_sample",
]  # fmt: skip


def wrn28(width: int, classes: int = 100) -> int:
    """The closed form of Lobacheva et al. 2020 for colour images."""
    return 1432 * width**2 + (204 + 4 * classes) * width + classes


def assert_papers_plan(rows):
    assert [int(row["members"]) for row in rows] == [1, 2, 4, 8, 16]
    widths = [int(row["width"]) for row in rows]
    assert widths in ([160, 113, 80, 57, 40], [160, 113, 80, 56, 40])
    for row, width in zip(rows, widths, strict=True):
        assert int(row["budget"]) == 36_755_940
        assert int(row["parameters_per_member"]) == wrn28(width)
        assert int(row["parameters_total"]) == int(row["members"]) * wrn28(width)
        miss = int(row["parameters_total"]) / 36_755_940 - 1
        assert float(row["error_percent"]) == pytest.approx(100 * miss, abs=1e-9)
        assert int(row["flops_per_sample"]) > 2 * int(row["parameters_total"])


def test_plan_as_json_is_one_document_and_nothing_else(command):
    said = command(*ISSUE, "--format", "json")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    assert set(COLUMNS) <= set(rows[0])
    assert_papers_plan(rows)


def test_plan_as_csv_parses_with_its_columns(command):
    said = command(*ISSUE, "--format", "csv")
    assert (said.code, said.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert set(COLUMNS) <= set(rows[0])
    assert_papers_plan(rows)


def test_plan_as_a_table_has_a_line_a_split(command):
    said = command(*ISSUE)
    assert (said.code, said.err) == (0, "")
    for width, members in ((160, 1), (113, 2), (80, 4), (40, 16)):
        line = next(line for line in said.out.splitlines() if f"{members * wrn28(width):,}" in line)
        assert str(width) in line.split()


def test_plan_counts_beyond_64_bits_are_whole_in_every_format(command):
    """1e9 members are allowed where the budget is: the counts are then beyond a machine's integers."""
    big = (*PLAN, "--budget", "1e18", "--members", "1e9")
    rows = json.loads(command(*big, "--format", "json").out)
    said = command(*big, "--format", "csv")
    assert said.code == 0, said
    (row,) = csv.DictReader(io.StringIO(said.out))
    assert int(row["flops_per_sample"]) == rows[0]["flops_per_sample"] > 2**63


def test_multiples_of_8_are_what_plan_gives_when_asked(command):
    said = command(*ISSUE, "--multiple-of", "8", "--format", "json")
    rows = json.loads(said.out)
    assert [row["width"] % 8 for row in rows] == [0] * 5
    assert rows[1]["width"] == 112


KINDS = {
    "families": FAMILIES,
    "datasets": DATASETS,
    "modes": MODES,
    "budgets": BUDGETS,
    "laws": LAWS,
    "executors": EXECUTORS,
}


@pytest.mark.parametrize("what", [*KINDS, "studies", "recipes"])
def test_ls_names_every_part_with_what_it_is(what, command):
    said = command("ls", what)
    assert (said.code, said.err) == (0, "")
    known = {"studies": studies.names, "recipes": recipes.names}.get(what, lambda: list(KINDS[what]))()
    lines = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert [line[0] for line in lines] == [*known, *(KINDS[what].made if what in KINDS else ())]
    assert all(len(line) == 2 and len(line[1]) > 10 for line in lines)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_examples_that_parse(verb, command):
    said = command(verb, "--help")
    assert (said.code, said.err) == (0, "")
    examples = [line.split() for line in said.out.partition("examples:\n")[2].splitlines() if line]
    assert examples
    for program, *arguments in examples:
        assert (program, arguments[0]) == ("ensembudget", verb)
        build_parser(arguments).parse_args(arguments)


def test_help_lists_the_verbs_in_the_order_of_the_work(command):
    said = command("--help")
    assert said.code == 0
    places = [re.search(rf"^    {verb}\b", said.out, re.MULTILINE).start() for verb in VERBS]
    assert places == sorted(places)


def points(path: Path, a: float, b: float, c: float, m=(1, 2, 4, 8, 16)) -> Path:
    path.write_text("members,cnll\n" + "".join(f"{x},{c + b * x**a!r}\n" for x in m))
    return path


def test_fit_as_json_has_the_agreed_keys(command, tmp_path):
    path = points(tmp_path / "p.csv", -0.8, 0.3, 0.5)
    said = command("fit", path, "--x", "members", "--y", "cnll", "--independent", "--format", "json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert {"law", "a", "b", "c", "residual", "points", "status"} <= set(found)
    assert (found["law"], found["points"], found["status"]) == ("power_law", 5, "ok")
    for name, truth in (("a", -0.8), ("b", 0.3), ("c", 0.5)):
        assert set(found[name]) == {"value", "low", "high"}
        assert found[name]["value"] == pytest.approx(truth, abs=1e-6)
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert found["residual"] == pytest.approx(0, abs=1e-9)


def test_fit_along_members_gives_values_without_intervals_and_says_why(command, tmp_path):
    path = points(tmp_path / "p.csv", -0.8, 0.3, 0.5)
    said = command("fit", path, "--x", "members", "--y", "cnll", "--format", "json")
    found = json.loads(said.out)
    assert (found["c"]["value"], found["c"]["low"]) == (pytest.approx(0.5), None)
    assert "share members" in found["no_interval"]
    told = command("fit", path, "--x", "members", "--y", "cnll")
    assert told.code == 0
    assert "No intervals: ensembles of several sizes" in told.out
    assert "--independent" in told.out


def test_fit_takes_the_standard_error_of_each_point(command, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("width,cnll,error\n" + "".join(f"{k},{0.5 + 1 / k},0.01\n" for k in (2, 4, 8, 16, 32)))
    asked = ("fit", path, "--x", "width", "--y", "cnll", "--format", "json")
    bare, known = (json.loads(command(*asked, *more).out)["c"] for more in ((), ("--stderr", "error")))
    assert bare["high"] - bare["low"] < 1e-6
    assert 0.02 < known["high"] - known["low"] < 0.1


@pytest.mark.parametrize("kind", ["table", "json"])
def test_fit_refuses_three_points_as_an_answer_and_not_as_a_fault(kind, command, tmp_path):
    path = points(tmp_path / "p.csv", -0.8, 0.3, 0.5, m=(1, 2, 4))
    said = command("fit", path, "--x", "members", "--y", "cnll", "--format", kind)
    assert (said.code, said.err) == (0, "")
    if kind == "json":
        found = json.loads(said.out)
        assert found["status"] != "ok"
        assert found["a"] is None
    else:
        assert "No law: 3 points" in said.out


def scores_by_hand(logits, labels, size):
    """NLL and accuracy of every disjoint group of a size, by SciPy."""
    log_probs = log_softmax(logits.astype(np.float64), -1)
    groups = [log_probs[first : first + size] for first in range(0, len(logits) - size + 1, size)]
    averages = [logsumexp(group, 0) - np.log(size) for group in groups]
    return [(-a[np.arange(len(labels)), labels].mean(), (a.argmax(1) == labels).mean()) for a in averages]


def test_a_pool_of_one_is_scored_without_intervals_and_says_why(command, tmp_path):
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(1, 60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    tensors(tmp_path / "lone.safetensors", logits=logits, labels=labels)
    ask = ("evaluate", "--logits", tmp_path / "lone.safetensors")
    (row,) = json.loads(command(*ask, "--format", "json").out)
    assert row["cnll"] > 0
    assert {row[f"{name}_{end}"] for name in ("cnll", "nll", "accuracy") for end in ("low", "high")} == {None}
    assert "No intervals: a pool of one member" in command(*ask, "--out", "scores").out
    assert "No intervals: a pool of one member" in Path("scores/sizes.md").read_text()


def test_evaluate_prints_what_it_writes(command, tmp_path):
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(4, 60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    tensors(tmp_path / "pool.safetensors", logits=logits, labels=labels)
    ask = ("evaluate", "--logits", tmp_path / "pool.safetensors")
    said = command(*ask, "--out", "scores", "--format", "json")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    assert [(row["members"], row["groups"]) for row in rows] == [(1, 4), (2, 2), (3, 1), (4, 1)]
    written = {path.name: path for path in Path("scores").iterdir()}
    assert {f"scores.{kind}" for kind in ("csv", "md", "tex", "html")} <= set(written)
    with written["scores.csv"].open(newline="") as file:
        groups = list(csv.DictReader(file))
    assert [(int(g["members"]), int(g["replicate"])) for g in groups] == [
        (n, group) for n in (1, 2, 3, 4) for group in range(4 // n)
    ]
    for row in rows:
        own = [group for group in groups if int(group["members"]) == row["members"]]
        by_hand = scores_by_hand(logits, labels, row["members"])
        for group, (nll, accuracy) in zip(own, by_hand, strict=True):
            assert float(group["nll"]) == pytest.approx(nll, abs=1e-9)
            assert float(group["accuracy"]) == pytest.approx(accuracy, abs=1e-12)
            assert (group["disagreement"] == "") == (row["members"] == 1)
        for name in ("nll", "cnll", "accuracy", "brier", "ece"):
            assert row[name] == pytest.approx(np.mean([float(group[name]) for group in own]), abs=1e-12)
    # The other formats hold the same rows.
    lines = list(csv.DictReader(io.StringIO(command(*ask, "--format", "csv").out)))
    assert [float(line["cnll"]) for line in lines] == [row["cnll"] for row in rows]
    text = command(*ask).out
    assert all(f"{row['cnll']:.4f}" in text for row in rows)


def test_the_module_is_a_command():
    asked = [sys.executable, "-m", "ensembudget", "plan", "--family", "nope", "--dataset", "digits"]
    found = subprocess.run([*asked, "--budget", "1M"], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith("ensembudget: no family 'nope'.")
    assert found.stderr.count("\n") == 1


def test_a_reader_that_stops_early_gets_no_complaint():
    """As in `ensembudget plan ... | head -1`, where head is gone before the table is out."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    try:
        asked = [sys.executable, "-m", "ensembudget", "ls", "families"]
        found = subprocess.run(
            asked, stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    finally:
        os.close(write)
    assert (found.returncode, found.stderr) == (0, "")
