"""Vocabularies: byte-pair pieces by the tokenizers package, and single characters.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (arXiv:1508.07909).
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError
from ..tasks import _tokens as ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Tokens that stand for no text, by number. The last two mark where a sentence begins and ends.
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[START]", "[END]"
UNKNOWN_TOKEN, START_TOKEN, END_TOKEN = ids.UNKNOWN, ids.START, ids.END
assert ids.PADDING == 0
TEXT_MARKS, PAIR_MARKS = (PAD, UNKNOWN), (PAD, UNKNOWN, START, END)
SPACE = "▁"  # stands for a space, as the package has it
AT_ONCE = 4096  # texts that are made tokens at one time
ONCE = 2  # a piece that occurs less often is none


def byte_pairs(texts: Sequence[str], vocabulary: int, marks: Sequence[str], spec: str) -> "Tokenizer":
    """Trains byte-pair pieces on texts; the same texts give the same pieces.

    Every character of the texts is a piece, and then whatever two neighbouring pieces occur together most
    often, until there are enough. Pieces do not reach across words, punctuation or digits. A space is part of
    the word that follows it, so that tokens are decoded to the text. Nothing is changed of the texts.

    Args:
        texts: Training texts alone.
        vocabulary: Pieces and marks; there are fewer where no more pairs occur twice.
        marks: Tokens that stand for no text; they come first.
        spec: The dataset, as messages call it.

    Raises:
        DatasetError: The characters alone are more, or the tokenizers package is not there.

    Example:
        >>> pieces = byte_pairs(["low lower", "low"], 12, TEXT_MARKS, "texts")
        >>> pieces.get_vocab_size(), pieces.encode("lower", add_special_tokens=False).tokens
        (11, ['▁low', 'e', 'r'])
    """
    library = _library(spec)
    alphabet = len(set().union(*texts) - {" "} | {SPACE})
    if vocabulary < (least := len(marks) + alphabet):
        raise DatasetError(
            f"dataset {spec!r}: a vocabulary of {vocabulary:,} is too small. Its training texts have"
            f" {alphabet:,} different characters, which with {len(marks)} tokens that stand for no text take"
            f" {least:,}. Set vocabulary = {least} or more."
        )
    found: Tokenizer = library.Tokenizer(library.models.BPE(unk_token=UNKNOWN))
    parts = library.pre_tokenizers
    found.pre_tokenizer = parts.Sequence(
        [parts.Metaspace(), parts.Punctuation("isolated"), parts.Digits(individual_digits=True)]
    )
    found.decoder = library.decoders.Metaspace()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(marks), show_progress=False, min_frequency=ONCE
    )
    found.train_from_iterator(texts, trainer)
    return found


def encoded(pieces: "Tokenizer", texts: Sequence[str]) -> Iterator[list[int]]:
    """The tokens of each text; a text that spells a mark, as "[PAD]", is text."""
    pieces.encode_special_tokens = True
    for start in range(0, len(texts), AT_ONCE):
        some = list(texts[start : start + AT_ONCE])
        yield from (one.ids for one in pieces.encode_batch_fast(some, add_special_tokens=False))


def characters(alphabet: Sequence[str]) -> str:
    """A vocabulary of single characters in the JSON of the tokenizers package, which need not be there.

    Padding is token 0, what is not in the alphabet 1, and the first character 2.
    """
    names = [*TEXT_MARKS, *alphabet]
    mark = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": UNKNOWN,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: number for number, name in enumerate(names)},
        "merges": [],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **mark} for i, name in enumerate(TEXT_MARKS)],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": model,
    }
    return json.dumps(whole)


def _library(spec: str) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise DatasetError(
            f"dataset {spec!r} needs the package tokenizers, which is not installed: pip install"
            " 'ensembudget[text]'."
        ) from None
    return tokenizers
