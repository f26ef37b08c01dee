"""Datasets that torchvision knows how to download and read; on disk they are used as they are."""

import os
from collections.abc import Callable
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
    task: Task, make: Callable[..., Any], *, splits: tuple[dict[str, Any], dict[str, Any]], files: str
) -> Dataset:
    """A dataset of torchvision's as one of ours.

    Args:
        task: Classes, channels and image size.
        make: Returns torchvision's class; a function, so that nothing is imported before its use.
        splits: The arguments that choose the training and the test images.
        files: A pattern of its files below the data folder, as torchvision places them.
    """

    def open_split(arguments: dict[str, Any]) -> Any:
        cls, root = make(), data_folder()
        try:
            return cls(root, download=False, **arguments)
        except (RuntimeError, ValueError, AssertionError):
            pass  # not there, or damaged: torchvision checks before it reads
        try:
            root.mkdir(parents=True, exist_ok=True)
            return cls(root, download=True, **arguments)
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            raise DatasetError(
                f"dataset {cls.__name__} is not in {str(root)!r} and cannot be downloaded:"
                f" {' '.join(str(error).split())}."
                " Put torchvision's files there, or name their folder in ENSEMBUDGET_DATA."
            ) from None

    def decode(place: str) -> Arrays:
        train, test = (_arrays(open_split(arguments)) for arguments in splits)
        return Arrays(*train, *test, classes=task.classes)

    def found(place: str) -> list[Path]:
        return [path for path in data_folder().glob(files) if path.is_file()]

    return Dataset(decode, found, task)


def _arrays(source: Any) -> tuple[Images, Labels]:
    """Images (sample, row, column, channel) and labels, whichever way the class keeps them."""
    images = np.asarray(source.data)
    labels = np.asarray(source.targets if hasattr(source, "targets") else source.labels)
    if images.ndim == 3:  # grey, without a channel dimension
        images = images[..., None]
    elif images.shape[1] in (1, 3) and images.shape[-1] not in (1, 3):  # channels first, as SVHN
        images = images.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, np.uint8), labels.astype(np.int64)
