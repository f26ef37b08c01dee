"""Datasets of texts: what becomes of each text, by oracles that know nothing of the code under test."""

import gzip
import importlib
import json
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ensembudget.catalog import DATASETS
from ensembudget.datasets._base import Arrays, Pairs, Running, Texts, Treatment
from ensembudget.datasets._cache import digest_of, open_cached
from ensembudget.datasets._check import check
from ensembudget.datasets._load import label, load, study_data, study_task, task_of
from ensembudget.datasets._look import look
from ensembudget.datasets._pieces import PAIR_MARKS, TEXT_MARKS, byte_pairs, characters, encoded
from ensembudget.datasets._read import read_lines, read_text
from ensembudget.datasets._shared import shared_note
from ensembudget.datasets._tokens import tokens_of
from ensembudget.errors import DatasetError
from ensembudget.records import Study, TokenTask

PAD, UNKNOWN, START, END, NONE = 0, 1, 2, 3, -100


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "cache"))


QUERIES = {
    "train": [
        ["how much is on my account", "balance"],
        ["what is left on the account", "balance"],
        ["will it rain today", "weather"],
        ["how warm is it today", "weather"],
        ["play a song", "music"],
    ],
    "val": [["is it cold", "weather"], ["play it", "music"]],
    "test": [["is there rain", "weather"], ["any song will do", "music"], ["my account", "balance"]],
    "oos_train": [["never read", "oos"]],
    "oos_val": [["nor is this", "oos"]],
    "oos_test": [["who is there", "oos"], ["run to the sea", "oos"]],
}


def clinc(folder: Path, name: str = "data_full.json", **changes: object) -> str:
    """A folder in the layout of CLINC150."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(QUERIES | changes).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return f"clinc150:{folder}"


SPANISH = ["la casa es roja", "el perro come", "la casa come pan", "el pan es bueno", "el perro es rojo"]
ENGLISH = ["the house is red", "the dog eats", "the house eats bread", "the bread is good", "the dog is red"]


def corpus(folder: Path, ending: str = "", **lines: list[str]) -> str:
    """A folder in the layout of a parallel corpus: `train_es=[...]` replaces the lines of one file."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train_es": SPANISH, "train_en": ENGLISH, "test_es": SPANISH[:2], "test_en": ENGLISH[:2]}
    for name, some in (files | lines).items():
        content = "".join(f"{line}\n" for line in some).encode()
        path = folder / (name.replace("_", ".") + ending)
        path.write_bytes(gzip.compress(content) if ending else content)
    return f"pairs:{folder}:es-en"


def text_of(arrays: Arrays, row: np.ndarray) -> str:
    """Tokens back to text, by the tokenizers package alone."""
    return Tokenizer.from_str(arrays.tokenizer).decode([int(one) for one in row if one >= 0])


# ---- The vocabulary.


def words_of(text: str) -> list[str]:
    """Words with the space before each, of lower-case texts without punctuation."""
    return [f"▁{word}" for word in text.split(" ")]


def pairs_by_hand(texts: list[str], count: int) -> list[str]:
    """Byte-pair pieces as Sennrich et al. train them; of equals the pair of the earlier pieces."""
    words = Counter(tuple(word) for text in texts for word in words_of(text))
    pieces = sorted({one for word in words for one in word})
    while len(pieces) < count:
        found: Counter[tuple[str, str]] = Counter()
        for word, often in words.items():
            for pair in pairwise(word):
                found[pair] += often
        rank = {piece: number for number, piece in enumerate(pieces)}
        best = min(found, key=lambda pair: (-found[pair], rank[pair[0]], rank[pair[1]]), default=None)
        if best is None or found[best] < 2:
            break
        pieces.append("".join(best))
        merged: Counter[tuple[str, ...]] = Counter()
        for word, often in words.items():
            made, place = [], 0
            while place < len(word):
                both = word[place : place + 2] == best
                made.append("".join(best) if both else word[place])
                place += 2 if both else 1
            merged[tuple(made)] += often
        words = merged
    return pieces


@pytest.mark.parametrize("count", [30, 34, 45, 200])
def test_the_pieces_are_those_of_byte_pairs_by_hand(count):
    texts = [text for text, _ in QUERIES["train"]] + ENGLISH
    found = byte_pairs(texts, count + 2, TEXT_MARKS, "x")
    names = sorted(found.get_vocab(), key=found.get_vocab().get)
    assert names[:2] == ["[PAD]", "[UNK]"]
    assert names[2:] == pairs_by_hand(texts, count)


WRITTEN = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="▁"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(WRITTEN, min_size=1, max_size=5))
def test_tokens_decode_to_the_text_they_were_made_of(texts):
    texts = [text.strip() or "a" for text in texts]
    pieces = byte_pairs(texts, 500, PAIR_MARKS, "x")
    again = Tokenizer.from_str(pieces.to_str())
    for text, tokens in zip(texts, encoded(pieces, texts), strict=True):
        assert again.decode(tokens) == text
        assert min(tokens) > END


def test_a_text_that_spells_a_mark_is_text():
    pieces = byte_pairs(["[PAD] it", "[END] of it"], 100, PAIR_MARKS, "x")
    (tokens,) = encoded(pieces, ["[PAD] [END]"])
    assert not {PAD, UNKNOWN, START, END} & set(tokens)
    assert pieces.decode(tokens) == "[PAD] [END]"


def test_pieces_do_not_reach_across_words_punctuation_or_digits():
    pieces = byte_pairs(["it, it, it 42 42 42 42"] * 5, 200, TEXT_MARKS, "x")
    assert not [
        one for one in pieces.get_vocab() if len(one) > 1 and set(one) & set(",42") and "[" not in one
    ]


def test_a_vocabulary_smaller_than_the_characters_need_is_refused_with_the_least(tmp_path):
    spec = clinc(tmp_path / "c")
    letters = set("".join(text for text, _ in QUERIES["train"])) - {" "}
    least = len(letters) + 1 + 2  # what stands for a space, padding and unknown
    message = (
        rf"a vocabulary of {least - 1} is too small.* {len(letters) + 1} different .*vocabulary = {least} or"
    )
    with pytest.raises(DatasetError, match=message):
        load(spec, vocabulary=least - 1)
    assert load(spec, vocabulary=least).task.vocabulary == least


# ---- CLINC150.


@pytest.fixture
def queries(tmp_path):
    return load(clinc(tmp_path / "clinc"), vocabulary=60, length=12)


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


def test_no_vocabulary_is_of_validation_or_test_queries(tmp_path, queries):
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


def test_what_is_cut_or_has_no_tokens_is_counted(tmp_path):
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


# ---- A parallel corpus.


def test_every_pair_is_its_source_and_then_its_target_from_the_start_on(tmp_path):
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


# ---- Running text.


def test_blocks_are_the_text_and_labels_the_next_character(tmp_path):
    text = "To be, or not to be, that is the question:\n" * 7
    (tmp_path / "h.txt").write_text(text)
    data = load(f"characters:{tmp_path / 'h.txt'}", length=8)
    cut = len(text) - len(text) // 10
    names = ["", "?", *sorted(set(text[:cut]))]
    assert data.task == TokenTask("language_model", len(names), len(names), 8)
    for part, inputs, labels in (
        (text[:cut], data.arrays.train_inputs, data.arrays.train_labels),
        (text[cut:], data.arrays.test_inputs, data.arrays.test_labels),
    ):
        blocks = (len(part) - 1) // 8
        assert ["".join(names[one] for one in row) for row in inputs] == [
            part[8 * i :][:8] for i in range(blocks)
        ]
        assert ["".join(names[one] for one in row) for row in labels] == [
            part[8 * i + 1 :][:8] for i in range(blocks)
        ]


def test_a_character_that_is_tested_only_is_unknown(tmp_path):
    (tmp_path / "h.txt").write_text("abc" * 30 + "aééb" + "abc" * 2)
    data = load(f"characters:{tmp_path / 'h.txt'}", length=4)
    assert data.arrays.test_inputs.ravel().tolist().count(UNKNOWN) == 2
    assert not (data.arrays.train_inputs <= UNKNOWN).any()
    (note,) = data.notes
    assert note.endswith("which are the token [UNK]: 2 of 10 test characters.")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40, unique=True))
def test_characters_are_decoded_by_the_tokenizers_package(alphabet):
    pieces = Tokenizer.from_str(characters(alphabet))
    text = "".join(alphabet)
    assert pieces.encode(text).ids == list(range(2, len(alphabet) + 2))
    assert pieces.decode(list(range(2, len(alphabet) + 2))) == text


@pytest.mark.parametrize("text", ["", "short"])
def test_a_text_shorter_than_a_block_is_refused(tmp_path, text):
    (tmp_path / "h.txt").write_text(text)
    with pytest.raises(DatasetError, match=rf"has {len(text)} training characters, and a block of 64"):
        load(f"characters:{tmp_path / 'h.txt'}")


@pytest.mark.parametrize(
    ("count", "instead"),
    [(240, r"Set length to at most 23, or take a longer text\."), (2, r"needed\. Take a longer text\.")],
)
def test_a_text_shorter_than_a_block_is_refused_with_the_length_that_works(tmp_path, count, instead):
    (tmp_path / "h.txt").write_text("ab" * (count // 2))
    with pytest.raises(DatasetError, match=instead):
        load(f"characters:{tmp_path / 'h.txt'}")
    if count > 20:
        assert len(load(f"characters:{tmp_path / 'h.txt'}", length=23).arrays.test_inputs) == 1


# ---- The hub's Parquet.


def hub(folder: Path, column: str, names: list[str] | None = None, **parts: tuple[list, list] | list) -> str:
    folder.mkdir(parents=True)
    for split, rows in parts.items():
        table = (
            pa.table({"id": list(range(len(rows))), column: rows})
            if column == "translation"
            else pa.table({column: rows[0], "label": pa.array(rows[1], pa.int64())})
        )
        if names:
            features = {"label": {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return f"parquet:{folder}"


def of_hub(rows: list[list[str]], names: list[str]) -> tuple[list[str], list[int]]:
    return [text for text, _ in rows], [names.index(intent) for _, intent in rows]


def test_the_hubs_texts_are_those_of_the_same_queries(tmp_path, queries):
    names = ["balance", "music", "weather"]
    parts = {
        k: of_hub(QUERIES[v], names) for k, v in (("train", "train"), ("validation", "val"), ("test", "test"))
    }
    data = load(hub(tmp_path / "h", "text", names, **parts), vocabulary=60, length=12)
    assert data.class_names == queries.class_names
    assert data.notes[0] == queries.notes[0]
    for one, other in zip(data.arrays[:4], queries.arrays[:4], strict=True):
        assert (one == other).all()
    assert data.arrays.outside_inputs is None
    assert data.arrays.tokenizer == queries.arrays.tokenizer


def test_the_hubs_texts_need_neither_names_nor_a_test(tmp_path):
    rows = (["a b", "c d"], [0, 1])
    data = load(hub(tmp_path / "h", "sentence", train=rows, validation=rows))
    assert data.class_names == ("0", "1")
    assert len(data.arrays.train_inputs) == len(data.arrays.test_inputs) == 2


def test_the_hubs_translations_are_those_of_the_same_corpus(tmp_path):
    rows = [{"es": a, "en": b} for a, b in zip(SPANISH, ENGLISH, strict=True)]
    spec = hub(tmp_path / "h", "translation", train=rows, test=rows[:2])
    expected = load(corpus(tmp_path / "p"))
    assert load(f"{spec}:es-en").digest == expected.digest
    assert load(f"{spec}:en-es").digest != expected.digest
    with pytest.raises(DatasetError, match=r"which side is translated into which, as 'parquet:.*:en-es' or"):
        load(spec)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((["a", "b"], [0, 2**62]), "2 training texts for 4,611,686,018,427,387,905 classes"),
        ((["a", "b", "c"], [0, 2, 2]), "class '1' has no training texts"),
        ((["a", "b"], [0, -1]), "label -1 of training text 1 is not in"),
        ((["a", None], [0, 1]), "rows without a text or without an integer label"),
        (([], []), "no training texts"),
    ],
)
def test_texts_of_the_hub_that_cannot_be_trained_on_are_refused(tmp_path, train, message):
    texts = (pa.array(train[0], pa.string()), train[1])
    with pytest.raises(DatasetError, match=message):
        load(hub(tmp_path / "h", "text", train=texts, test=(["a", "b"], [0, 0])))


def test_a_direction_of_files_without_translations_is_refused(tmp_path):
    rows = (["a b", "c d"], [0, 1])
    with pytest.raises(DatasetError, match="hold no translations, which alone have a direction"):
        load(hub(tmp_path / "h", "text", train=rows, test=rows) + ":es-en")


# ---- What all have in common.


def every(folder: Path) -> list[str]:
    (folder / "h.txt").write_text("abc, abd. " * 100)
    return [clinc(folder / "c"), corpus(folder / "p"), f"characters:{folder / 'h.txt'}"]


def test_a_dataset_comes_back_from_the_cache_whole(tmp_path, monkeypatch):
    for spec in every(tmp_path):
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
        ({"vocabulary": 3}, "vocabulary 3 is not between 4 and 131,072 tokens"),
        ({"vocabulary": 10**6}, "vocabulary 1,000,000 is not between"),
        ({"length": 1}, "length 1 is not between 2 and 16,384 tokens"),
        ({"length": 10**9}, "length 1,000,000,000 is not between"),
    ],
)
def test_what_texts_do_not_have_is_refused(tmp_path, asked, message):
    spec = clinc(tmp_path / "c")
    load(spec)  # what is in the cache changes nothing
    for read in (load, task_of):
        with pytest.raises(DatasetError, match=message):
            read(spec, **asked)


@pytest.mark.parametrize("asked", [{"vocabulary": 50}, {"length": 10}])
def test_what_images_do_not_have_is_refused(asked):
    for read in (load, task_of):
        with pytest.raises(DatasetError, match=f"'digits' holds images, which have no {next(iter(asked))}"):
            read("digits", **asked)


def test_characters_have_no_vocabulary_to_choose(tmp_path):
    (tmp_path / "h.txt").write_text("abc" * 300)
    with pytest.raises(
        DatasetError, match=r"holds characters, which have no vocabulary.*of characters: length"
    ):
        load(f"characters:{tmp_path / 'h.txt'}", vocabulary=50)


def test_a_missing_tokenizers_package_is_named_with_what_installs_it(tmp_path, monkeypatch):
    clinic, pairs, plain = every(tmp_path)
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


# ---- Files that somebody hostile made.


def test_a_gzip_bomb_is_not_decompressed_whole(tmp_path):
    (tmp_path / "b.gz").write_bytes(gzip.compress(bytes(10**7), 9))
    with pytest.raises(DatasetError, match=r"'.*b\.gz' holds more than 1,000 bytes of text"):
        read_text(tmp_path / "b.gz", "x", 1000)


def test_a_json_file_of_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "data_full.json").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(DatasetError, match="holds more than 33,554,432 bytes of text"):
        load(f"clinc150:{tmp_path}")


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"abc" * 99)[:-9], gzip.compress(b"a" * 99)[:20]],
    ids=["no gzip", "its end is missing", "half of it is missing"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, content):
    (tmp_path / "h.gz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"h\.gz' is not a readable gzip file"):
        load(f"characters:{tmp_path / 'h.gz'}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("characters:/dev/zero", "is a device or a pipe"),
        ("characters:.", "is a folder, and a file is needed"),
        ("characters:nowhere.txt", "there is no file 'nowhere.txt'"),
        ("clinc150:.", r"no data_full\.json or data_full\.json\.gz in it"),
        ("clinc150:a\0b", "there is no file|cannot be read"),
        ("pairs:nowhere:es-en", "there is no folder 'nowhere'"),
        ("pairs", r"needs a place after a colon, as in pairs:DIR:SOURCE-TARGET"),
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path, monkeypatch, spec, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(DatasetError, match=message):
        load(spec)


def test_the_command_line_refuses_in_one_message_that_no_terminal_obeys(tmp_path, command):
    (tmp_path / "\x1b[31m").mkdir()
    corpus(tmp_path / "\x1b[31m", train_es=SPANISH[:2])
    plan = ("plan", "--family", "vgg", "--budget", "1M")
    said = command(*plan, "--dataset", f"pairs:{tmp_path}/\x1b[31m:es-en")
    assert said.code == 2
    assert "has 2 lines" in said.err
    assert "\x1b" not in said.err
    assert said.err.count("\n") == 1
    said = command(*plan, "--dataset", clinc(tmp_path / "c"), "--image-size", 16)
    assert (said.code, said.out) == (2, "")
    assert "which have no image_size" in said.err
    said = command(*plan, "--dataset", clinc(tmp_path / "c"), "--vocabulary", 5)
    assert said.code == 2
    assert "a vocabulary of 5 is too small" in said.err


# ---- Arrays of tokens, as other packages may bring them.

GOOD = Arrays(
    np.ones((3, 4), np.int32), np.array([0, 1, 0]), np.ones((2, 4), np.int32), np.array([0, 1]), 2,
    task=TokenTask("text_classification", 2, 5, 4), outside_inputs=np.ones((1, 4), np.int32),
)  # fmt: skip
MODEL = TokenTask("language_model", 5, 5, 4)
BLOCKS = GOOD._replace(
    train_labels=np.ones((3, 4), int), test_labels=np.ones((2, 4), int), classes=5, task=MODEL
)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (GOOD._replace(train_inputs=np.ones((3, 3), np.int32)), r"training tokens of shape \(3, 3\)"),
        (
            GOOD._replace(test_inputs=np.full((2, 4), 5)),
            r"token 5 of test sample 0, position 0, is not in 0\.\.4",
        ),
        (GOOD._replace(outside_inputs=np.full((1, 4), -1)), "token -1 of out-of-scope sample 0"),
        (GOOD._replace(train_inputs=np.ones((3, 4))), "type float64"),
        (GOOD._replace(test_labels=np.array([0, 2])), "label 2 of test text 1 is not in 0..1"),
        (GOOD._replace(train_labels=np.array([0, -100, 1])), "label -100 of training text 1"),
        (
            GOOD._replace(train_labels=np.arange(12).reshape(3, 4) % 2),
            r"training labels of shape \(3, 4\); needed is \(sample\)",
        ),
        (GOOD._replace(classes=3), "has 3 classes, and its task 2"),
        (GOOD._replace(test_inputs=np.ones((0, 4), np.int32)), "no test texts"),
        (
            BLOCKS._replace(test_labels=np.full((2, 4), 5)),
            "label 5 of test block 0, position 0, is not in 0..4",
        ),
        (BLOCKS._replace(test_labels=np.full((2, 4), -100)), "no position of any test block has a label"),
        (
            BLOCKS._replace(test_labels=np.ones((2, 3), int)),
            r"labels of shape \(2, 3\); needed is \(sample, 4\)",
        ),
    ],
)
def test_tokens_that_cannot_be_trained_on_are_refused(arrays, message):
    check(GOOD, "x")
    check(BLOCKS._replace(train_labels=np.where(np.arange(4) < 2, 1, -100) * np.ones((3, 1), int)), "x")
    with pytest.raises(DatasetError, match=message):
        check(arrays, "x")


def test_texts_of_another_package_are_made_tokens_alike():
    form = Treatment(vocabulary=40, length=6)
    texts = tokens_of(Texts(["ab", "ba"], [0, 1], ["ab"], [0], ("x", "y")), "mine", form)[0]
    pairs = tokens_of(Pairs([("ab", "ba")], [("ba", "ab")]), "mine", form)[0]
    running = tokens_of(Running("ab" * 30, "ba" * 30), "mine", form)[0]
    assert [one.task.length for one in (texts, pairs, running)] == [6, 12, 6]
