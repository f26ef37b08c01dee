"""Reads what `export` wrote, without running code that a file may bring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..catalog import FORMATS
from ..errors import ArgumentError, EnsembudgetError, ExportError, reason, told
from ..files import read_regular
from ..store.documents import sha256
from .card import CARD, Card, WrittenFile, read_card
from .formats._base import Format
from .graph import EnsemblePrediction, Runner, in_parts
from .inputs._base import Batch, Inputs, Reader, SideFile
from .needs import check_needs

LARGEST_CARD = 2**24  # bytes; a card of a thousand classes and members has less than a hundredth


@dataclass(frozen=True)
class LoadedEnsemble:
    """An exported ensemble, ready to predict.

    Attributes:
        card: All that is known of it: data, budget, quality, provenance.
        format: The one that was read.
    """

    card: Card
    format: str
    _run: Runner = field(repr=False)
    _reader: Reader = field(repr=False)

    @property
    def class_names(self) -> Sequence[str]:
        """In the order of the probabilities."""
        return self.card.blueprint.class_names

    def predict(self, samples: Any) -> EnsemblePrediction:
        """Probabilities of every class, and how far the members disagree.

        Pictures of any size are cut to their central square and resized, as images of the study were. Texts
        are tokenized and cut as those of the study were.

        Args:
            samples: Of images a path, a PIL picture, an array of uint8 (row, column), (row, column, channel)
                or (sample, row, column, channel), or a list of these. Of texts one, or a list of them.

        Returns:
            `probabilities` (sample, class), `disagreement` (sample,) and `entropy` (sample,), float32.

        Raises:
            ArgumentError: Not such samples, or none.
            DatasetError: A file that is missing or is no picture.
        """
        return self._answer(self._reader.batch(samples))

    def translate(self, sentences: Any, beam: int = 4) -> list[str]:
        """Translations of sentences, by beam search over the members' mean probabilities.

        Args:
            sentences: One, or a list of them.
            beam: Hypotheses kept for each sentence; 1 is greedy search.

        Returns:
            One translation a sentence.

        Raises:
            ArgumentError: The ensemble does not translate, or these are no sentences, or none.
        """
        if beam < 1:
            raise ArgumentError(f"beam = {beam} keeps no hypothesis. Set beam to at least 1: greedy search.")
        return self._reader.translations(sentences, lambda batch: self._answer(batch).probabilities, beam)

    def _answer(self, batch: Batch) -> EnsemblePrediction:
        return in_parts(self._run, batch, self.card.blueprint)


def load(folder: str | Path, format: str | None = None) -> LoadedEnsemble:
    """Reads an exported ensemble. Nothing is unpickled, and every file is compared with its digest.

    Args:
        folder: As `export` wrote it.
        format: `safetensors` or `onnx`; None takes the first of these that is there.

    Raises:
        ExportError: No exported ensemble, or one that is damaged, or does not have this format.
        DatasetError: Reading the inputs takes a package that is not installed.
        UnknownPartError: No such format, or a family that is not installed here.
    """
    folder = Path(folder)
    where = repr(str(folder))
    try:
        card = read_card(_content(folder, CARD, LARGEST_CARD), where)
    except FileNotFoundError:
        raise ExportError(f"{where} is no exported ensemble: it has no {CARD}.") from None
    name = _chosen(card, format, where)
    part = FORMATS[name]
    check_needs(name, part.reads_with)
    try:
        content = _content(folder, part.file, card.files[name].file_bytes)
    except FileNotFoundError:
        raise ExportError(f"{where} is damaged: {part.file} is missing. Export it again.") from None
    reader = _reader(folder, card.blueprint.inputs, where)
    return LoadedEnsemble(card, name, runner_of(part, content, card, card.files[name], where), reader)


def _reader(folder: Path, inputs: Inputs, where: str) -> Reader:
    """What reads users' samples, by the files that lie beside the card.

    Raises:
        ExportError: A file is missing, damaged, or not what it should be.
    """
    contents = {}
    for name, told_of in inputs.files.items():
        try:
            contents[name] = _content(folder, name, told_of.file_bytes)
        except FileNotFoundError:
            raise ExportError(f"{where} is damaged: {name} is missing. Export it again.") from None
        _check_digest(name, contents[name], told_of, where)
    try:
        return inputs.reader(contents)
    except ValueError as error:
        raise ExportError(f"{' and '.join(contents)} of {where} cannot be used: {error}.") from None


def _check_digest(name: str, content: bytes, wanted: WrittenFile | SideFile, where: str) -> None:
    if len(content) != wanted.file_bytes or sha256(content) != wanted.sha256:
        raise ExportError(
            f"{where} is damaged: {name} does not match its size and digest in {CARD}. Export it again."
        )


def runner_of(part: Format, content: bytes, card: Card, written: WrittenFile, where: str) -> Runner:
    """What runs a file, after comparing it with its card.

    Raises:
        ExportError: They do not belong together.
    """
    _check_digest(part.file, content, written, where)
    try:
        return part.read(content, card.blueprint)
    except ValueError as error:
        raise ExportError(f"{part.file} of {where} cannot be used: {error}.") from None
    except EnsembudgetError as error:
        raise ExportError(f"{CARD} of {where} names a network that cannot be built here: {error}") from None


def _chosen(card: Card, format: str | None, where: str) -> str:
    there = [name for name in card.files if name in FORMATS and FORMATS[name].safe]
    if format is None and there:
        return sorted(there, key=lambda name: name != "safetensors")[0]
    known = f"It has {', '.join(sorted(card.files)) or 'none'}."
    if format is None:
        raise ExportError(f"{where} has no format that can be loaded without running a file's code. {known}")
    if not FORMATS[format].safe:
        raise ExportError(
            f"format {format!r} is not loaded, for a file of it can bring code that runs. Load another, or"
            f" call {FORMATS[format].about} yourself where you trust it. {known}"
        )
    if format not in card.files:
        raise ExportError(f"{where} has no format {format!r}. {known}")
    return format


def _content(folder: Path, name: str, most: int) -> bytes:
    """A file of the folder that is no longer than expected.

    Raises:
        FileNotFoundError: It is not there.
        ExportError: It lies elsewhere, is too long, or cannot be read.
    """
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise ExportError(f"{str(path)!r} is a link to a file outside its folder, which is not followed.")
        if path.stat().st_size > most:
            raise ExportError(
                f"{str(path)!r} has {path.stat().st_size:,} bytes, and at most {most:,} belong there."
            )
        return read_regular(path, most)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(name) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"{told(str(path))} cannot be read: {reason(error)}.") from None
