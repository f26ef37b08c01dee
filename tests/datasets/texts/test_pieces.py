"""Byte-pair tokenizers against byte pairs by hand, and what their tokens decode to."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ensembudget.datasets._load import load
from ensembudget.datasets._pieces import PAIR_MARKS, TEXT_MARKS, byte_pairs, encoded
from ensembudget.errors import DatasetError
from text_worlds import END, ENGLISH, PAD, QUERIES, START, UNKNOWN, clinc


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


def test_a_text_that_contains_the_name_of_a_reserved_token_stays_text():
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
