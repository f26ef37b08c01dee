"""Datasets that torchvision downloads and reads. Files that are there already are used."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..records import Task
from ._base import Arrays, Dataset, Images, Labels
from ._cache import cache_folder


def data_folder() -> Path:
    """Where torchvision's files lie: `$ENSEMBUDGET_DATA`, else a folder of the cache."""
    return Path(os.environ.get("ENSEMBUDGET_DATA") or cache_folder() / "torchvision")


def torchvision_dataset(
    task: Task,
    make: Callable[..., Any],
    *,
    splits: tuple[dict[str, Any], dict[str, Any]],
    files: Sequence[str],
) -> Dataset:
    """A `Dataset` of a torchvision class.

    Args:
        task: Classes, channels and image size.
        make: Returns the class; a function, so that torchvision is imported only when it is needed.
        splits: The class's arguments for training and for test images.
        files: Its files, below the data folder.
    """

    def open_split(arguments: dict[str, Any]) -> Any:
        cls, root = make(), data_folder()
        if (made := root / cls.__name__ / "processed").exists():
            raise DatasetError(
                f"dataset {cls.__name__}: torchvision would unpickle what lies in {str(made)!r} in place of"
                " the dataset's own files, and nothing of strangers is unpickled. Remove that folder."
            )
        try:
            return cls(root, download=False, **arguments)
        except (RuntimeError, ValueError, AssertionError):
            pass  # missing or damaged: torchvision checks its files before it reads them
        try:
            root.mkdir(parents=True, exist_ok=True)
            return cls(root, download=True, **arguments)
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            missing = ", ".join(name for name in files if not (root / name).exists())
            lacks = f"lacks {missing}" if missing else "is damaged (another checksum than torchvision's)"
            raise DatasetError(
                f"dataset {cls.__name__} in {str(root)!r} {lacks}, and cannot be downloaded:"
                f" {' '.join(str(error).split())}."
                " Put torchvision's files there, or name their folder in ENSEMBUDGET_DATA."
            ) from None

    def decode(place: str) -> Arrays:
        train, test = (open_split(arguments) for arguments in splits)
        names = tuple(map(str, getattr(train, "classes", ())))
        named = names if len(names) == task.classes else ()
        return Arrays(*_arrays(train), *_arrays(test), task.classes, named)

    def found(place: str) -> list[Path]:
        return [path for name in files if (path := data_folder() / name).is_file()]

    return Dataset(decode, found, task)


def _arrays(source: Any) -> tuple[Images, Labels]:
    """Images (sample, row, column, channel) and labels of a torchvision dataset, whatever its layout."""
    images = np.asarray(source.data)
    labels = np.asarray(source.targets if hasattr(source, "targets") else source.labels)
    if images.ndim == 3:  # grey, without a channel dimension
        images = images[..., None]
    elif images.shape[1] in (1, 3) and images.shape[-1] not in (1, 3):  # channels first, as SVHN
        images = images.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, np.uint8), labels.astype(np.int64)
