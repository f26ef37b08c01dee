"""Datasets of text on disk, small enough to read: CLINC150, a parallel corpus, running text."""

import gzip
import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ensembudget.datasets._base import Arrays

PAD, UNKNOWN, START, END, NONE = 0, 1, 2, 3, -100

QUERIES = {
    "train": [
        ["how much is on my account", "balance"],
        ["what is left on the account", "balance"],
        ["will it rain today", "weather"],
        ["how warm is it today", "weather"],
        ["play a song", "music"],
    ],
    "val": [["is it cold", "weather"], ["play it", "music"]],
    "test": [["is there rain", "weather"], ["any song will do", "music"], ["my account", "balance"]],
    "oos_train": [["never read", "oos"]],
    "oos_val": [["nor is this", "oos"]],
    "oos_test": [["who is there", "oos"], ["run to the sea", "oos"]],
}


def clinc(folder: Path, name: str = "data_full.json", **changes: object) -> str:
    """A folder in the layout of CLINC150."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(QUERIES | changes).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return f"clinc150:{folder}"


SPANISH = ["la casa es roja", "el perro come", "la casa come pan", "el pan es bueno", "el perro es rojo"]
ENGLISH = ["the house is red", "the dog eats", "the house eats bread", "the bread is good", "the dog is red"]


def corpus(folder: Path, ending: str = "", **lines: list[str]) -> str:
    """A folder in the layout of a parallel corpus: `train_es=[...]` replaces the lines of one file."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train_es": SPANISH, "train_en": ENGLISH, "test_es": SPANISH[:2], "test_en": ENGLISH[:2]}
    for name, some in (files | lines).items():
        content = "".join(f"{line}\n" for line in some).encode()
        path = folder / (name.replace("_", ".") + ending)
        path.write_bytes(gzip.compress(content) if ending else content)
    return f"pairs:{folder}:es-en"


def text_of(arrays: Arrays, row: np.ndarray) -> str:
    """Tokens back to text, by the tokenizers package alone."""
    return Tokenizer.from_str(arrays.tokenizer).decode([int(one) for one in row if one >= 0])


def every_dataset(folder: Path) -> list[str]:
    (folder / "h.txt").write_text("abc, abd. " * 100)
    return [clinc(folder / "c"), corpus(folder / "p"), f"characters:{folder / 'h.txt'}"]
