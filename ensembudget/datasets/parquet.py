"""A folder of Parquet files as the Hugging Face hub lays them out: `parquet:DIR`, or `parquet:DIR:es-en`.

The files are `train*.parquet` and `test*.parquet` (or `validation*.parquet`). Their columns are one of:

- a struct of `bytes` and `path` for images, and an integer column `label` (or `fine_label`);
- `text` (or `sentence`) for texts, and labels as above;
- `translation`, a struct of two texts by language; `:es-en` after the folder translates Spanish into English.

Where texts or translations have `test*.parquet`, the samples of `validation*.parquet` come last among the
training samples, so that a study can hold them out.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DatasetError, told
from ._base import Dataset, Pairs, Picture, Pictures, Texts
from ._columns import columns_of, schema_of
from ._decode import CorruptImageError
from ._place import directed, direction_of, folder_of

LABELS = ("label", "fine_label", "labels")
TEXTS = ("text", "sentence")
TRANSLATION = "translation"


def files(place: str) -> list[Path]:
    return [path for some in _splits(place) for path in some]


def decode(place: str) -> Pictures | Texts | Pairs:
    train, held, test = _splits(place)
    schema = schema_of(train[0])
    if TRANSLATION in schema.names:
        pairs = [_pairs(paths, place) for paths in (train, held, test)]
        return Pairs(pairs[0] + pairs[1], pairs[2], len(pairs[1]))
    names = _class_names(train[0])
    if (name := _text_column(schema)) is not None:
        return _texts(train, held, test, name, names)
    trained, tested = ([one for path in paths for one in _pictures(path)] for paths in (train, test))
    classes = len(names) or max((one.label for one in [*trained, *tested]), default=-1) + 1
    return Pictures(trained, tested, classes, names)


def _splits(place: str) -> tuple[list[Path], list[Path], list[Path]]:
    """The files to train on, those that a study may hold out, and those to test on."""
    where, direction = directed(place)
    train = _split_files(where, "train")
    tests, held = _split_files(where, "test"), _split_files(where, "validation")
    if not tests and not held:
        raise DatasetError(
            f"dataset 'parquet:{place}': no test*.parquet or validation*.parquet in {where!r}."
        )
    schema = schema_of(train[0])
    if TRANSLATION in schema.names:
        _check_direction(schema.field(TRANSLATION).type, where, direction)
    elif direction:
        raise DatasetError(
            f"dataset 'parquet:{place}': there is no folder {told(place)}, and files in {told(where)} hold no"
            f" translations, which alone have a direction. Write 'parquet:{where}'."
        )
    # Images keep the split that they had before there were texts.
    images = TRANSLATION not in schema.names and _text_column(schema) is None
    return (train, [], tests or held) if images or not tests else (train, held, tests)


def _split_files(place: str, split: str) -> list[Path]:
    folder = folder_of("parquet", place)
    # The hub names files train-00000-of-00001.parquet, or keeps them in data/.
    found = sorted(folder.rglob(f"{split}*.parquet"))
    if not found and split == "train":
        seen = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise DatasetError(f"dataset 'parquet:{place}': no train*.parquet in {place!r}. It holds {seen}.")
    return found


def _pictures(path: Path) -> list[Picture]:
    schema = schema_of(path)
    image_columns = [f.name for f in schema if _is_image(f.type)]
    if not image_columns:
        raise _unknown(schema, path)
    column, labels = columns_of(path, [image_columns[0], _label_column(schema, path)])
    numbers = _labels(labels, column, path, "an image")
    rows = zip(column, numbers, strict=True)
    return [_picture(value, label, f"row {row} of {path.name}") for row, (value, label) in enumerate(rows)]


def _label_column(schema: pa.Schema, path: Path) -> str:
    found = [name for name in LABELS if name in schema.names]
    if not found:
        raise _unknown(schema, path)
    return found[0]


def _unknown(schema: pa.Schema, path: Path) -> DatasetError:
    return DatasetError(
        f"{str(path)!r} has columns {told(', '.join(schema.names))[1:-1]}; it needs a column of images (a"
        f" struct of bytes and path) or of texts, named {' or '.join(TEXTS)}, and one named"
        f" {' or '.join(LABELS)}; or one named {TRANSLATION}, a struct of two texts."
    )


def _labels(labels: pa.ChunkedArray, beside: pa.ChunkedArray, path: Path, what: str) -> list[int]:
    if beside.null_count or labels.null_count or not pa.types.is_integer(labels.type):
        raise DatasetError(f"{str(path)!r} has rows without {what} or without an integer label.")
    numbers: list[int] = labels.to_numpy().astype(np.int64).tolist()
    return numbers


def _text_column(schema: pa.Schema) -> str | None:
    return next((name for name in TEXTS if name in schema.names and _is_text(schema.field(name).type)), None)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(
    train: Sequence[Path], held: Sequence[Path], test: Sequence[Path], name: str, names: tuple[str, ...]
) -> Texts:
    parts = [[row for path in paths for row in _labelled(path, name)] for paths in (train, held, test)]
    labels = [[label for _, label in part] for part in parts]
    classes = len(names) or max((max(some, default=-1) for some in labels), default=-1) + 1
    if classes > max(1, len(parts[0])):
        raise DatasetError(
            f"{str(train[0])!r} has {len(parts[0]):,} training texts for {classes:,} classes; each class"
            " needs one."
        )
    return Texts(
        train=[text for text, _ in parts[0] + parts[1]],
        train_labels=labels[0] + labels[1],
        test=[text for text, _ in parts[2]],
        test_labels=labels[2],
        class_names=names or tuple(map(str, range(classes))),
        held=len(parts[1]),
    )


def _labelled(path: Path, name: str) -> list[tuple[str, int]]:
    schema = schema_of(path)
    if name not in schema.names or not _is_text(schema.field(name).type):
        raise _unknown(schema, path)
    texts, labels = columns_of(path, [name, _label_column(schema, path)])
    numbers = _labels(labels, texts, path, "a text")
    return list(zip(_written(texts, path), numbers, strict=True))


def _written(column: pa.ChunkedArray, path: Path) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} has texts that are not UTF-8: {error}.") from None
    return found


def _pairs(paths: Sequence[Path], place: str) -> list[tuple[str, str]]:
    where, direction = directed(place)
    found = []
    for path in paths:
        schema = schema_of(path)
        if TRANSLATION not in schema.names:
            raise _unknown(schema, path)
        one, other = _check_direction(schema.field(TRANSLATION).type, where, direction)
        (column,) = columns_of(path, [TRANSLATION])
        for row, value in enumerate(_written(column, path)):
            source, target = (value or {}).get(one), (value or {}).get(other)
            if source is None or target is None:
                raise DatasetError(f"row {row} of {path.name} has no text in {one} or none in {other}.")
            found.append((source, target))
    return found


def _check_direction(kind: Any, where: str, direction: str) -> tuple[str, str]:
    """The languages of source and target."""
    if not pa.types.is_struct(kind) or kind.num_fields != 2 or not all(_is_text(f.type) for f in kind):
        raise DatasetError(
            f"dataset 'parquet:{where}': the column {TRANSLATION} is {told(str(kind))}, and not a struct of"
            " two texts."
        )
    one, other = sorted(field.name for field in kind)
    for pair in ((one, other), (other, one)):
        if direction == "-".join(pair):
            return pair
    said = f":{direction}" if direction else ""
    raise DatasetError(
        f"dataset 'parquet:{where}{said}': say which side is translated into which, as"
        f" 'parquet:{where}:{one}-{other}' or 'parquet:{where}:{other}-{one}'."
    )


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


dataset = Dataset(decode, files, needs_place=True, asked=direction_of)
