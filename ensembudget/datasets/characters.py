"""Running text in one file, whose next character is predicted: `characters:FILE`, a `.gz` too.

The last tenth of the characters is the test set, and the rest is the training set. Each is cut into
consecutive blocks of `length` characters; a shorter rest at the end is not used. The vocabulary is the
characters of the training set, and one token for all others.
"""

from pathlib import Path

from ..files import MOST_TEXT
from ._base import Dataset, Running
from ._place import file_of
from ._read import read_text

TEST_SHARE = 10  # one character in ten is for testing


def files(place: str) -> list[Path]:
    return [file_of("characters", place)]


def decode(place: str) -> Running:
    text = read_text(files(place)[0], f"characters:{place}", MOST_TEXT)
    cut = len(text) - len(text) // TEST_SHARE
    return Running(text[:cut], text[cut:])


dataset = Dataset(decode, files, needs_place=True, example="FILE")
