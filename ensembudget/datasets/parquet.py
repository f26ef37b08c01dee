"""A folder of Parquet files as the Hugging Face hub lays out images: `parquet:DIR`.

The files are `train*.parquet` and `test*.parquet` (or `validation*.parquet`), with a column of images, each a
struct of `bytes` and `path`, and an integer column `label` (or `fine_label`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DatasetError
from ._base import Arrays, Dataset, Images, Labels
from ._decode import decode_image, stack

LABELS = ("label", "fine_label", "labels")


def files(place: str) -> list[Path]:
    return [*_split_files(place, "train"), *_test_files(place)]


def decode(place: str) -> Arrays:
    train, test = _read(_split_files(place, "train"), place), _read(_test_files(place), place)
    classes = (
        _named_classes(files(place)[0]) or int(max(train[1].max(initial=-1), test[1].max(initial=-1))) + 1
    )
    return Arrays(*train, *test, classes=classes)


def _split_files(place: str, split: str) -> list[Path]:
    folder = Path(place)
    if not folder.is_dir():
        raise DatasetError(f"dataset 'parquet:{place}': there is no folder {place!r}.")
    # The hub names files train-00000-of-00001.parquet, or keeps them in data/.
    found = sorted(folder.rglob(f"{split}*.parquet"))
    if not found and split == "train":
        seen = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise DatasetError(f"dataset 'parquet:{place}': no train*.parquet in {place!r}. It holds {seen}.")
    return found


def _test_files(place: str) -> list[Path]:
    found = _split_files(place, "test") or _split_files(place, "validation")
    if not found:
        raise DatasetError(
            f"dataset 'parquet:{place}': no test*.parquet or validation*.parquet in {place!r}."
        )
    return found


def _read(paths: list[Path], place: str) -> tuple[Images, Labels]:
    tables = [_table(path, place) for path in paths]
    images = stack((image for table in tables for image in table[0]), f"parquet:{place}")
    return images, np.concatenate([labels for _, labels in tables])


def _table(path: Path, place: str) -> tuple[Iterator[tuple[str, Images]], Labels]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{str(path)!r} is not a readable Parquet file: {error}.") from None
    image_columns = [f.name for f in table.schema if _is_image(f.type)]
    label_columns = [name for name in LABELS if name in table.column_names]
    if not image_columns or not label_columns:
        raise DatasetError(
            f"{str(path)!r} has columns {', '.join(table.column_names)}; it needs a column of images (a"
            f" struct of bytes and path) and one named {' or '.join(LABELS)}."
        )
    column, labels = table[image_columns[0]], table[label_columns[0]]
    if column.null_count or labels.null_count or not pa.types.is_integer(labels.type):
        raise DatasetError(f"{str(path)!r} has rows without an image or without an integer label.")

    def decoded() -> Iterator[tuple[str, Images]]:
        for row, value in enumerate(column):
            content = value.as_py()["bytes"]
            name = f"row {row} of {path.name}"
            if content is None:
                raise DatasetError(f"{name} holds a path but no image bytes.")
            yield name, decode_image(content, name)

    return decoded(), labels.to_numpy().astype(np.int64)


def _is_image(kind: Any) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _named_classes(path: Path) -> int | None:
    """The number of classes according to the hub's metadata, None where it does not say."""
    metadata = pq.read_schema(path).metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return next(len(features[name]["names"]) for name in LABELS if name in features)
    except (KeyError, StopIteration, ValueError, TypeError):
        return None


dataset = Dataset(decode, files, needs_place=True)
