"""CLINC150, queries of 150 intents and queries out of scope: `clinc150:DIR` or `clinc150:FILE`.

DIR holds `data_full.json` as published, or `data_full.json.gz`; FILE is any file of that layout. Training
samples are the queries of "train" followed by those of "val", so that `validation_size = 3000` holds out
exactly the 3,000 of "val". Test samples are the queries of "test". Those of "oos_test" belong to no class and
are kept beside the test samples. "oos_train" and "oos_val" are not read.

Source: Larson et al. 2019, "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction"
(arXiv:1909.02027), CC BY 3.0.
"""

from pathlib import Path
from typing import Any

from ..errors import DatasetError, told
from ._base import Dataset, Texts
from ._place import file_of
from ._read import read_json

NAMES = ("data_full.json", "data_full.json.gz")


def files(place: str) -> list[Path]:
    return [file_of("clinc150", place, NAMES)]


def decode(place: str) -> Texts:
    (path,), spec = files(place), f"clinc150:{place}"
    whole = read_json(path, spec)
    parts = {name: _queries(whole, name, spec, path) for name in ("train", "val", "test", "oos_test")}
    train, held, test = parts["train"], parts["val"], parts["test"]
    if not train or not test:
        raise DatasetError(
            f"dataset {spec!r}: {told(str(path))} has no {'test' if train else 'training'} queries."
        )
    names = tuple(sorted({intent for part in (train, held, test) for _, intent in part}))
    number = {name: i for i, name in enumerate(names)}
    return Texts(
        train=[text for text, _ in train + held],
        train_labels=[number[intent] for _, intent in train + held],
        test=[text for text, _ in test],
        test_labels=[number[intent] for _, intent in test],
        class_names=names,
        outside=[text for text, _ in parts["oos_test"]],
        held=len(held),
    )


def _queries(whole: Any, name: str, spec: str, path: Path) -> list[tuple[str, str]]:
    """The queries and intents of one list; "val" and "oos_test" may be missing."""
    said = f"dataset {spec!r}: {told(str(path))}"
    rows = whole.get(name, [] if name in ("val", "oos_test") else None)
    if not isinstance(rows, list):
        raise DatasetError(
            f"{said} has no list {name!r}; it holds {told(', '.join(whole) or 'nothing')}. As published it"
            " has train, val, test and oos_test, each a list of [query, intent]."
        )
    for place, row in enumerate(rows):
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(one, str) for one in row)):
            raise DatasetError(f"{said}: {name}[{place}] is {told(row)}, and not [query, intent], both text.")
        if any("\ud800" <= one <= "\udfff" for text in row for one in text):
            raise DatasetError(
                f"{said}: {name}[{place}] has half a character (a lone surrogate): {told(row)}."
            )
    return [(text, intent) for text, intent in rows]


dataset = Dataset(decode, files, needs_place=True, example="DIR_OR_FILE")
