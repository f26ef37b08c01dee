"""CLINC150: every query is its text and intent; what is cut, left out or refused."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from ensembudget.datasets._load import label, load
from ensembudget.errors import DatasetError
from ensembudget.records import TokenTask
from text_worlds import QUERIES, UNKNOWN, clinc, text_of


def test_every_query_is_its_text_and_intent(queries):
    arrays = queries.arrays
    assert arrays.class_names == ("balance", "music", "weather")
    for name, inputs, labels in (
        (("train", "val"), arrays.train_inputs, arrays.train_labels),
        (("test",), arrays.test_inputs, arrays.test_labels),
    ):
        rows = [row for part in name for row in QUERIES[part]]
        assert inputs.dtype == np.int32
        assert inputs.shape == (len(rows), 12)
        for (text, intent), tokens, label_ in zip(rows, inputs, labels, strict=True):
            long = len(Tokenizer.from_str(arrays.tokenizer).encode(text).ids) > 12
            said = text_of(arrays, tokens)
            assert text.startswith(said) if long else said == text
            assert arrays.class_names[label_] == intent
    outside = [text_of(arrays, row) for row in arrays.outside_inputs]
    assert len(outside) == 2
    assert all(text.startswith(said) for said, (text, _) in zip(outside, QUERIES["oos_test"], strict=True))


def test_the_task_is_of_the_vocabulary_that_there_is(queries):
    size = Tokenizer.from_str(queries.arrays.tokenizer).get_vocab_size()
    assert queries.task == TokenTask("text_classification", 3, size, 12)
    assert size <= 60


def test_padding_fills_up_the_end_alone(queries):
    for row in queries.arrays.train_inputs:
        used = np.count_nonzero(row)
        assert row[:used].all()
        assert not row[used:].any()


def test_the_validation_queries_are_the_last_and_a_note_says_so(queries):
    assert [text_of(queries.arrays, row) for row in queries.arrays.train_inputs[-2:]] == [
        "is it cold",
        "play it",
    ]
    assert queries.notes[0].startswith("The last 2 training texts are those that the source holds out")
    assert "validation_size = 2 " in queries.notes[0]


def test_validation_and_test_queries_add_nothing_to_the_vocabulary(tmp_path, queries):
    other = [["zebra quilt", "weather"], ["zebra quilt", "music"]]
    tests = [*other, ["zebra", "balance"]]
    changed = load(
        clinc(tmp_path / "o", val=other, test=tests, oos_test=[["zebra", "oos"]]), vocabulary=60, length=12
    )
    assert changed.arrays.tokenizer == queries.arrays.tokenizer
    assert (changed.arrays.test_inputs == UNKNOWN).any()
    assert [note for note in changed.notes if "3 of 3 test texts" in note and "[UNK]" in note]
    trained = [["zebra quilt", "weather"], *QUERIES["train"]]
    assert (
        load(clinc(tmp_path / "p", train=trained), vocabulary=60).arrays.tokenizer != queries.arrays.tokenizer
    )


def test_texts_that_are_cut_or_left_out_are_counted(tmp_path):
    spec = clinc(tmp_path / "c", train=[*QUERIES["train"], ["", "music"]])
    found = load(spec, length=4)
    pieces = Tokenizer.from_str(found.arrays.tokenizer)
    long = sum(len(pieces.encode(text).ids) > 4 for text, _ in QUERIES["train"] + QUERIES["val"])
    assert len(found.arrays.train_inputs) == 7
    assert "Left out, because they have no tokens: 1 of 8 training texts." in found.notes
    assert f"Cut to 4 tokens: {long} of 8 training texts." in found.notes
    assert "The last 2 training texts" in found.notes[0]


def test_a_file_a_folder_and_gzip_hold_the_same_dataset(tmp_path):
    plain, packed = clinc(tmp_path / "a"), clinc(tmp_path / "b", "data_full.json.gz")
    file = f"clinc150:{clinc(tmp_path / 'c', 'queries.json').partition(':')[2]}/queries.json"
    assert load(plain).digest == load(packed).digest == load(file).digest
    assert label(file) == "queries"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": []}, "has no training queries"),
        ({"test": []}, "has no test queries"),
        ({"train": None}, r"has no list 'train'; it holds 'train, val, .*each a list of \[query, intent\]"),
        ({"train": [["a"]]}, r"train\[0\] is \['a'\], and not \[query, intent\]"),
        ({"train": [["a", 3]]}, r"train\[0\] is \['a', 3\]"),
        ({"val": [["\x00\x1b", "\x07", "x"]]}, r"val\[0\] is \['\\x00\\x1b', '\\x07', 'x'\]"),
        ({"test": [["a \ud800", "weather"]]}, r"test\[0\] has half a character"),
        ({"test": [["good day", "greeting"]]}, "class 'greeting' has no training texts"),
        ({"val": [["good day", "greeting"]]}, "class 'greeting' has no training texts"),
        ({"train": [["", "a"]], "val": [], "test": [["", "a"]]}, "has no training texts"),
        ({"train": [["b", "a"]], "val": [], "test": [["b", "a"]]}, "has texts of 1 class"),
        ({"train": [*QUERIES["train"], ["", "blank"]]}, "class 'blank' has no training texts with a token"),
    ],
)
def test_queries_that_cannot_be_trained_on_are_refused(tmp_path, changes, message):
    with pytest.raises(DatasetError, match=message):
        load(clinc(tmp_path / "c", **changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON: Expecting value"),
        (b'{"train": [', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is a JSON list, and an object is needed"),
        (b'{"train": 1}', "has no list 'train'; it holds 'train'"),
        (b"{}", "it holds 'nothing'"),
        (b'{\n"train": "\xff"}', r"is not UTF-8: byte 12, in line 2, is 0xff"),
    ],
)
def test_a_file_that_is_no_such_json_is_refused(tmp_path, content, message):
    (tmp_path / "data_full.json").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load(f"clinc150:{tmp_path}")
