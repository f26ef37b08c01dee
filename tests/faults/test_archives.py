"""Hostile datasets, archives, stores, exports: nothing runs or leaves its folder, and memory is bounded."""

import importlib.util
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cards import WRITTEN, card_body, signed
from fuzzing import outcome
from PIL import Image

from ensembudget.budgets._parse import parse_budget
from ensembudget.cli.init import described
from ensembudget.datasets._load import load
from ensembudget.datasets._look import look
from ensembudget.errors import ScoreError, visible
from ensembudget.exporting.load import load as load_export
from ensembudget.families._build import resolve_options
from ensembudget.files import read_csv
from ensembudget.store import Store
from ensembudget.verbs.predictions import read_logits
from helpers import command

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a process's memory is read in /proc"
)
GB = 2**30


class Case(NamedTuple):
    """Something hostile: what reads it, and words of the refusal; "" where it may be read."""

    read: Callable[[], object]
    words: str


class Runs:
    """What writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Fills:
    """What asks for memory where it is unpickled; torch's own reader of weights would give it."""

    def __reduce__(self) -> Any:
        return bytearray, (32 * GB,)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it is of this size, with these chunks before its few bytes of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(2**16)))
    extra = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def image(grey: int = 128) -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), grey).save(out, "png")
    return out.getvalue()


def photos(root: Path, extra: bytes | None = None, name: str = "zz.png") -> Path:
    """A folder of images in two classes, and one more file in the second."""
    for part in ("train", "test"):
        for number, kind in enumerate(("a", "b")):
            folder = root / part / kind
            folder.mkdir(parents=True)
            for one in range(2):
                (folder / f"{one}.png").write_bytes(image(10 * one + number))
    if extra is not None:
        (root / "train" / "b" / name).write_bytes(extra)
    return root


def of_folder(root: Path) -> Callable[[], object]:
    return lambda: load(f"folder:{root}")


def pictures(tmp: Path) -> Iterator[tuple[str, Case]]:
    """Files that say they are small, or are images to nobody but Pillow."""
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 2**30, 2**30, 1, 24, *[0] * 6)
    )
    gif = (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
        + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"
    )
    text = (b"zTXt", b"x\0\0" + zlib.compress(bytes(2**28), 9))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\n%%EOF\n"
    yield "a PNG of 10^10 pixels", Case(of_folder(photos(tmp / "png", png(100_000, 100_000))), "zz.png")
    yield "a BMP of 10^18 pixels", Case(of_folder(photos(tmp / "bmp", bmp, "zz.bmp")), "zz.bmp")
    yield "a GIF of 4 billion pixels", Case(of_folder(photos(tmp / "gif", gif, "zz.gif")), "zz.gif")
    yield "a PNG with 256 MB of text", Case(of_folder(photos(tmp / "text", png(8, 8, text))), "zz.png")
    yield "PostScript called a PNG", Case(of_folder(photos(tmp / "eps", eps)), "cannot identify")


def folders(tmp: Path) -> Iterator[tuple[str, Case]]:
    """Folders with what is no image in them, or lies elsewhere."""
    outside = photos(tmp / "outside")
    for name, place in (("an image", "train/b/zz.png"), ("a class", "train/c"), ("all", "train")):
        root = photos(tmp / f"link to {name}")
        link = root / place
        if link.exists():
            link.rename(root / "was")
        link.symlink_to(
            outside / ("train/a/0.png" if name == "an image" else "train/a" if name == "a class" else "train")
        )
        yield f"a link to {name} outside", Case(of_folder(root), "is a link to a place outside")
    device, pipe, hole, loop = (photos(tmp / name) for name in ("device", "pipe", "hole", "loop"))
    (device / "train" / "b" / "zz.png").symlink_to("/dev/zero")
    os.mkfifo(pipe / "train" / "b" / "zz.png")
    with (hole / "train" / "b" / "zz.png").open("wb") as file:
        file.truncate(2**42)
    (loop / "train" / "a" / "loop").symlink_to(loop)
    yield "a device called a PNG", Case(of_folder(device), "is a link to a place outside")
    yield "a pipe called a PNG", Case(of_folder(pipe), "it is a device or a pipe, and no file")
    yield "a PNG of 4 TB", Case(of_folder(hole), "4,398,046,511,104 bytes, and at most")
    yield "a link in a circle", Case(of_folder(loop), "")


def parquet(root: Path, images: Any, labels: Any, metadata: dict | None = None) -> Callable[[], object]:
    """A dataset of two Parquet files of these columns."""
    root.mkdir()
    table = pa.table({"image": images, "label": labels})
    if metadata:
        table = table.replace_schema_metadata(metadata)
    for part in ("train", "test"):
        pq.write_table(table, root / f"{part}-00000-of-00001.parquet")
    return lambda: load(f"parquet:{root}")


def tables(tmp: Path) -> Iterator[tuple[str, Case]]:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    good = pa.array([{"bytes": image(n), "path": None} for n in range(4)], kind)
    labels = pa.array([0, 1, 0, 1])
    one = pa.array([{"bytes": bytes(2**23), "path": None}], kind)
    bomb = pa.concat_arrays([one] * 64)  # a dictionary of one value stands for all rows
    deep = {b"huggingface": b"[" * 100_000}
    missing = pa.array([{"bytes": None, "path": "/etc/passwd"}] * 4, kind)
    wild = pa.array([0, 1, 2**62, -(2**62)])
    yield (
        "a column of numbers as images",
        Case(parquet(tmp / "numbers", labels, labels), "it needs a column of images"),
    )
    yield "labels that are text", Case(parquet(tmp / "text", good, pa.array(list("abcd"))), "integer label")
    yield "paths in place of images", Case(parquet(tmp / "paths", missing, labels), "no image bytes")
    yield "labels of 2^62", Case(parquet(tmp / "wild", good, wild), "label")
    yield "names nested 100,000 deep", Case(parquet(tmp / "deep", good, labels, deep), "")
    repeated = parquet(tmp / "bomb", bomb, pa.array([0, 1] * 32))
    assert sum(path.stat().st_size for path in (tmp / "bomb").iterdir()) < 2**21
    yield "one value that stands for 512 MB", Case(repeated, "train-00000-of-00001.parquet")
    pipe = tmp / "a pipe"
    pipe.mkdir()
    os.mkfifo(pipe / "train.parquet")
    os.mkfifo(pipe / "test.parquet")
    yield (
        "a pipe called Parquet",
        Case(lambda: load(f"parquet:{pipe}"), "it is a device or a pipe, and no file"),
    )


def predictions(tmp: Path) -> Iterator[tuple[str, Case]]:
    """Logits that ask for far more than they hold, or bring objects."""
    numpy = b"{'descr': '<f4', 'fortran_order': False, 'shape': (8589934592,), }"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", 128 - 10) + numpy.ljust(117) + b"\n"
    safe = json.dumps({"logits": {"dtype": "F32", "shape": [2**33], "data_offsets": [0, 2**35]}}).encode()
    objects = io.BytesIO()
    np.save(objects, np.array([Runs(tmp / "ran")], object), allow_pickle=True)
    made = {
        "huge.npy": header,
        "huge.safetensors": len(safe).to_bytes(8, "little") + safe,
        "objects.npy": objects.getvalue(),
    }
    for name, content in made.items():
        (tmp / name).write_bytes(content)
    with zipfile.ZipFile(tmp / "lies.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits.npy", header)
    raw = bytearray((tmp / "lies.npz").read_bytes())
    at = raw.index(b"PK\x01\x02") + 24  # in the directory at the end: how long the part is unpacked
    raw[at : at + 4] = (2**31).to_bytes(4, "little")
    (tmp / "lies.npz").write_bytes(raw)
    torch.save({"logits": torch.zeros(1), "x": Runs(tmp / "ran")}, tmp / "runs.pt")
    torch.save({"logits": torch.zeros(1), "x": Fills()}, tmp / "fills.pt")
    words = {
        "huge.npy": "34,359,738,368 bytes",
        "huge.safetensors": "is not a safetensors file",
        "objects.npy": "is not an npy file of numbers",
        "lies.npz": "2,147,483,648",
        "runs.pt": "Python objects, which are not loaded",
        "fills.pt": "Python objects, which are not loaded",
    }
    for name, said in words.items():
        yield f"logits in {name}", Case(lambda path=tmp / name: read_logits(path), said)


def words(tmp: Path) -> Iterator[tuple[str, Case]]:
    """Text of which a little takes much memory or time."""
    (tmp / "wide.csv").write_bytes(b"," * 2**23 + b"\n" + b"," * 2**23)
    columns, digits = "8,388,609 columns, and at most 10,000", "1" * 200_000 + "x"
    deep = {"depth": 6_000_004}
    yield "a CSV of 8 million columns", Case(lambda: read_csv(str(tmp / "wide.csv"), "points"), columns)
    yield "a budget of 200,000 digits", Case(lambda: parse_budget(digits), "is not a number with a unit")
    yield (
        "a network of a million layers",
        Case(lambda: resolve_options("wide_resnet", deep), "2,002"),
    )


def exports(tmp: Path) -> Iterator[tuple[str, Case]]:
    """Exported folders whose files are elsewhere, endless, or programs."""
    for name in ("large", "pipe", "hole", "outside", "program"):
        (tmp / name).mkdir()
        (tmp / name / "card.json").write_bytes(signed(card_body(image_size=10**6 if name == "large" else 8)))
    os.mkfifo(tmp / "pipe" / "ensemble.safetensors")
    (tmp / "outside" / "ensemble.safetensors").symlink_to("/dev/zero")
    with (tmp / "hole" / "card.json").open("wb") as hole:
        hole.truncate(2**42)
    (tmp / "program" / "ensemble.pt2").write_bytes(pickle.dumps(Runs(tmp / "ran")))
    body = card_body() | {"files": {"torch": {"file": "ensemble.pt2", **WRITTEN}}}
    (tmp / "program" / "card.json").write_bytes(signed(body))
    wanted = {
        "large": "image_size: Input should be less than or equal to 1024",
        "pipe": "it is a device or a pipe, and no file",
        "outside": "is a link to a file outside its folder",
        "hole": "4,398,046,511,104 bytes",
        "program": "no format that can be loaded without running a file's code",
    }
    for name, words in wanted.items():
        yield f"an export: {name}", Case(lambda folder=tmp / name: load_export(folder), words)


KINDS = (pictures, folders, tables, predictions, words, exports)


def test_nothing_hostile_runs_leaves_its_folder_or_fills_memory(tmp_path, attacked):
    count = 0
    for kind in KINDS:
        folder = tmp_path / kind.__name__
        folder.mkdir()
        for about, case in kind(folder):
            found = outcome(case.read)
            if case.words:
                assert found.startswith("refused: "), (about, found)
                assert case.words in found, (about, found)
            else:
                assert found == "read" or found.startswith("refused: "), (about, found)
            count += 1
        assert not (folder / "ran").exists(), kind.__name__
    assert count >= 30
    attacked("P10", "hostile images, folders, Parquet, logits and exports", count)


def test_rows_that_a_few_bytes_stand_for_are_counted_before_they_are_decoded(tmp_path, monkeypatch):
    """On a machine of 1 MB: the file has a hundredth of that, and its rows have three times as much."""
    count = 100_000
    columns = {
        "member": np.zeros(count, int),
        "sample": np.arange(count) // count,
        "label": np.zeros(count, int),
    }
    lists = pa.ListArray.from_arrays(np.arange(0, count + 1, dtype=np.int32), np.zeros(count, np.float32))
    pq.write_table(pa.table({**columns, "logits": lists}), tmp_path / "pool.parquet")
    assert (tmp_path / "pool.parquet").stat().st_size < 2**20 / 50
    monkeypatch.setattr("os.sysconf", lambda name: 2**10)
    with pytest.raises(ScoreError, match=r"needs 0\.0 GB, and this machine has 0\.0 GB"):
        read_logits(tmp_path / "pool.parquet")


def hostile_cifar(folder: Path, ran: Path) -> None:
    """Files that are called as CIFAR-10's and run when unpickled, beside an archive that leaves its place."""
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"):
        (place / name).write_bytes(pickle.dumps({"data": Runs(ran)}))
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        one = tarfile.TarInfo("../../slipped")
        archive.addfile(one, io.BytesIO(b""))


def test_a_pickle_called_cifar_is_not_opened(tmp_path, monkeypatch, attacked):
    """torchvision compares digests first. Without that it runs, so that this test sees what it looks for."""
    utils = pytest.importorskip("torchvision.datasets.utils")
    cifar = sys.modules["torchvision.datasets.cifar"]
    hostile_cifar(tmp_path / "data", tmp_path / "ran")
    monkeypatch.setenv("ENSEMBUDGET_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        utils, "_urlretrieve", lambda *given, **named: (_ for _ in ()).throw(OSError("no network"))
    )
    found = outcome(lambda: load("cifar10"), 2 * GB)
    assert found.startswith("refused: dataset CIFAR10"), found
    assert not (tmp_path / "ran").exists()
    assert not list(tmp_path.rglob("slipped"))
    monkeypatch.setattr(cifar, "check_integrity", lambda *given: True)
    assert outcome(lambda: load("cifar10"), 2 * GB).startswith("fault: ")
    assert (tmp_path / "ran").exists()
    attacked("P10", "pickles called CIFAR-10, beside an archive that leaves its folder", 2)


def test_what_torchvision_would_unpickle_for_fashion_mnist_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("torchvision.datasets")
    place = tmp_path / "FashionMNIST" / "processed"
    place.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(4, 28, 28), torch.arange(4)), place / name)
    monkeypatch.setenv("ENSEMBUDGET_DATA", str(tmp_path))
    found = outcome(lambda: load("fashion_mnist"), 2 * GB)
    assert "nothing of strangers is unpickled" in found


NAMES = (
    "a\nb",
    "\x1b[31mred",
    "\u202egnp",
    "x" * 250,
    "=1+1",
    "<b>",
    b"\xff\xfe".decode(errors="surrogateescape"),
)


def test_names_of_classes_reach_a_screen_as_text(tmp_path, attacked):
    for name in (*NAMES, "plain"):
        for number in range(5):
            folder = tmp_path / "set" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(image(number))
    data = load(f"folder:{tmp_path / 'set'}")
    assert set(data.class_names) == {*NAMES, "plain"}
    said = "\n".join(map(visible, described(look(f"folder:{tmp_path / 'set'}"))))
    assert not [c for c in said if (c < " " and c != "\n") or "\ud800" <= c <= "\udfff" or c == "\u202e"]
    assert max(map(len, said.splitlines())) < 200
    attacked("P10", "names of classes that a screen would obey", len(NAMES))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A stranger's store, whose folders lead out of it, beside somebody's files."""
    root, home = tmp_path / "store", tmp_path / "home"
    (home / "dir").mkdir(parents=True)
    for name in ("thesis.tex", "dir/notes", ".hidden"):
        (home / name).write_text("mine")
        os.utime(home / name, (0, 0))
    os.utime(home / "dir", (0, 0))
    root.mkdir()
    (root / "store.json").write_text('{"format": 1}')
    for name in ("tmp", "quarantine", "claims", "failures", "plans"):
        (root / name).symlink_to(home)
    (root / "artefacts").mkdir()
    (root / "artefacts" / "weights").symlink_to(tmp_path)
    return root


def test_tidying_a_store_removes_nothing_outside(store, tmp_path, command, attacked):
    before = sorted(tmp_path.rglob("*"))
    said = command("store", "gc", "--yes", "--store", store)
    assert said.code == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "0 things" in said.err
    attacked("P10", "folders of a store that lead out of it", 6)


def test_a_store_of_pipes_is_not_waited_for(tmp_path, command):
    root = tmp_path / "store"
    for key in ("ab" + "0" * 62, "xx-is-no-key"):
        folder = root / "members" / key[:2] / key
        folder.mkdir(parents=True)
        os.mkfifo(folder / "member.json")
    (root / "store.json").write_text('{"format": 1}')
    said = command("store", "ls", "--store", root)
    assert said.code == 0
    assert said.err.count("cannot be read") == 2
    (root / "store.json").unlink()
    os.mkfifo(root / "store.json")
    assert command("store", "ls", "--store", root).code == 2


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, "", "a" * 62 + "/b", "0" * 63 + "\n"]
)
def test_a_key_that_is_a_path_is_none(key, tmp_path):
    store = Store(tmp_path / "store")
    assert outcome(lambda: store.read(key)).startswith("refused: ")
    assert not (tmp_path / "store").exists()


@pytest.mark.skipif(not importlib.util.find_spec("ensembudget.bundling"), reason="there are no bundles yet")
@pytest.mark.parametrize("what", ["a pipe", "a link", "a hole", "nothing", "an index of nothing"])
def test_a_bundle_of_a_stranger_is_refused(what, tmp_path):
    bundle = tmp_path / "given"
    (bundle / "bundle").mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    if what == "a pipe":
        os.mkfifo(bundle / "memory_split.csv")
    elif what == "a link":
        (bundle / "memory_split.csv").symlink_to("/etc/passwd")
    elif what == "a hole":
        with (bundle / "bundle" / "labels.safetensors").open("wb") as file:
            file.truncate(2**42)
    elif what == "an index of nothing":
        (bundle / "bundle" / "index.json").write_text("[" * 100_000)
    said = outcome(lambda: command("verify", bundle).code == 2 or pytest.fail("it was not refused"))
    assert said == "read", said
