"""A folder of Parquet files as the Hugging Face hub lays out images: `parquet:DIR`.

The files are `train*.parquet` and `test*.parquet` (or `validation*.parquet`), with a column of images, each a
struct of `bytes` and `path`, and an integer column `label` (or `fine_label`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DatasetError, reason, told
from ..files import open_regular
from ._base import Dataset, Picture, Pictures
from ._decode import CorruptImageError
from ._place import folder_of

AT_ONCE = 2**28  # bytes that a batch of rows may decode to, and all rows beyond what the file says
MOST_ROWS = 4096  # of a batch
LABELS = ("label", "fine_label", "labels")


def files(place: str) -> list[Path]:
    return [*_split_files(place, "train"), *_test_files(place)]


def decode(place: str) -> Pictures:
    train, test = _read(_split_files(place, "train")), _read(_test_files(place))
    names = _class_names(files(place)[0])
    classes = len(names) or max((picture.label for picture in [*train, *test]), default=-1) + 1
    return Pictures(train, test, classes, names)


def _split_files(place: str, split: str) -> list[Path]:
    folder = folder_of("parquet", place)
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


def _read(paths: list[Path]) -> list[Picture]:
    return [picture for path in paths for picture in _pictures(path)]


def _pictures(path: Path) -> list[Picture]:
    try:
        with open_regular(path) as file:
            column, labels = _columns(pq.ParquetFile(file), path)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DatasetError(f"{str(path)!r} is not a readable Parquet file: {reason(error)}.") from None
    if column.null_count or labels.null_count or not pa.types.is_integer(labels.type):
        raise DatasetError(f"{str(path)!r} has rows without an image or without an integer label.")
    rows = zip(column, labels.to_numpy().astype(np.int64).tolist(), strict=True)
    return [_picture(value, label, f"row {row} of {path.name}") for row, (value, label) in enumerate(rows)]


def _columns(parquet: pq.ParquetFile, path: Path) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Images and labels. A few bytes can stand for any number of equal values, so that rows are decoded a few
    at a time, and no more than the file says it holds.
    """
    schema, about = parquet.schema_arrow, parquet.metadata
    image_columns = [f.name for f in schema if _is_image(f.type)]
    label_columns = [name for name in LABELS if name in schema.names]
    if not image_columns or not label_columns:
        raise DatasetError(
            f"{str(path)!r} has columns {told(', '.join(schema.names))[1:-1]}; it needs a column of images (a"
            f" struct of bytes and path) and one named {' or '.join(LABELS)}."
        )
    names = [image_columns[0], label_columns[0]]
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    sizes = [one.column(i).total_uncompressed_size for one in groups for i in range(one.num_columns)]
    rows = min(MOST_ROWS, max(1, AT_ONCE // max([1, *sizes])))
    most, size, batches = sum(max(0, one) for one in sizes) + AT_ONCE, 0, []
    for batch in parquet.iter_batches(rows, columns=names):
        size += batch.nbytes
        if size > most:
            raise DatasetError(
                f"{str(path)!r} decodes to more than {most:,} bytes, the most by what it says of itself."
            )
        batches.append(batch)
    table = pa.Table.from_batches(batches, pa.schema([schema.field(name) for name in names]))
    return table[names[0]], table[names[1]]


def _picture(value: Any, label: int, name: str) -> Picture:
    def read() -> bytes:
        content = value.as_py()["bytes"]
        if content is None:
            raise CorruptImageError(f"{name} holds a path but no image bytes.")
        return bytes(content)

    return Picture(name, label, read)


def _is_image(kind: Any) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes according to the hub's metadata, none where it does not say."""
    metadata = pq.read_schema(path).metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(next(map(str, features[name]["names"]) for name in LABELS if name in features))
    except (KeyError, StopIteration, ValueError, TypeError, RecursionError):
        return ()


dataset = Dataset(decode, files, needs_place=True)
