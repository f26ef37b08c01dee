"""Folders that follow a dataset's name, as in `parquet:DIR`."""

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
