"""A study that wants weights its store lacks: said before, trained again, published only if the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ensembudget import studies
from ensembudget.datasets._load import load
from ensembudget.records import Stepping
from ensembudget.store import Store
from ensembudget.store.documents import canonical, sha256
from ensembudget.training.loop import train
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange, train_missing
from helpers import command

STUDY = """
name = "later"
description = "five members of one width"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 70
validation_size = 20
widths = [2]
pool = 5
keep_weights = KEEP

[stepping]
pack = PACK

[recipe]
epochs = 2
batch_size = 32
learning_rate = 0.1
crop_padding = 0
flip = false
"""
SERIAL = ("--executor", "serial", "--threads", "1")
SAID = "5 members are trained again, because their weights were not kept"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store whose members have no weights."""
    folder = tmp_path_factory.mktemp("later")
    study = folder / "study.toml"
    study.write_text(STUDY.replace("KEEP", "false").replace("PACK", "2"))
    assert command("run", study, "--store", folder / "store", *SERIAL).code == 0
    return folder / "store"


@pytest.fixture
def store(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def asking(tmp_path):
    """The study with its weights."""

    def write(pack=2):
        path = tmp_path / "study.toml"
        path.write_text(STUDY.replace("KEEP", "true").replace("PACK", str(pack)))
        return path

    return write


def contents(store):
    return {path: path.read_bytes() for path in sorted(store.root.glob("members/*/*/*"))}


def runs_of(path):
    return plan_study(studies.load_study(path)).runs


def test_weights_that_were_not_kept_are_missing_and_a_dry_run_says_so(store, asking):
    path = asking()
    said = command("run", path, "--store", store.root, "--dry-run", *SERIAL)
    assert "0 in the store, 5 to train" in said.out
    assert "5 of them again, as they were before, because their weights were not kept" in said.out
    assert "5 of 5 members to train" in command("status", path, "--store", store.root).out
    assert not (store.root / "artefacts").exists()


def test_weights_are_trained_later_and_are_those_of_training_with_them(store, asking):
    path, before = asking(), contents(store)
    said = command("run", path, "--store", store.root, *SERIAL)
    assert said.code == 0
    assert SAID in said.err
    assert said.err.index(SAID) < said.err.index("members done now")
    assert contents(store) == before
    runs = runs_of(path)
    alike = train(runs[:2], load("digits"), stepping=Stepping(pack=2), keep_weights=True)
    for run, one in zip(runs[:2], alike, strict=True):
        found = store.weights(run.key)
        assert found.keys() == one.weights.keys()
        assert all(found[name].tobytes() == one.weights[name].tobytes() for name in found)
        np.testing.assert_array_equal(store.read(run.key).test_logits, one.test_logits)
    assert "nothing was missing" in command("run", path, "--store", store.root, *SERIAL).err
    assert "0 of 5 members to train" in command("status", path, "--store", store.root).out


def test_members_are_trained_again_as_they_were_trained_whatever_the_study_says_now(store, asking):
    path = asking(pack=5)
    assert command("run", path, "--store", store.root, "--executor", "serial", "--threads", "2").code == 0
    assert all(store.artefacts(run.key) == {"logits", "weights"} for run in runs_of(path))


def test_where_training_gives_other_logits_members_fail_and_nothing_stored_changes(store, asking):
    path = asking()
    lost, *others = [run.key for run in runs_of(path)]
    description = store.root / "members" / lost[:2] / lost / "member.json"
    other_logits(description.parent)
    before = contents(store)
    said = command("run", path, "--store", store.root, *SERIAL)
    assert said.code == 1
    assert "1 failed: the member was trained again for its weights and gave other logits" in said.err
    assert contents(store) == before
    assert "weights" not in store.artefacts(lost)
    assert all("weights" in store.artefacts(key) for key in others)
    assert "gave other logits" in command("status", path, "--store", store.root).out


def other_logits(folder: Path) -> None:
    """Makes a member one of another machine: a bit of a logit is another, and its digests are right."""
    logits, description = folder / "logits.safetensors", folder / "member.json"
    raw = bytearray(logits.read_bytes())
    header = int.from_bytes(raw[:8], "little")
    start = json.loads(raw[8 : 8 + header])["test_logits"]["data_offsets"][0]
    raw[8 + header + start] ^= 1
    logits.write_bytes(raw)
    document = json.loads(description.read_bytes())
    document.pop("sha256")
    document["files"]["logits.safetensors"]["sha256"] = sha256(bytes(raw))
    description.write_bytes(json.dumps(document | {"sha256": sha256(canonical(document))}).encode())


def test_a_part_of_a_study_trains_no_stored_member_again(store, asking):
    """As a search, which counts what it trains."""
    planned = plan_study(studies.load_study(asking()))
    arrangement = arrange(planned, store, executor="serial", threads=1)
    assert train_missing(planned, store, arrangement, "serial", repeat=False) == []
    assert not (store.root / "artefacts").exists()


def test_a_report_needs_no_weights(store, asking, tmp_path):
    said = command("report", asking(), "--store", store.root, "--out", tmp_path / "report")
    assert said.code == 0, said.err
