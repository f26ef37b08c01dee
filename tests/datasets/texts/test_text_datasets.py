"""What all datasets of text have in common: cache, digest, notes, and what a study may ask."""

import importlib
import sys
from dataclasses import replace

import pytest

from ensembudget.catalog import DATASETS
from ensembudget.datasets._cache import digest_of, open_cached
from ensembudget.datasets._load import load, study_data, study_task, task_of
from ensembudget.datasets._look import look
from ensembudget.datasets._shared import shared_note
from ensembudget.errors import DatasetError
from ensembudget.records import Study
from text_worlds import QUERIES, clinc, corpus, every_dataset


def test_a_dataset_comes_back_from_the_cache_whole(tmp_path, monkeypatch):
    for spec in every_dataset(tmp_path):
        first = load(spec)
        name = spec.partition(":")[0]
        module = importlib.import_module(f"ensembudget.datasets.{name}")
        with monkeypatch.context() as patch:
            patch.setattr(module, "dataset", replace(DATASETS[name], decode=None))  # it is not called again
            again = load(spec)
        assert (again.digest, again.notes, again.name, again.task) == (
            first.digest,
            first.notes,
            first.name,
            first.task,
        )
        assert again.arrays.tokenizer == first.arrays.tokenizer
        for one, other in zip(again.arrays[:4], first.arrays[:4], strict=True):
            assert one.dtype == other.dtype
            assert (one == other).all()
        if first.arrays.outside_inputs is not None:
            assert (again.arrays.outside_inputs == first.arrays.outside_inputs).all()
        opened = open_cached(first.digest, "x")
        assert (opened.task, opened.arrays.tokenizer) == (first.task, first.arrays.tokenizer)


def test_the_digest_is_of_what_networks_see_and_of_what_tokens_mean(tmp_path):
    arrays = load(clinc(tmp_path / "c")).arrays
    digest = digest_of(arrays)
    assert digest_of(load(clinc(tmp_path / "elsewhere")).arrays) == digest
    assert digest_of(load(clinc(tmp_path / "f", oos_train=[], oos_val=[["x", "oos"]])).arrays) == digest
    assert digest_of(load(clinc(tmp_path / "g", oos_test=[["x", "oos"]])).arrays) != digest
    assert digest_of(arrays._replace(tokenizer=arrays.tokenizer.replace("account", "number"))) != digest
    assert digest_of(arrays._replace(outside_inputs=None)) != digest
    assert digest_of(arrays._replace(class_names=("a", "b", "c"))) == digest
    seen = {
        digest,
        *(load(clinc(tmp_path / "c"), **one).digest for one in ({"length": 31}, {"vocabulary": 40})),
    }
    assert len(seen) == 3


def test_texts_that_are_tested_and_trained_on_are_counted(tmp_path):
    spec = clinc(tmp_path / "c", test=[QUERIES["train"][0], QUERIES["val"][0], ["any song", "music"]])
    (said,) = shared_note(load(spec).arrays)
    assert said.startswith("SHARED TEXTS: 2 of 3 test texts are, token for token, training texts too")
    (said,) = shared_note(load(corpus(tmp_path / "p")).arrays)
    assert said.startswith("SHARED SENTENCE PAIRS: 2 of 2 test sentence pairs")
    assert shared_note(load(clinc(tmp_path / "d")).arrays) == []


def test_a_note_says_where_there_are_fewer_pieces_than_were_asked_for(tmp_path):
    data = load(clinc(tmp_path / "c"), vocabulary=5_000)
    size = data.task.vocabulary
    assert any(note.startswith(f"The vocabulary has {size:,} tokens, not 5,000") for note in data.notes)
    assert not any("The vocabulary" in note for note in load(clinc(tmp_path / "d"), vocabulary=size).notes)


@pytest.mark.parametrize("asked", [-1, 0, 3])
def test_a_vocabulary_that_is_too_small_is_answered_with_the_smallest_of_these_texts(tmp_path, asked):
    spec = clinc(tmp_path / "c")
    study = Study(
        name="x", description="x", family="transformer", budgets=[1], dataset=spec, vocabulary=asked
    )
    with pytest.raises(DatasetError, match=rf"a vocabulary of {asked} is too small") as caught:
        study_data(study)
    characters = set("".join(text for text, _ in QUERIES["train"]))
    least = 2 + len(characters | {" "})  # padding and unknown; the blank is a character too
    assert f"Set vocabulary = {least} or more." in str(caught.value)
    assert load(spec, vocabulary=least).task.vocabulary == least


def test_a_study_says_how_many_tokens_there_are(tmp_path):
    given_ = {"name": "x", "description": "x", "family": "vgg", "budgets": [1]}
    study = Study(dataset=clinc(tmp_path / "c"), vocabulary=40, length=7, **given_)
    data = study_data(study)
    assert data.digest == load(study.dataset, vocabulary=40, length=7).digest
    assert study_task(study) == data.task == task_of(study.dataset, vocabulary=40, length=7)
    assert (data.name, data.task.length, data.task.vocabulary) == ("c-40pieces-7tokens", 7, 40)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"image_size": 16}, "holds texts, which have no image_size.*of texts: vocabulary, length"),
        ({"colour": "grey", "skip_corrupt": True}, "have no colour or skip_corrupt"),
        ({"vocabulary": 3}, "a vocabulary of 3 is too small"),
        ({"vocabulary": 10**6}, "vocabulary 1,000,000 is above 131,072 tokens"),
        ({"length": 1}, "length 1 is not between 2 and 16,384 tokens"),
        ({"length": 10**9}, "length 1,000,000,000 is not between"),
    ],
)
def test_choices_that_belong_to_images_are_refused_for_texts(tmp_path, asked, message):
    spec = clinc(tmp_path / "c")
    load(spec)  # what is in the cache changes nothing
    for read in (load, task_of):
        with pytest.raises(DatasetError, match=message):
            read(spec, **asked)


@pytest.mark.parametrize("asked", [{"vocabulary": 50}, {"vocabulary": 0}, {"length": 10}])
def test_choices_that_belong_to_texts_are_refused_for_images(asked):
    for read in (load, task_of):
        with pytest.raises(DatasetError, match=f"'digits' holds images, which have no {next(iter(asked))}"):
            read("digits", **asked)


def test_a_missing_tokenizers_package_is_named_with_what_installs_it(tmp_path, monkeypatch):
    clinic, pairs, plain = every_dataset(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for spec in (clinic, pairs):
        with pytest.raises(
            DatasetError, match=r"needs the package tokenizers.*pip install 'ensembudget\[text\]'"
        ):
            load(spec)
    assert load(plain).arrays.tokenizer  # single characters need no package


def test_no_study_of_texts_is_proposed(tmp_path):
    with pytest.raises(DatasetError, match="holds no images, and only a study of images can be proposed"):
        look(clinc(tmp_path / "c"))
