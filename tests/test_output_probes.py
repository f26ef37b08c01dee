"""Studies whose probes are of what members say: measured at every size that is asked for, and reported."""

import pytest

from ensembudget.rendering.render import from_csv
from helpers import command

# Two datasets: texts with queries of no class, and pairs in which a sentence is its own translation.
DATASET = """
"Made tokens"
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from ensembudget.datasets._base import Arrays, Dataset
from ensembudget.records import TokenTask

WORDS = ["[PAD]", "[UNK]", "[START]", "[END]", *"the of and in day god said let there be light".split()]
SIZE = len(WORDS)


def tokens(count, positions):
    # The same at every call, for a dataset may be read more than once.
    return np.random.default_rng(count).integers(4, SIZE, (count, positions), dtype=np.int32)


def texts():
    train, test, outside = tokens(80, 5), tokens(40, 5), tokens(20, 5)
    labels = [(some[:, 0] % 2).astype(np.int64) for some in (train, test)]
    task = TokenTask("text_classification", 2, SIZE, 5)
    return Arrays(train, labels[0], test, labels[1], 2, task=task, outside_inputs=outside)


def half(count):
    sources = tokens(count, 4)
    ends = [np.full((count, 1), mark, np.int32) for mark in (2, 3)]
    inputs = np.concatenate([sources, ends[0], sources], 1)
    return inputs, np.concatenate([sources, ends[1]], 1).astype(np.int64)


def pairs():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(WORDS[:4])
    task = TokenTask("translation", SIZE, SIZE, 9, 4)
    return Arrays(*half(60), *half(20), SIZE, task=task, tokenizer=made.to_str())


dataset = Dataset(lambda place: NAME())
"""

STUDY = """
name = "said"
description = "what members say"
family = "transformer"
options = { layers = 1, heads = 2 }
dataset = "DATA"
train_size = 40
validation_size = 10
budgets = ["BUDGET"]
members = [1, 2]
tolerance = 0.3
pool = 3
replicates = 1
keep_weights = true
stepping = { pack = 1, compiled = false }

[recipe]
epochs = 1
batch_size = 20
warmup_steps = 0

[[probes]]
kind = "PROBE"
"""
SERIAL = ("--executor", "serial")
DATA = {"out_of_scope": ("made_texts", "2k"), "translation": ("made_pairs", "6k")}


@pytest.fixture
def place(install, folder, cache):
    install(
        "made",
        datasets={name: DATASET.replace("NAME", name.removeprefix("made_")) for name, _ in DATA.values()},
    )
    return folder


def written(place, probe, data=None, more=""):
    name, budget = DATA[data or probe]
    text = STUDY.replace("DATA", name).replace("BUDGET", budget).replace("PROBE", probe)
    (place / "said.toml").write_text(text + more)
    return place / "said.toml"


def rows(place, name):
    return from_csv((place / "report" / f"{name}.csv").read_text())


def ran(study, place):
    said = command("run", study, "--store", place / "store", *SERIAL)
    assert said.code == 0, said.err
    said = command("report", study, "--store", place / "store", "--out", place / "report")
    assert said.code == 0, said.err


def test_out_of_scope_is_reported_at_every_size_of_every_pool(place):
    ran(written(place, "out_of_scope"), place)
    found = rows(place, "out_of_scope")
    assert [(row["members"], row["groups"]) for row in found] == [(1, 3), (2, 1), (3, 1)] * 2
    assert [row["budget"] for row in found] == [None, 2000, None, 2000, None, None]
    assert [row["mutual_information"] is None for row in found] == [True, False, False] * 2
    for row in found:
        assert row["entropy_low"] < row["entropy"] < row["entropy_high"]
        assert (row["inside"], row["outside"]) == (40, 20)
    for kind in ("md", "tex", "html"):
        assert "0.5 is chance" in (place / "report" / f"out_of_scope.{kind}").read_text()


def test_translations_are_reported_at_the_sizes_of_the_splits(place):
    study = written(place, "translation", more="options = { sentences = 8, beam = 3 }\n")
    ran(study, place)
    found = rows(place, "translations")
    assert [(row["members"], row["search"]) for row in found] == [
        (2, "greedy"), (2, "beam of 3"), (1, "greedy"), (1, "beam of 3"),
    ]  # fmt: skip
    assert found[0]["width"] < found[-1]["width"]
    assert {(row["budget"], row["sentences"], row["groups"]) for row in found} == {(6000, 8, 1)}
    for row in found:
        assert 0 <= row["chrf_low"] <= row["chrf"] <= row["chrf_high"] <= 100
    said = (place / "report" / "translations.md").read_text()
    assert "n = 2: «" in said
    assert said.count("(reference: «") == 3 * 2
    kept = {path: path.stat().st_mtime_ns for path in (place / "store" / "probes").iterdir()}
    assert len(kept) == 2
    assert command("run", study, "--store", place / "store", *SERIAL).code == 0
    assert {path: path.stat().st_mtime_ns for path in (place / "store" / "probes").iterdir()} == kept


REFUSED = {
    "translations of texts": (
        ("translation", "out_of_scope", ""),
        "probe 'translation' is measured on translation, and the dataset is of text_classification",
    ),
    "outside samples that there are none of": (("out_of_scope", "translation", ""), "out_of_scope"),
    "more members than there are": (
        ("translation", "translation", "options = { members = 2, groups = 2 }"),
        "needs 4 members",
    ),
    "a beam of one": (("translation", "translation", "options = { beam = 1 }"), "beam = 1"),
}


@pytest.mark.parametrize("about", REFUSED)
def test_what_cannot_be_measured_is_refused_before_anything_is_trained(about, place):
    (probe, data, more), expected = REFUSED[about]
    said = command("run", written(place, probe, data, more), "--store", place / "store", *SERIAL)
    assert said.code == 2
    assert expected in " ".join(said.err.split())
    assert not (place / "store").exists()


def test_digits_have_no_samples_outside(place):
    text = STUDY.replace('"DATA"', '"digits"').replace("PROBE", "out_of_scope").replace("BUDGET", "20k")
    text = text.replace("transformer", "wide_resnet").replace("layers = 1, heads = 2", "depth = 10")
    (place / "said.toml").write_text(text)
    said = command("run", place / "said.toml", "--store", place / "store", *SERIAL)
    assert said.code == 2
    assert "no test samples that belong to no class" in " ".join(said.err.split())
