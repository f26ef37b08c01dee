"""Probes of what members say: on texts with queries of no class, and on sentence pairs."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer, models, pre_tokenizers

from ensembudget.catalog import PROBES
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.families._build import describe, materialise, member_state
from ensembudget.landscape.site import TOGETHER, site_of
from ensembudget.records import TokenTask
from ensembudget.tasks._tokens import END, PADDING, START

WORDS = ["[PAD]", "[UNK]", "[START]", "[END]", *"the of and in day god said let there be light".split()]
LENGTH, SOURCE, MEMBERS = 12, 6, 3
TEXTS = TokenTask("text_classification", classes=4, vocabulary=len(WORDS), length=6)
PAIRS = TokenTask("translation", len(WORDS), len(WORDS), LENGTH, SOURCE)
OPTIONS = {"layers": 1, "heads": 2}


def some_tokens(count, positions, seed):
    return np.random.default_rng(seed).integers(4, len(WORDS), (count, positions), dtype=np.int32)


def tokenizer():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(WORDS[:4])
    return made.to_str()


@pytest.fixture(scope="module")
def texts():
    parts = [(some_tokens(30, 6, seed), np.arange(30) % 4) for seed in (0, 1)]
    outside = some_tokens(20, 6, 2)
    return Data("texts", "a" * 64, Arrays(*parts[0], *parts[1], 4, task=TEXTS, outside_inputs=outside))


@pytest.fixture(scope="module")
def pairs():
    """Each sentence is its own translation."""
    parts = []
    for seed in (3, 4):
        sources = some_tokens(12, SOURCE, seed)
        sources[:, 4:] = PADDING
        start, end = np.full((12, 1), START, np.int32), np.full((12, 1), END, np.int32)
        inputs = np.concatenate([sources, start, sources[:, :5]], 1)
        labels = np.concatenate([sources[:, :4], end, np.full((12, 1), -100)], 1).astype(np.int64)
        parts += [inputs, labels]
    return Data("pairs", "b" * 64, Arrays(*parts, len(WORDS), task=PAIRS, tokenizer=tokenizer()))


def site(make_cell, data, members=MEMBERS):
    """At untrained members whose weights are large, so that they are sure of something."""
    cell = make_cell(family="transformer", options=OPTIONS, width=8, train_size=8, validation_size=2)
    network = materialise(
        describe("transformer", 8, data.task, members=members, options=OPTIONS),
        [torch.Generator().manual_seed(one) for one in range(members)],
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    states = [member_state(network, one, members) for one in range(members)]
    weights = [{name: tensor.numpy() for name, tensor in state.items()} for state in states]
    return network.eval(), site_of(cell, data, weights, "c" * 64)


def measured(kind, at, **options):
    probe, shares = PROBES[kind], []
    found = probe.measure(at, {**probe.options, **options}, shares.append)
    assert shares == sorted(shares)
    assert 0.9 <= shares[-1] <= 1
    return found


def test_members_are_packed_as_they_were_trained(make_cell, texts):
    network, at = site(make_cell, texts, members=TOGETHER + 2)
    packed = list(at.members())
    assert [count for _, count in packed] == [TOGETHER, 2]
    tokens = torch.from_numpy(texts.arrays.test_inputs).long()
    with torch.no_grad():
        whole = network(tokens.repeat(1, TOGETHER + 2))
        parts = torch.cat([some(tokens.repeat(1, count)) for some, count in packed], 1)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)


def test_out_of_scope_is_scikit_learns_auroc_of_the_mean_of_the_members(make_cell, texts):
    network, at = site(make_cell, texts)
    facts = measured("out_of_scope", at, draws=50).facts
    arrays = texts.arrays
    tokens = torch.from_numpy(np.concatenate([arrays.test_inputs, arrays.outside_inputs])).long()
    with torch.no_grad():
        logits = network(tokens.repeat(1, MEMBERS)).unflatten(1, (MEMBERS, -1))
    mean = logits.double().softmax(-1).mean(1).numpy()
    truth = [0] * 30 + [1] * 20
    assert facts["entropy_3"] == pytest.approx(roc_auc_score(truth, -(mean * np.log(mean)).sum(-1)))
    assert facts["max_probability_3"] == pytest.approx(roc_auc_score(truth, -mean.max(-1)))
    assert (facts["inside"], facts["outside"]) == (30, 20)
    assert "mutual_information_1" not in facts
    assert {"mutual_information_2", "mutual_information_3"} <= set(facts)
    assert facts == measured("out_of_scope", at, draws=50).facts


def test_translations_are_scored_and_shown(make_cell, pairs):
    _, at = site(make_cell, pairs)
    found = measured("translation", at, members=MEMBERS, sentences=10)
    assert found.facts["sentences"] == 10
    assert len(found.examples) == 3
    for said in found.examples:
        assert said["source"] == said["reference"]  # as these pairs are
        assert set(said) == {"source", "reference", "greedy", "beam"}
        assert set(said["beam"].split()) <= set(WORDS[4:])
    for search in ("greedy", "beam"):
        for score in ("bleu", "chrf"):
            assert 0 <= found.facts[f"{search}_{score}"] <= 100
            assert found.facts[f"{search}_{score}_reach"] >= 0
    assert found == measured("translation", at, members=MEMBERS, sentences=10)


def test_a_member_that_copies_its_source_translates_these_pairs_without_fault(make_cell, pairs, monkeypatch):
    """The references are the targets, whole and in order."""
    _, at = site(make_cell, pairs, members=1)

    def says(self, sentences, prefixes):
        whole = self._sources[sentences].long().clone()
        whole[:, 4:] = END
        return torch.nn.functional.one_hot(whole[:, prefixes.shape[1]], len(WORDS)).log()

    monkeypatch.setattr("ensembudget.decoding.ensemble.NextToken.__call__", says)
    facts = measured("translation", at, members=1).facts
    assert [facts[f"{search}_{score}"] for search in ("greedy", "beam") for score in ("bleu", "chrf")] == (
        pytest.approx([100] * 4)
    )
    assert facts["sentences"] == 12


LACKING = {
    "out_of_scope": ("texts", {"outside_inputs": None}, "no test samples that belong to no class"),
    "translation": ("pairs", {"tokenizer": ""}, "no tokenizer"),
}


@pytest.mark.parametrize("kind", LACKING)
def test_a_probe_says_what_a_dataset_lacks(kind, request):
    name, without, expected = LACKING[kind]
    data = request.getfixturevalue(name)
    assert PROBES[kind].lacks(data.arrays) is None
    lacking = dataclasses.replace(data, arrays=data.arrays._replace(**without))
    assert expected in PROBES[kind].lacks(lacking.arrays)


def test_translation_without_the_packages_says_what_to_install(pairs, monkeypatch):
    monkeypatch.setattr("ensembudget.decoding.corpus.find_spec", lambda name: None)
    assert "pip install 'ensembudget[text]'" in PROBES["translation"].lacks(pairs.arrays)


@pytest.mark.parametrize(("option", "value"), [("beam", 1), ("sentences", 1), ("groups", 0)])
def test_options_too_small_to_translate_by_are_refused(option, value):
    probe = PROBES["translation"]
    assert f"{option} = {value}" in probe.fault({**probe.options, option: value}, 1000)
