"""Ensembles that read tokens become folders that take texts, without the data they were trained on."""

import json
import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from tokenizers import Tokenizer

import ensembudget
from ensembudget.datasets._load import study_data
from ensembudget.errors import ArgumentError, ExportError
from ensembudget.families._build import describe
from ensembudget.packing.parts import parts_of
from ensembudget.store.documents import canonical, sha256
from helpers import command
from text_worlds import PAD, QUERIES, START, clinc, corpus

STUDY = """
name = "texts"
description = "two sizes of ensemble"
family = "transformer"
options = {{ layers = 1, heads = 2 }}
dataset = "{dataset}"
length = {length}
validation_size = {held}
budgets = ["9k"]
tolerance = 0.5
members = [1, 2]
replicates = 1
pool = 2
mode = "adamw"
keep_weights = true
stepping = {{ pack = 2, compiled = false, threads = 1 }}

[recipe]
epochs = 20
batch_size = 4
learning_rate = 0.02
warmup_steps = 2
"""
BEGINNINGS = ["abc, ab", "d", "abd. abc, abd. abc"]


class Shipped:
    """A study that was run on a small dataset, and its ensemble of two, exported."""

    def __init__(self, root: Path, dataset: str, length: int = 12, held: int = 0) -> None:
        self.study, self.root, self.out = root / "study.toml", root / "store", root / "shipped"
        self.study.write_text(STUDY.format(dataset=dataset, length=length, held=held))
        ran = command("run", self.study, "--store", self.root, "--executor", "serial")
        assert ran.code == 0, ran.err
        study = ensembudget.load_study(self.study)
        self.data = study_data(study)
        self.said = self.export("safetensors", self.out)
        assert self.said.code == 0, self.said.err
        self.plan = ensembudget.plan_study(study)

    def export(self, formats: str, out: Path):
        where = "--store", self.root, "--budget", "9k", "--members", 2
        return command("export", self.study, *where, "--format", formats, "--out", out)

    @cached_property
    def logits(self) -> np.ndarray:
        """Stored, of the two members, (member, answer, class), float64."""
        (split,) = [one for one in self.plan.splits if one.members == 2]
        found = [ensembudget.Store(self.root).read(run.key) for run in self.plan.cell_of(split).runs[:2]]
        return np.stack([one.test_logits for one in found]).astype(np.float64)

    def probabilities(self) -> np.ndarray:
        """What the stored logits say, (answer, class)."""
        temperature = ensembudget.load(self.out).card.blueprint.temperature
        average = softmax(self.logits, -1).mean(0) ** (1 / temperature)
        return average / average.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def texts(tmp_path_factory, cache) -> Shipped:
    folder = tmp_path_factory.mktemp("texts")
    return Shipped(folder, clinc(folder / "data"), held=2)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory, cache) -> Shipped:
    folder = tmp_path_factory.mktemp("blocks")
    (folder / "running.txt").write_text("abc, abd. " * 60)
    return Shipped(folder, f"characters:{folder / 'running.txt'}", length=8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, cache) -> Shipped:
    folder = tmp_path_factory.mktemp("pairs")
    return Shipped(folder, corpus(folder / "data"))


@pytest.fixture
def folder_of(texts, tmp_path) -> Path:
    shutil.copytree(texts.out, tmp_path / "copy")
    return tmp_path / "copy"


def test_texts_get_the_probabilities_of_the_stored_logits_without_the_data(texts, tmp_path):
    data = texts.study.parent / "data"
    data.rename(tmp_path / "data")
    found = ensembudget.load(texts.out).predict([text for text, _ in QUERIES["test"]])
    (tmp_path / "data").rename(data)
    assert np.abs(found.probabilities - texts.probabilities()).max() < 1e-5
    votes = texts.logits.argmax(-1)
    assert np.array_equal(found.disagreement, votes[0] != votes[1])


def test_entropy_is_of_the_probabilities_in_nats(texts):
    found = ensembudget.load(texts.out).predict([text for text, _ in QUERIES["oos_test"]])
    assert found.entropy == pytest.approx(entropy(found.probabilities, axis=-1), abs=1e-6)


def test_one_text_is_a_batch_of_one_and_a_text_is_read_alike_in_any_batch(texts):
    ensemble = ensembudget.load(texts.out)
    some = ["play a song", "is it cold, and will it rain today or what is on my account, my account"]
    alone = [ensemble.predict(text).probabilities[0] for text in some]
    assert np.abs(ensemble.predict(some).probabilities - alone).max() < 1e-6
    assert ensemble.class_names == ["balance", "music", "weather"]


def test_the_folder_holds_the_tokenizer_and_says_how_texts_become_tokens(texts):
    ensemble = ensembudget.load(texts.out)
    assert {one.name for one in texts.out.iterdir()} == {
        "README.md", "card.json", "ensemble.safetensors", "tokenizer.json",
    }  # fmt: skip
    inputs = ensemble.card.blueprint.inputs
    pieces = Tokenizer.from_file(str(texts.out / "tokenizer.json"))
    assert (pieces.get_vocab_size(), pieces.id_to_token(inputs.padding)) == (inputs.vocabulary, "[PAD]")
    assert (inputs.kind, inputs.length) == ("text_classification", 12)
    data = ensemble.card.data
    assert (data.training_samples, data.validation_samples, data.test_samples, data.test_answers) == (
        5,
        2,
        3,
        3,
    )
    page = (texts.out / "README.md").read_text()
    assert "image" not in page
    assert 'ensemble.predict(["a sentence", "another"])' in page
    assert "on 3 test texts, on which every file was run again" in texts.said.out


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([], "there are no texts"),
        (7, "texts of type int are not read"),
        (["rain", 7], "text 1 is of type int"),
        (["rain", ""], "text 1 has no tokens, for it is empty"),
        (["\ud800"], r"text 0 has half a character"),
        (b"rain", "text 0 is of type int"),
    ],
)
def test_what_is_no_text_is_refused_in_one_sentence(texts, samples, said):
    with pytest.raises(ArgumentError, match=said):
        ensembudget.load(texts.out).predict(samples)


def test_a_text_that_spells_a_reserved_token_stays_a_text(texts):
    ensemble = ensembudget.load(texts.out)
    spelled, unknown = (ensemble.predict(text).probabilities for text in ("play [PAD]", "play"))
    assert np.abs(spelled - unknown).max() > 1e-6


def test_a_classifier_does_not_translate(texts):
    with pytest.raises(ArgumentError, match=r"this ensemble does not translate\. Call `predict`"):
        ensembudget.load(texts.out).translate("la casa")


@pytest.mark.parametrize("change", ["missing", "changed", "longer"])
def test_a_damaged_tokenizer_is_noticed(folder_of, change):
    path = folder_of / "tokenizer.json"
    content = path.read_bytes()
    path.unlink()
    if change != "missing":
        path.write_bytes(content.replace(b"PAD", b"PAX") if change == "changed" else content + b" ")
    with pytest.raises(ExportError, match=r"tokenizer\.json"):
        ensembudget.load(folder_of)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "speech"}, "inputs of kind 'speech' are not known here; known are images"),
        ({"vocabulary": 10**12}, "and 1,000,000,000,000, numbered from 0, are expected"),
        ({"length": 10**9}, "length: Input should be less than"),
        ({"source": 12}, "source takes 12 of 12 positions"),
        ({"padding": 1}, "padding"),
    ],
)
def test_a_card_that_does_not_fit_its_tokenizer_is_refused(folder_of, change, said):
    path = folder_of / "card.json"
    document = json.loads(path.read_text())
    document.pop("sha256")
    document["card"]["blueprint"]["inputs"] |= change
    path.write_text(json.dumps(document | {"sha256": sha256(canonical(document))}))
    with pytest.raises(ExportError, match=said):
        ensembudget.load(folder_of)


def test_a_file_that_is_no_tokenizer_is_refused(folder_of):
    path = folder_of / "card.json"
    document = json.loads(path.read_text())
    document.pop("sha256")
    (folder_of / "tokenizer.json").write_bytes(b"[]")
    document["card"]["blueprint"]["inputs"]["tokenizer"] = {"file_bytes": 2, "sha256": sha256(b"[]")}
    path.write_text(json.dumps(document | {"sha256": sha256(canonical(document))}))
    with pytest.raises(ExportError, match=r"tokenizer\.json of .* cannot be used: it is no tokenizer"):
        ensembudget.load(folder_of)


def token_logits(shipped: Shipped, rows: np.ndarray) -> np.ndarray:
    """The members' logits at every position of some rows, (member, row, position, token), by the family."""
    (split,) = [one for one in shipped.plan.splits if one.members == 2]
    cell, store = shipped.plan.cell_of(split), ensembudget.Store(shipped.root)
    found = []
    for run in cell.runs[:2]:
        network = describe(cell.cell.family, cell.cell.width, shipped.data.task,
                                       options=cell.cell.options)  # fmt: skip
        state = {name: torch.from_numpy(one) for name, one in store.weights(run.key).items()}
        network.load_state_dict(state, assign=True)
        with torch.no_grad():
            found.append(network.eval()(torch.from_numpy(rows).long()).double().numpy())
    return np.stack(found)


def mean_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    average = softmax(logits, -1).mean(0) ** (1 / temperature)
    return average / average.sum(-1, keepdims=True)


def test_a_language_model_gives_the_probabilities_of_the_token_that_follows(blocks):
    ensemble = ensembudget.load(blocks.out)
    found = ensemble.predict(BEGINNINGS)
    for text, row in zip(BEGINNINGS, found.probabilities, strict=True):
        tokens = np.array([[ensemble.class_names.index(one) for one in text[-8:]]])
        wanted = mean_of(token_logits(blocks, tokens)[:, 0, -1], ensemble.card.blueprint.temperature)
        assert np.abs(row - wanted).max() < 1e-5
    assert ensemble.class_names[found.probabilities[0].argmax()] in "cd"


def test_every_scored_position_was_compared_with_the_store(blocks):
    card = ensembudget.load(blocks.out).card
    asked = parts_of(blocks.plan.cells[0].cell, blocks.data.arrays).test
    assert (card.data.test_answers, card.data.test_samples) == (len(asked.labels), len(asked.inputs))
    own = blocks.probabilities()
    assert card.quality.own_accuracy == (own.argmax(1) == asked.labels.numpy()).mean()
    assert card.files["safetensors"].difference < 1e-3
    assert f"on {len(asked.labels):,} positions of {len(asked.inputs):,} test blocks" in blocks.said.out


def greedy(shipped: Shipped, sentence: str, temperature: float) -> str:
    """A translation by taking the likeliest token, one after another."""
    pieces, task = Tokenizer.from_str(shipped.data.arrays.tokenizer), shipped.data.task
    tokens = pieces.encode(sentence, add_special_tokens=False).ids
    row = [*tokens, *[PAD] * (task.source - len(tokens)), START]
    while len(row) < task.length:
        means = mean_of(token_logits(shipped, np.array([row]))[:, 0, -1], temperature)
        means[[PAD, START]] = -1
        row.append(int(means.argmax()))
        if pieces.id_to_token(row[-1]) == "[END]":
            break
    return pieces.decode(row[task.source :])


def test_a_translator_translates(pairs):
    ensemble = ensembudget.load(pairs.out)
    sentences = ["la casa es roja", "el perro come pan", "el pan"]
    wanted = [greedy(pairs, one, ensemble.card.blueprint.temperature) for one in sentences]
    assert ensemble.translate(sentences, beam=1) == wanted
    assert ensemble.translate(sentences[0], beam=1) == wanted[:1]
    assert len(ensemble.translate(sentences)) == 3
    with pytest.raises(ArgumentError, match="beam = 0 keeps no hypothesis"):
        ensemble.translate(sentences, beam=0)


def test_a_translator_gives_the_probabilities_of_the_token_that_follows(pairs):
    ensemble, pieces = ensembudget.load(pairs.out), Tokenizer.from_file(str(pairs.out / "tokenizer.json"))
    asked = [("la casa es roja", ""), ("el perro come", "the dog")]
    found = ensemble.predict(asked).probabilities
    for (sentence, so_far), row in zip(asked, found, strict=True):
        tokens = pieces.encode(sentence, add_special_tokens=False).ids
        target = [START, *pieces.encode(so_far, add_special_tokens=False).ids]
        whole = [*tokens, *[PAD] * (12 - len(tokens)), *target]
        wanted = mean_of(
            token_logits(pairs, np.array([whole]))[:, 0, -1], ensemble.card.blueprint.temperature
        )
        assert np.abs(row - wanted).max() < 1e-5
    with pytest.raises(ArgumentError, match=r"`predict` takes a pair \(sentence, translation so far\)"):
        ensemble.predict(["la casa"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["texts", "blocks", "pairs"])
def test_graphs_of_tokens_give_the_stored_numbers_at_every_batch(name, request, tmp_path):
    import onnxruntime

    shipped = request.getfixturevalue(name)
    said = shipped.export("safetensors,torch,onnx", tmp_path / "graphs")
    assert said.code == 0, said.err
    card = ensembudget.load(tmp_path / "graphs").card
    assert set(card.files) == {"safetensors", "torch", "onnx"}
    asked = parts_of(shipped.plan.cells[0].cell, shipped.data.arrays).test
    wanted = mean_of(token_logits(shipped, asked.inputs.numpy()), card.blueprint.temperature)
    program = torch.export.load(tmp_path / "graphs" / "ensemble.pt2").module()
    session = onnxruntime.InferenceSession(tmp_path / "graphs" / "ensemble.onnx")
    for count in (1, 2, len(asked.inputs)):
        some = asked.inputs[:count]
        answers = {
            "torch": program(some)[0].numpy(),
            "onnx": session.run(["probabilities"], {"tokens": some.numpy()})[0],
        }
        for kind, found in answers.items():
            assert np.abs(found - wanted[:count]).max() < 1e-5, (kind, count)
