"""Turns datasets of text into token arrays, in the form that a study asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError, told
from ..records import TokenTask
from ..tasks._base import IGNORED
from ..tasks._tokens import END, PADDING, START, UNKNOWN
from ._base import Arrays, Labels, Pairs, Running, Texts, Treatment
from ._pieces import NAMES, PAIR_MARKS, TEXT_MARKS, byte_pairs, characters, encoded

VOCABULARY = 1000  # tokens, unless a study says otherwise
LENGTH = {Texts: 32, Pairs: 64, Running: 64}  # tokens of a sample, or of each sentence; likewise
SHORTEST, LONGEST = 2, 2**14  # tokens of a sample that a study may ask for

Tokens = NDArray[np.int32]


def tokens_of(found: Texts | Pairs | Running, spec: str, form: Treatment) -> tuple[Arrays, tuple[str, ...]]:
    """Tokenizes the texts of a dataset.

    Args:
        found: The texts.
        spec: What messages call the dataset.
        form: `vocabulary` and `length`; None takes `VOCABULARY` and `LENGTH`.

    Returns:
        The arrays, and notes for readers of results: what was left out, cut or unknown, one sentence each.

    Raises:
        DatasetError: Too little text, a class without training texts, or a vocabulary that is too small.
    """
    length = form.length or LENGTH[type(found)]
    vocabulary = VOCABULARY if form.vocabulary is None else form.vocabulary
    if isinstance(found, Running):
        return _running(found, spec, length)
    arrays, notes = (
        _texts(found, spec, vocabulary, length)
        if isinstance(found, Texts)
        else _pairs(found, spec, vocabulary, length)
    )
    return arrays, (*notes, *_fewer(arrays, form))


def _fewer(arrays: Arrays, form: Treatment) -> Iterator[str]:
    """A note where texts have fewer pieces than are asked for."""
    if form.vocabulary and isinstance(task := arrays.task, TokenTask) and task.vocabulary < form.vocabulary:
        yield (
            f"The vocabulary has {task.vocabulary:,} tokens, not {form.vocabulary:,}: no other pair of pieces"
            " occurs twice in the training texts."
        )


def _texts(found: Texts, spec: str, vocabulary: int, length: int) -> tuple[Arrays, tuple[str, ...]]:
    """Texts with a class each. Texts that are too long are cut; those without a token are left out."""
    trained = len(found.train) - found.held
    pieces = byte_pairs(found.train[:trained], vocabulary, TEXT_MARKS, spec)
    notes = list[str]()

    def made(texts: Sequence[str], labels: Sequence[int], part: str) -> tuple[Tokens, Labels, int]:
        rows = list(encoded(pieces, texts))
        kept = [i for i, row in enumerate(rows) if row]
        count = _Counts(f"{part} texts", len(rows), length, notes)
        count.left_out(len(rows) - len(kept), "they have no tokens")
        count.cut(sum(len(row) > length for row in rows))
        count.unknown(sum(UNKNOWN in row for row in rows))
        held = sum(i >= trained for i in kept)
        return padded([rows[i] for i in kept], length), np.array([labels[i] for i in kept], np.int64), held

    train, train_labels, held = made(found.train, found.train_labels, "training")
    _check_classes(found.class_names, train_labels[: len(train_labels) - held], spec)
    test, test_labels, _ = made(found.test, found.test_labels, "test")
    outside = made(found.outside, [0] * len(found.outside), "out-of-scope test")[0]
    classes = len(found.class_names)
    arrays = Arrays(
        *(train, train_labels, test, test_labels, classes, found.class_names),
        task=TokenTask("text_classification", classes, pieces.get_vocab_size(), length),
        tokenizer=pieces.to_str(),
        outside_inputs=outside if len(outside) else None,
    )
    return arrays, (*_held(held if found.held else 0, "texts"), *notes)


def _check_classes(names: Sequence[str], trained: Labels, spec: str) -> None:
    if missing := set(range(len(names))) - set(trained.tolist()):
        name = names[min(missing)]
        raise DatasetError(f"dataset {spec!r}: class {told(name)} has no training texts with a token.")


def _pairs(found: Pairs, spec: str, vocabulary: int, length: int) -> tuple[Arrays, tuple[str, ...]]:
    """Sentence pairs, with one vocabulary for source and target.

    A sentence that is too long, the end token of a target included, is cut in test pairs; training pairs with
    one are left out.
    """
    trained = found.train[: len(found.train) - found.held]
    pieces = byte_pairs(
        [one for side in zip(*trained, strict=True) for one in side], vocabulary, PAIR_MARKS, spec
    )
    size, notes = pieces.get_vocab_size(), list[str]()

    def made(pairs: Sequence[tuple[str, str]], part: str) -> tuple[Tokens, Labels, NDArray[np.int64]]:
        sources, targets = (list(encoded(pieces, [pair[side] for pair in pairs])) for side in (0, 1))
        both = list(zip(sources, targets, strict=True))
        full = np.array([bool(a) and bool(b) for a, b in both], bool)
        long = full & np.array([len(a) > length or len(b) >= length for a, b in both], bool)
        count = _Counts(f"{part} sentence pairs", len(pairs), length, notes)
        count.left_out(int((~full).sum()), "a sentence has no tokens")
        if part == "training":
            count.left_out(int(long.sum()), f"a sentence has more than {length:,} tokens")
            full &= ~long
        else:
            count.cut(int(long.sum()))
        kept = np.flatnonzero(full)
        count.unknown(sum(UNKNOWN in both[i][0] or UNKNOWN in both[i][1] for i in kept))
        first = padded([sources[i] for i in kept], length)
        second = padded([[START, *targets[i]] for i in kept], length)
        labels = padded([[*targets[i], END] for i in kept], length, IGNORED).astype(np.int64)
        return np.concatenate([first, second], 1), labels, kept

    train, train_labels, kept = made(found.train, "training")
    test, test_labels, _ = made(found.test, "test")
    arrays = Arrays(
        *(train, train_labels, test, test_labels, size),
        task=TokenTask("translation", size, size, 2 * length, length),
        tokenizer=pieces.to_str(),
    )
    return arrays, (*_held(int((kept >= len(trained)).sum()), "sentence pairs"), *notes)


def _running(found: Running, spec: str, length: int) -> tuple[Arrays, tuple[str, ...]]:
    """Consecutive blocks of characters; the label of each position is the character after it."""
    most = min(len(found.train), len(found.test)) - 1
    instead = f"Set length to at most {most:,}, or take" if most >= SHORTEST else "Take"
    for text, part in ((found.train, "training"), (found.test, "test")):
        if len(text) <= length:
            raise DatasetError(
                f"dataset {spec!r} has {len(text):,} {part} characters, and a block of {length:,} and the"
                f" character that follows it are needed. {instead} a longer text."
            )
    alphabet = sorted(set(found.train))
    size = len(TEXT_MARKS) + len(alphabet)
    train, test = (_numbers(text, alphabet) for text in (found.train, found.test))
    arrays = Arrays(
        *(*_blocks(train, length), *_blocks(test, length), size),
        task=TokenTask("language_model", size, size, length),
        tokenizer=characters(alphabet),
    )
    notes = list[str]()
    _Counts("test characters", len(test), length, notes).unknown(int((test == UNKNOWN).sum()))
    return arrays, tuple(notes)


def _numbers(text: str, alphabet: Sequence[str]) -> NDArray[np.int64]:
    """The token of each character, (character,)."""
    codes = np.array([ord(one) for one in alphabet], np.uint32)
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    place = np.searchsorted(codes, points).clip(max=len(codes) - 1)
    return np.where(codes[place] == points, place + len(TEXT_MARKS), UNKNOWN).astype(np.int64)


def _blocks(tokens: NDArray[np.int64], length: int) -> tuple[Tokens, Labels]:
    whole = (len(tokens) - 1) // length * length  # the rest is shorter than a block
    inputs, labels = tokens[:whole], tokens[1 : whole + 1]
    return inputs.reshape(-1, length).astype(np.int32), labels.reshape(-1, length)


def padded(rows: Sequence[Sequence[int]], length: int, filling: int = PADDING) -> Tokens:
    """Rows as one array, (row, position), int32: longer rows are cut, and shorter ones padded.

    >>> padded([[5], [6, 7, 8]], 2)
    array([[5, 0],
           [6, 7]], dtype=int32)
    """
    found = np.full((len(rows), length), filling, np.int32)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = row[:length]
    return found


@dataclass(frozen=True)
class _Counts:
    """Notes on how many samples of one part of a dataset were left out, cut or unknown.

    Attributes:
        samples: What they are, in the plural: "test texts".
        total: How many there are.
        length: Tokens of a sample.
        notes: The notes are appended here, none for a count of 0.
    """

    samples: str
    total: int
    length: int
    notes: list[str]

    def left_out(self, count: int, why: str) -> None:
        if count:
            self.notes.append(f"Left out, because {why}: {count:,} of {self.total:,} {self.samples}.")

    def cut(self, count: int) -> None:
        if count:
            self.notes.append(f"Cut to {self.length:,} tokens: {count:,} of {self.total:,} {self.samples}.")

    def unknown(self, count: int) -> None:
        if count:
            self.notes.append(
                f"With characters that no training text has, which are the token {NAMES[UNKNOWN]}:"
                f" {count:,} of {self.total:,} {self.samples}."
            )


def _held(count: int, samples: str) -> Iterator[str]:
    if count:
        yield (
            f"The last {count:,} training {samples} are those that the source holds out for validation:"
            f" validation_size = {count} holds out exactly these."
        )
