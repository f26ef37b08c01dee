"""Tokenizers: byte-pair encoding by the tokenizers package, and single characters.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (arXiv:1508.07909).
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError
from ..tasks._tokens import END, PADDING, START, UNKNOWN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The names of the reserved tokens, by number. A tokenizer numbers them in the order of its marks.
NAMES = {PADDING: "[PAD]", UNKNOWN: "[UNK]", START: "[START]", END: "[END]"}
TEXT_MARKS = tuple(NAMES[number] for number in range(START))
PAIR_MARKS = tuple(NAMES[number] for number in range(len(NAMES)))
SPACE = "▁"  # stands for a space, as in the tokenizers package
AT_ONCE = 4096  # texts that are encoded at one time
LEAST_OFTEN = 2  # how often a pair must occur to become a piece


def byte_pairs(texts: Sequence[str], vocabulary: int, marks: Sequence[str], spec: str) -> "Tokenizer":
    """Trains a byte-pair tokenizer on texts; the same texts give the same tokenizer.

    Pieces are first all characters of the texts, and then, again and again, the most frequent pair of
    neighbouring pieces, until the vocabulary is full. They do not cross words, punctuation or digits. A space
    belongs to the word after it, and texts are not normalised, so that tokens decode to the text.

    Args:
        texts: Training texts, none of validation or test.
        vocabulary: The most tokens, reserved ones included; fewer if no more pairs occur twice.
        marks: The names of the reserved tokens, which are numbered first.
        spec: What messages call the dataset.

    Raises:
        DatasetError: The characters and reserved tokens alone exceed the vocabulary, or the tokenizers
            package is not installed.

    Example:
        >>> pieces = byte_pairs(["low lower", "low"], 12, TEXT_MARKS, "texts")
        >>> pieces.get_vocab_size(), pieces.encode("lower", add_special_tokens=False).tokens
        (11, ['▁low', 'e', 'r'])
    """
    tokenizers = library(f"dataset {spec!r}")
    alphabet = len(set().union(*texts) - {" "} | {SPACE})
    if vocabulary < (least := len(marks) + alphabet):
        raise DatasetError(
            f"dataset {spec!r}: a vocabulary of {vocabulary:,} is too small. Its training texts have"
            f" {alphabet:,} different characters, which with {len(marks)} reserved tokens take {least:,}."
            f" Set vocabulary = {least} or more."
        )
    found: Tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=NAMES[UNKNOWN]))
    parts = tokenizers.pre_tokenizers
    found.pre_tokenizer = parts.Sequence(
        [parts.Metaspace(), parts.Punctuation("isolated"), parts.Digits(individual_digits=True)]
    )
    found.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(marks), show_progress=False, min_frequency=LEAST_OFTEN
    )
    found.train_from_iterator(texts, trainer)
    return found


def encoded(pieces: "Tokenizer", texts: Sequence[str]) -> Iterator[list[int]]:
    """The tokens of each text; a text that contains the name of a reserved token, as "[PAD]", stays text."""
    pieces.encode_special_tokens = True
    for start in range(0, len(texts), AT_ONCE):
        some = list(texts[start : start + AT_ONCE])
        yield from (one.ids for one in pieces.encode_batch_fast(some, add_special_tokens=False))


def characters(alphabet: Sequence[str]) -> str:
    """A tokenizer of single characters as JSON, in the format of the tokenizers package.

    It is written without that package. After the reserved tokens, characters are numbered in their order.
    """
    names = [*TEXT_MARKS, *alphabet]
    mark = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": NAMES[UNKNOWN],
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


def library(asker: str) -> Any:
    """The tokenizers package.

    Raises:
        DatasetError: It is not installed; the message says who asked.
    """
    try:
        import tokenizers
    except ImportError:
        raise DatasetError(
            f"{asker} needs the package tokenizers, which is not installed: pip install 'ensembudget[text]'."
        ) from None
    return tokenizers
