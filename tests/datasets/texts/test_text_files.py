"""Text files that are missing, damaged or made by somebody hostile."""

import gzip

import pytest

from ensembudget.datasets._load import load
from ensembudget.datasets._read import read_text
from ensembudget.errors import DatasetError
from text_worlds import (
    SPANISH,
    clinc,
    corpus,
)


def test_a_gzip_bomb_is_not_decompressed_whole(tmp_path):
    (tmp_path / "b.gz").write_bytes(gzip.compress(bytes(10**7), 9))
    with pytest.raises(DatasetError, match=r"'.*b\.gz' holds more than 1,000 bytes of text"):
        read_text(tmp_path / "b.gz", "x", 1000)


def test_a_json_file_of_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "data_full.json").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(DatasetError, match="holds more than 33,554,432 bytes of text"):
        load(f"clinc150:{tmp_path}")


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"abc" * 99)[:-9], gzip.compress(b"a" * 99)[:20]],
    ids=["no gzip", "its end is missing", "half of it is missing"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, content):
    (tmp_path / "h.gz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"h\.gz' is not a readable gzip file"):
        load(f"characters:{tmp_path / 'h.gz'}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("characters:/dev/zero", "is a device or a pipe"),
        ("characters:.", "is a folder, and a file is needed"),
        ("characters:nowhere.txt", "there is no file 'nowhere.txt'"),
        ("clinc150:.", r"no data_full\.json or data_full\.json\.gz in it"),
        ("clinc150:a\0b", "there is no file|cannot be read"),
        ("pairs:nowhere:es-en", "there is no folder 'nowhere'"),
        ("pairs", r"needs a place after a colon, as in pairs:DIR:SOURCE-TARGET"),
    ],
)
def test_a_missing_file_or_folder_is_refused(tmp_path, monkeypatch, spec, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(DatasetError, match=message):
        load(spec)


def test_the_command_line_refuses_in_one_message_that_no_terminal_obeys(tmp_path, command):
    (tmp_path / "\x1b[31m").mkdir()
    corpus(tmp_path / "\x1b[31m", train_es=SPANISH[:2])
    plan = ("plan", "--family", "vgg", "--budget", "1M")
    said = command(*plan, "--dataset", f"pairs:{tmp_path}/\x1b[31m:es-en")
    assert said.code == 2
    assert "has 2 lines" in said.err
    assert "\x1b" not in said.err
    assert said.err.count("\n") == 1
    said = command(*plan, "--dataset", clinc(tmp_path / "c"), "--image-size", 16)
    assert (said.code, said.out) == (2, "")
    assert "which have no image_size" in said.err
    said = command(*plan, "--dataset", clinc(tmp_path / "c"), "--vocabulary", 5)
    assert said.code == 2
    assert "a vocabulary of 5 is too small" in said.err
