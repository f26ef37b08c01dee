"""Parallel corpora: every pair is its source and target; what is cut, left out or refused."""

import pytest
from tokenizers import Tokenizer

from ensembudget.datasets._load import load
from ensembudget.datasets._read import read_lines
from ensembudget.errors import DatasetError
from ensembudget.records import TokenTask
from text_worlds import END, ENGLISH, NONE, PAD, SPANISH, START, corpus, text_of


def test_an_input_is_the_source_and_then_the_target_after_a_start_token(tmp_path):
    data = load(corpus(tmp_path / "p"), vocabulary=60, length=20)
    arrays, size = data.arrays, Tokenizer.from_str(data.arrays.tokenizer).get_vocab_size()
    assert data.task == TokenTask("translation", size, size, 40, 20)
    assert arrays.train_labels.shape == (5, 20)
    pieces = Tokenizer.from_str(arrays.tokenizer)
    for row, labels, source, target in zip(
        arrays.train_inputs, arrays.train_labels, SPANISH, ENGLISH, strict=True
    ):
        first, second = pieces.encode(source).ids, pieces.encode(target).ids
        assert row.tolist() == first + [PAD] * (20 - len(first)) + [START] + second + [PAD] * (
            19 - len(second)
        )
        assert labels.tolist() == second + [END] + [NONE] * (19 - len(second))
        assert pieces.decode(row[:20].tolist()) == source
        assert text_of(arrays, labels) == target
        filled = labels != NONE
        assert (row[21:][filled[1:]] == labels[:-1][filled[1:]]).all()  # position i predicts token i + 1


def test_the_direction_says_what_is_translated(tmp_path):
    spec = corpus(tmp_path / "p")
    there, back = load(spec), load(spec.replace("es-en", "en-es"))
    assert there.digest != back.digest
    assert text_of(there.arrays, there.arrays.test_labels[0]) == ENGLISH[0]
    assert text_of(back.arrays, back.arrays.test_labels[0]) == SPANISH[0]
    assert (there.name, back.name) == ("p-es-en", "p-en-es")


def test_both_sides_have_one_vocabulary_of_the_training_pairs_alone(tmp_path):
    arrays = load(
        corpus(tmp_path / "p", test_es=["zzz"], test_en=["qqq"], val_es=["xxx"], val_en=["yyy"])
    ).arrays
    marks = {"[PAD]", "[UNK]", "[START]", "[END]"}
    letters = set("".join(set(Tokenizer.from_str(arrays.tokenizer).get_vocab()) - marks))
    assert letters == set("".join(SPANISH + ENGLISH)) - {" "} | {"▁"}


def test_long_pairs_are_left_out_of_training_cut_in_the_test_and_counted(tmp_path):
    spec = corpus(
        tmp_path / "p", val_es=["la casa es", "el pan"], val_en=["the house is red red red", "bread"]
    )
    pieces = Tokenizer.from_str(load(spec, length=50).arrays.tokenizer)
    sizes = [
        (len(pieces.encode(a).ids), len(pieces.encode(b).ids)) for a, b in zip(SPANISH, ENGLISH, strict=True)
    ]
    limit = sorted(max(a, b + 1) for a, b in sizes)[2]
    fitting = [a <= limit and b + 1 <= limit for a, b in sizes]
    data = load(spec, length=limit)
    held = sum(
        len(pieces.encode(a).ids) <= limit and len(pieces.encode(b).ids) < limit
        for a, b in (("la casa es", "the house is red red red"), ("el pan", "bread"))
    )
    assert len(data.arrays.train_inputs) == sum(fitting) + held
    assert 0 < sum(fitting) < 5
    left, cut = 7 - sum(fitting) - held, 2 - sum(fitting[:2])
    assert (
        f"Left out, because a sentence has more than {limit} tokens: {left} of 7 training sentence pairs."
        in data.notes
    )
    assert (f"Cut to {limit} tokens: {cut} of 2 test sentence pairs." in data.notes) == (cut > 0)
    assert data.notes[0].startswith(f"The last {held} training sentence pairs")
    shortest = load(spec, length=4)
    assert len(shortest.arrays.test_inputs) == 2
    assert (shortest.arrays.test_labels != END).any(axis=1).all()


def test_pairs_with_an_empty_side_are_left_out_and_counted(tmp_path):
    data = load(corpus(tmp_path / "p", train_es=[*SPANISH[:4], ""], test_en=["the dog", ""]))
    assert len(data.arrays.train_inputs) == 4
    assert "Left out, because a sentence has no tokens: 1 of 5 training sentence pairs." in data.notes
    assert "Left out, because a sentence has no tokens: 1 of 2 test sentence pairs." in data.notes


def test_lines_end_as_they_do_on_any_system_and_nowhere_else(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffone\r\ntwo\u2028still two\n\nlast".encode())
    assert read_lines(tmp_path / "x.txt", "x") == ["one", "two\u2028still two", "", "last"]


@pytest.mark.parametrize(
    ("change", "direction", "message"),
    [
        ({}, "", r"say which side is translated into which, as 'pairs:.*:en-es' or 'pairs:.*:es-en'"),
        ({}, ":es-de", "say which side is translated into which"),
        ({"train_es": SPANISH[:3]}, ":es-en", r"'train.es' has 3 lines and 'train.en' 5; line by line"),
        ({"train_es": [], "train_en": []}, ":es-en", "'train.es' has no sentences"),
        ({"train_es": [" "] * 5}, ":es-en", "'train.es' has no sentences"),
        ({"train_fr": SPANISH}, ":es-en", r"3 files train\.\*, and two are needed"),
        ({"val_es": SPANISH}, ":es-en", r"1 files val\.\*, and two are needed, one of each language"),
        (
            {"val_es": SPANISH, "val_fr": SPANISH},
            ":es-en",
            "training files end in 'en, es', and those of val in 'es, fr'",
        ),
    ],
)
def test_a_corpus_that_cannot_be_trained_on_is_refused(tmp_path, change, direction, message):
    corpus(tmp_path / "p", **change)
    with pytest.raises(DatasetError, match=message):
        load(f"pairs:{tmp_path / 'p'}{direction}")


@pytest.mark.parametrize("name", ["train.en", "test.es"])
def test_a_one_sided_corpus_is_refused_with_what_the_folder_holds(tmp_path, name):
    spec = corpus(tmp_path / "p")
    (tmp_path / "p" / name).unlink()
    with pytest.raises(
        DatasetError, match=rf"1 files {name[:-3]}\.\*, and two are needed.*The folder holds 't"
    ):
        load(spec)


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    spec = corpus(tmp_path / "p")
    corpus(tmp_path / "p", ".gz")
    with pytest.raises(DatasetError, match=r"there are both 'test.en' and 'test.en.gz'\. Remove one"):
        load(spec)
