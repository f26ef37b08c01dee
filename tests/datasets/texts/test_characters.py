"""Running text: blocks of characters, and the next character as the label."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ensembudget.datasets._load import load
from ensembudget.datasets._pieces import characters
from ensembudget.errors import DatasetError
from ensembudget.records import TokenTask
from text_worlds import UNKNOWN


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


def test_a_character_of_the_test_text_alone_is_unknown(tmp_path):
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


def test_characters_have_no_vocabulary_to_choose(tmp_path):
    (tmp_path / "h.txt").write_text("abc" * 300)
    with pytest.raises(
        DatasetError, match=r"holds characters, which have no vocabulary.*of characters: length"
    ):
        load(f"characters:{tmp_path / 'h.txt'}", vocabulary=50)
