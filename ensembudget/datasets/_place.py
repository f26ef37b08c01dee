"""Folders and files that follow a dataset's name, as in `parquet:DIR`."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import DatasetError, reason, told


def folder_of(kind: str, place: str) -> Path:
    """The folder of a dataset.

    Raises:
        DatasetError: It is not there, or its name is none.
    """
    said = f"dataset '{kind}:DIR':"
    try:
        if Path(place).is_dir():
            return Path(place)
    except OSError as error:
        raise DatasetError(f"{said} {told(place)} cannot be read: {reason(error)}.") from None
    raise DatasetError(
        f"{said} there is no folder {told(place)}. A folder is relative to the study file, or to the"
        " current folder where the command line names it."
    )


def file_of(kind: str, place: str, names: Sequence[str] = ()) -> Path:
    """The file of a dataset.

    Args:
        kind: The dataset's name.
        place: The file, or where there are names, a folder that holds one of them.
        names: What the file is called in a folder.

    Raises:
        DatasetError: It is not there.
    """
    said, path = f"dataset {f'{kind}:{place}'!r}:", Path(place)
    try:
        if path.is_dir():
            for name in names:
                if (path / name).exists():
                    return path / name
            wanted = f"no {' or '.join(names)} in it" if names else "a file is needed"
            raise DatasetError(f"{said} {told(place)} is a folder, and {wanted}. Name the file.")
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        raise DatasetError(f"{said} {told(place)} cannot be read: {reason(error)}.") from None
    raise DatasetError(
        f"{said} there is no file {told(place)}. A file is relative to the study file, or to the current"
        " folder where the command line names it."
    )


def directed(place: str) -> tuple[str, str]:
    """Splits the place of a corpus into its folder and its direction, "" where there is none.

    >>> directed("data/bible:es-en"), directed("data/bible")
    (('data/bible', 'es-en'), ('data/bible', ''))
    """
    where, _, direction = place.rpartition(":")
    if not where or "-" not in direction or "/" in direction or Path(place).is_dir():
        return place, ""
    return where, direction


def direction_of(place: str) -> str:
    """The direction of the place of a corpus, "es-en", or "" where there is none."""
    return directed(place)[1]
