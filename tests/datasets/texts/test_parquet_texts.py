"""Texts and translations in the hub's Parquet are those of the same data in other files."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ensembudget.datasets._load import load
from ensembudget.errors import DatasetError
from text_worlds import ENGLISH, QUERIES, SPANISH, corpus


def hub(folder: Path, column: str, names: list[str] | None = None, **parts: tuple[list, list] | list) -> str:
    folder.mkdir(parents=True)
    for split, rows in parts.items():
        table = (
            pa.table({"id": list(range(len(rows))), column: rows})
            if column == "translation"
            else pa.table({column: rows[0], "label": pa.array(rows[1], pa.int64())})
        )
        if names:
            features = {"label": {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return f"parquet:{folder}"


def of_hub(rows: list[list[str]], names: list[str]) -> tuple[list[str], list[int]]:
    return [text for text, _ in rows], [names.index(intent) for _, intent in rows]


def test_the_hubs_texts_are_those_of_the_same_queries(tmp_path, queries):
    names = ["balance", "music", "weather"]
    parts = {
        k: of_hub(QUERIES[v], names) for k, v in (("train", "train"), ("validation", "val"), ("test", "test"))
    }
    data = load(hub(tmp_path / "h", "text", names, **parts), vocabulary=60, length=12)
    assert data.class_names == queries.class_names
    assert data.notes[0] == queries.notes[0]
    for one, other in zip(data.arrays[:4], queries.arrays[:4], strict=True):
        assert (one == other).all()
    assert data.arrays.outside_inputs is None
    assert data.arrays.tokenizer == queries.arrays.tokenizer


def test_the_hubs_texts_need_neither_names_nor_a_test(tmp_path):
    rows = (["a b", "c d"], [0, 1])
    data = load(hub(tmp_path / "h", "sentence", train=rows, validation=rows))
    assert data.class_names == ("0", "1")
    assert len(data.arrays.train_inputs) == len(data.arrays.test_inputs) == 2


def test_the_hubs_translations_are_those_of_the_same_corpus(tmp_path):
    rows = [{"es": a, "en": b} for a, b in zip(SPANISH, ENGLISH, strict=True)]
    spec = hub(tmp_path / "h", "translation", train=rows, test=rows[:2])
    expected = load(corpus(tmp_path / "p"))
    assert load(f"{spec}:es-en").digest == expected.digest
    assert load(f"{spec}:en-es").digest != expected.digest
    with pytest.raises(DatasetError, match=r"which side is translated into which, as 'parquet:.*:en-es' or"):
        load(spec)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((["a", "b"], [0, 2**62]), "2 training texts for 4,611,686,018,427,387,905 classes"),
        ((["a", "b", "c"], [0, 2, 2]), "class '1' has no training texts"),
        ((["a", "b"], [0, -1]), "label -1 of training text 1 is not in"),
        ((["a", None], [0, 1]), "rows without a text or without an integer label"),
        (([], []), "no training texts"),
    ],
)
def test_texts_of_the_hub_that_cannot_be_trained_on_are_refused(tmp_path, train, message):
    texts = (pa.array(train[0], pa.string()), train[1])
    with pytest.raises(DatasetError, match=message):
        load(hub(tmp_path / "h", "text", train=texts, test=(["a", "b"], [0, 0])))


def test_a_direction_of_files_without_translations_is_refused(tmp_path):
    rows = (["a b", "c d"], [0, 1])
    with pytest.raises(DatasetError, match="hold no translations, which alone have a direction"):
        load(hub(tmp_path / "h", "text", train=rows, test=rows) + ":es-en")
