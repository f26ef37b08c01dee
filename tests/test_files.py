"""A file is written whole or not at all."""

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ensembudget.files import sync, write_new, write_whole


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("content", ["", "häuser", b"", b"\x00\xff" * 5000])
def test_what_is_written_is_there(tmp_path, content, durable):
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, content, durable=durable)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_what_was_there_is_replaced(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "a long first text")
    write_whole(path, "second")
    assert path.read_text() == "second"


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "file", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


LIMITED = """
import errno, resource, signal, sys
from pathlib import Path
from ensembudget.files import write_whole

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_whole(Path(sys.argv[1]), b"x" * 1000)
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of a file")
def test_what_the_disk_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    assert subprocess.run([sys.executable, "-c", LIMITED, path]).returncode == errno.EFBIG
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_of_many_that_write_at_once_one_is_whole(tmp_path):
    texts = [str(number) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_whole(tmp_path / "file", text), texts))
    assert (tmp_path / "file").read_text() in texts
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_new_file_replaces_nothing(tmp_path):
    write_new(tmp_path / "file", "first", durable=True)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", "second")
    assert (tmp_path / "file").read_text() == "first"


def test_a_folder_can_be_synced(tmp_path):
    sync(tmp_path)
