"""Writes an ensemble as one folder: every format run again and compared, then the card, all or nothing."""

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..catalog import FORMATS
from ..errors import ArgumentError, OutputError, reason, told
from ..files import write_new
from ..store.documents import sha256
from .card import CARD, Card, WrittenFile, card_bytes
from .checking import StoredAnswers, checked_difference
from .graph import WeightedEnsemble
from .inputs._base import Batch
from .needs import check_needs
from .readme import README, readme


def check_formats(names: Sequence[str]) -> None:
    """Refuses formats that cannot be written here.

    Raises:
        UnknownPartError: No such format.
        ExportError: What it needs is not installed.
        ArgumentError: None, or one twice.
    """
    for name in names:
        check_needs(name, (*FORMATS[name].writes_with, *FORMATS[name].reads_with))
    if not names or len(set(names)) < len(names):
        raise ArgumentError(
            f"--format {','.join(names)!r} must name formats, each once: {', '.join(FORMATS)}."
        )


def check_target(out: str | Path) -> Path:
    """Refuses a folder that has something in it, or cannot be made.

    Raises:
        OutputError: It says why.
    """
    folder = Path(out)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "has files in it" if folder.is_dir() else "is a file"
            raise OutputError(f"output folder {str(out)!r} {what}. Name another with --out, or remove it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _refusal(out, error) from None
    return folder


def write_folder(
    out: str | Path,
    ensemble: WeightedEnsemble,
    formats: Sequence[str],
    test: Batch,
    answers: StoredAnswers,
    card_of: Callable[[dict[str, WrittenFile]], Card],
    beside: Mapping[str, bytes],
) -> Card:
    """Writes every format, runs each again on the test samples, and then shows the folder.

    Args:
        out: The folder, empty or not there.
        ensemble: What is written.
        formats: By name.
        test: The test samples.
        answers: What the store says of them.
        card_of: Makes the card, once the files are known.
        beside: The contents of other files that the inputs need, by name.

    Raises:
        ExportError: A file gives other answers than the store; nothing is left.
        OutputError: The disk refuses; nothing is left.
    """
    folder = check_target(out)
    staged = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        staged.mkdir()
        files = {name: _written(staged, name, ensemble, test, answers) for name in formats}
        for name, content in beside.items():
            write_new(staged / name, content)
        card = card_of(files)
        write_new(staged / CARD, card_bytes(card))
        write_new(staged / README, readme(card))
        staged.rename(folder)
    except OSError as error:
        raise _refusal(out, error) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return card


def _written(
    staged: Path, name: str, ensemble: WeightedEnsemble, test: Batch, answers: StoredAnswers
) -> WrittenFile:
    part = FORMATS[name]
    path, made = staged / part.file, part.write(ensemble)
    write_new(path, made.content)
    runner = part.read(path.read_bytes(), ensemble.blueprint)
    return WrittenFile(
        file=part.file,
        file_bytes=path.stat().st_size,
        tensor_bytes=made.tensor_bytes,
        sha256=sha256(made.content),
        difference=checked_difference(name, runner, test, answers, ensemble.blueprint),
    )


def _refusal(out: str | Path, error: Exception) -> OutputError:
    return OutputError(
        f"output folder {told(str(out))} cannot be written: {reason(error)}. Name another with --out."
    )
