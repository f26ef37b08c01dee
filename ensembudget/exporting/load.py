"""Reads what `export` wrote, without running code that a file may bring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..catalog import FORMATS
from ..errors import EnsembudgetError, ExportError, reason, told
from ..files import read_regular
from ..store.documents import sha256
from .card import CARD, Card, WrittenFile, read_card
from .formats._base import Format
from .graph import EnsemblePrediction, Runner, in_parts
from .needs import check_needs
from .pictures import prepared

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

    @property
    def class_names(self) -> Sequence[str]:
        """In the order of the probabilities."""
        return self.card.blueprint.class_names

    def predict(self, images: Any) -> EnsemblePrediction:
        """Probabilities of every class, and how far the members disagree.

        Pictures of any size are cut to their central square and resized, as images of the study were.

        Args:
            images: A path, a PIL picture, an array of uint8 (row, column), (row, column, channel) or (sample,
                row, column, channel), or a list of these.

        Returns:
            `probabilities` (sample, class) and `disagreement` (sample,), float32.

        Raises:
            ArgumentError: Not such images, or none.
            DatasetError: A file that is missing or is no picture.
        """
        blueprint = self.card.blueprint
        return in_parts(self._run, torch.from_numpy(prepared(images, blueprint.task)), blueprint.members)


def load(folder: str | Path, format: str | None = None) -> LoadedEnsemble:
    """Reads an exported ensemble. Nothing is unpickled, and every file is compared with its digest.

    Args:
        folder: As `export` wrote it.
        format: `safetensors` or `onnx`; None takes the first of these that is there.

    Raises:
        ExportError: No exported ensemble, or one that is damaged, or does not have this format.
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
    return LoadedEnsemble(card, name, runner_of(part, content, card, card.files[name], where))


def runner_of(part: Format, content: bytes, card: Card, written: WrittenFile, where: str) -> Runner:
    """What runs a file, after comparing it with its card.

    Raises:
        ExportError: They do not belong together.
    """
    if len(content) != written.file_bytes or sha256(content) != written.sha256:
        raise ExportError(
            f"{where} is damaged: {part.file} does not match its size and digest in {CARD}. Export it again."
        )
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
