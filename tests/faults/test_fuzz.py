"""40,000 changed inputs of all that reads strangers' files: an answer or a refusal, in bounded memory."""

import hashlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import torch
from cards import card_body, signed
from fuzzing import Target, survive
from test_malformed import kept

from ensembudget import studies
from ensembudget.budgets._parse import parse_budget
from ensembudget.catalog import Catalog
from ensembudget.cli.values import csv_columns, image_count, read_costs, seconds_of, whole_numbers
from ensembudget.errors import EnsembudgetError
from ensembudget.executors._spec import executor_of
from ensembudget.exporting.card import CARD, Card, read_card
from ensembudget.planning import check
from ensembudget.prediction.read import read_plane
from ensembudget.records import Member, Plan, Record, Run
from ensembudget.stepping.parse import parse_stepping
from ensembudget.store.documents import DamageError, UnknownError, record, seal, unseal
from ensembudget.verbs.predictions import read_logits
from helpers import CELL, HERE, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's memory is read in /proc"),
]
TABLES = ROOT / "tables"
LOGITS = np.array(
    [[[1.5, -2.0], [0.25, 3.0], [-1.0, 0.5]], [[0.5, -1.0], [2.0, 1.0], [0.0, -0.5]]], np.float32
)
LABELS = np.array([0, 1, 1])
PLANE = "members,width,parameters,cnll,stderr,arm\n" + "".join(
    f"{n},{k},{10 * k * k},{1 + 1 / n + 1 / k},0.01,plain\n" for k in (2, 3, 4) for n in (1, 2)
)
COSTS = "arm,budget,members,train_step_ms,peak_memory_bytes\n,31000,1,2.5,1000\n,31000,2,,2000\n"
WORDS = tuple(
    b"processes|serial:workers=2|ray:address=10.0.0.7:6379,gpus=0.25|pack=8,way=grouped,compiled=no,threads=1"
    b"|layout=channels_last,captured=yes|36.8M|1GiB|5,178|5.2GFLOP|1e6kB|50k|1.5 h|90s|1,2,4e1".split(b"|")
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What depends on no input is worked out once."""
    monkeypatch.setattr(check, "narrowest", kept(check.narrowest))
    monkeypatch.setattr(check, "describe", kept(check.describe))
    monkeypatch.setattr(Catalog, "__repr__", lambda self: f"Catalog({self._folder!r})", raising=False)
    monkeypatch.setattr(Catalog, "_sources", kept(Catalog._sources))


@pytest.fixture
def attack(quick, folder: Path, times: int, attacked) -> Callable[..., None]:
    def every(about: str, *targets: Target) -> None:
        faults = [fault for target in targets for fault in survive(target, folder, times)]
        assert not faults, "\n".join(faults)
        attacked("P10", f"fuzzed: {about}", times * sum(target.cases for target in targets))

    return every


@pytest.fixture
def placed(tmp_path: Path) -> Callable[..., Callable[[bytes], object]]:
    """`placed("a.csv", read)` is a reader of bytes: they are put into that file, whose path `read` takes."""

    def reader(name: str, read: Callable[[str], object]) -> Callable[[bytes], object]:
        path = tmp_path / "given" / name
        path.parent.mkdir(exist_ok=True)

        def one(raw: bytes) -> object:
            path.write_bytes(raw)
            return read(str(path))

        return one

    return reader


def resealed(raw: bytes) -> bytes:
    """A changed body with a digest that fits, where it is JSON still."""
    try:
        document = json.loads(raw)
        return seal(document) if isinstance(document, dict) else raw
    except (ValueError, RecursionError):
        return raw


def dumped(body: dict) -> bytes:
    return json.dumps(body).encode()


def test_studies(attack, placed):
    seeds = tuple(
        (ROOT / "ensembudget" / "studies" / f"{name}.toml").read_bytes()
        for name in ("digits", "digits_tuned", "digits_methods", "digits_regimes", "digits_landscape")
    )
    read = placed("study.toml", studies.load_study)
    attack("studies", Target("study", 2000, seeds, read, (EnsembudgetError,)))


def test_documents_of_a_store(attack):
    """Half of them with a digest that fits, as a stranger's store would have."""
    member = Member(
        run=Run(cell=CELL, seed=7),
        status="done",
        diverged_at=None,
        parameters=5178,
        seconds=1.5,
        environment=HERE,
    )
    body = {"member": member.model_dump(mode="json"), "training_abi": 2, "files": {"logits": {"bytes": 1}}}
    plan = json.loads((TABLES / "digits" / "manifest.json").read_bytes())["study"]

    def read(kind: str, model: type[Record]) -> Callable[[bytes], object]:
        return lambda raw: record(model, unseal(raw).get(kind))

    refusals = (DamageError, UnknownError)
    studied = {"plan": {"study": plan, "cells": [], "splits": []}}
    attack(
        "documents of a store",
        Target("sealed", 3000, (seal(body), seal(studied)), read("member", Member), refusals),
        Target("member", 4000, (dumped(body),), read("member", Member), refusals, resealed),
        Target("plan", 2000, (dumped(studied),), read("plan", Plan), refusals, resealed),
    )


def files_of_predictions() -> dict[str, bytes]:
    """The same predictions in every format."""
    tensors = {"logits": LOGITS, "labels": LABELS}
    npz, packed, npy, pt, parquet = (io.BytesIO() for _ in range(5))
    np.savez(npz, **tensors)
    np.savez_compressed(packed, **tensors)
    np.save(npy, LOGITS)
    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, pt)
    member, sample = (one.flatten() for one in np.indices(LOGITS.shape[:2]))
    columns = {
        "member": member,
        "sample": sample,
        "label": LABELS[sample],
        "logits": list(LOGITS.reshape(6, 2)),
    }
    pq.write_table(pa.table(columns), parquet)
    found = {"npz": npz, "packed.npz": packed, "npy": npy, "pt": pt, "parquet": parquet}
    return {"safetensors": safetensors.numpy.save(tensors)} | {
        name: one.getvalue() for name, one in found.items()
    }


def test_predictions(attack, placed, tmp_path):
    made, labels = files_of_predictions(), tmp_path / "labels.safetensors"
    labels.write_bytes(safetensors.numpy.save({"labels": LABELS}))
    cases = {"safetensors": 6000, "npz": 1000, "packed.npz": 1000, "npy": 2000, "pt": 1000, "parquet": 1000}
    targets = [
        Target(name, cases[name], (raw,), placed(f"pool.{name}", read), (EnsembudgetError,))
        for name, raw in made.items()
        for read in [lambda path: read_logits(path, labels if path.endswith(".npy") else None)]
    ]
    for target in targets:
        target.read(target.seeds[0])  # as they are, all are read
    attack("predictions in six formats", *targets)


def test_tables(attack, placed):
    def points(path: str) -> object:
        return csv_columns(path, "members", "cnll", "stderr")

    plane, costs = PLANE.encode(), COSTS.encode()
    attack(
        "CSV files of planes, points and costs",
        Target("plane", 2000, (plane,), placed("plane.csv", read_plane), (EnsembudgetError,)),
        Target("points", 1500, (plane,), placed("points.csv", points), (EnsembudgetError,)),
        Target("costs", 3000, (costs,), placed("costs.csv", read_costs), (EnsembudgetError,)),
    )


def test_what_lies_beside_a_plane(attack, tmp_path):
    """Every description is bound to its CSV, as a stranger's would be."""
    csv = TABLES / "cifar10-jpeg" / "plane.csv"  # a small one: each case reads it whole
    arm = json.loads(csv.with_suffix(".json").read_bytes())["arms"][0]["arm"] or None
    copy = tmp_path / "plane.csv"
    copy.write_bytes(csv.read_bytes())

    def read(raw: bytes) -> object:
        copy.with_suffix(".json").write_bytes(raw)
        return read_plane(str(copy), arm)

    seed = csv.with_suffix(".json").read_bytes()
    assert hashlib.sha256(csv.read_bytes()).hexdigest().encode() in seed
    attack("descriptions beside planes", Target("plane.json", 3000, (seed,), read, (EnsembudgetError,)))


def test_cards(attack):
    """With digests that fit, as a stranger's would."""

    def again(raw: bytes) -> bytes:
        try:
            return signed(json.loads(raw))
        except (ValueError, RecursionError):
            return raw

    def read(raw: bytes) -> Card:
        return read_card(raw, "here")

    seed = dumped(card_body())
    assert isinstance(read(again(seed)), Card)
    attack(
        f"{CARD} of exported ensembles",
        Target("card", 2500, (seed,), read, (EnsembudgetError,), again),
        Target("card as it lies", 500, (again(seed),), read, (EnsembudgetError,)),
    )


def test_words_of_the_command_line(attack):
    readers = (
        executor_of, parse_stepping, parse_budget, lambda text: image_count(text, "--at"),
        lambda text: seconds_of(text, "--time"), lambda text: whole_numbers(text, "--members"),
    )  # fmt: skip

    def read(raw: bytes) -> None:
        text = raw.decode(errors="surrogateescape")  # as Python reads a command line
        for reader in readers:
            try:
                reader(text)
            except EnsembudgetError:
                continue

    attack("words of the command line", Target("words", 4500, WORDS, read, (EnsembudgetError,)))


def test_a_reader_that_fails_takes_memory_or_time_or_dies_is_caught(folder):
    """The harness finds what it looks for: without its limits, no attack above could fail."""
    found = {
        "raises": lambda raw: 1 / 0,
        "takes memory": lambda raw: bytearray(2**32),
        "takes time": lambda raw: all(number == 0 for number in iter(int, 1)),
        "dies": lambda raw: __import__("os").kill(__import__("os").getpid(), 9),
        "writes": lambda raw: Path("written").write_bytes(raw),
    }
    words = {"raises": "ZeroDivisionError", "takes memory": "MemoryError", "takes time": "TooLong",
             "dies": "status 9", "writes": "was written"}  # fmt: skip
    for name, read in found.items():
        (fault,) = survive(Target(name, 1, (b"x",), read, (EnsembudgetError,), warm=False), folder)
        assert words[name] in fault
