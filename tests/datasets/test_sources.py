import dataclasses
import gzip
import hashlib
import importlib
import io
import json
import pickle
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from ensembudget.catalog import DATASETS
from ensembudget.datasets._base import Arrays, Pictures
from ensembudget.datasets._cache import cache_folder, digest_of, open_cached
from ensembudget.datasets._decode import decode_image
from ensembudget.datasets._load import check, label, load, split_name, task_of
from ensembudget.datasets._pictures import arrays_of
from ensembudget.errors import DatasetError, EnsembudgetError
from ensembudget.records import Task

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(256, size=(12, 9, 9, 3), dtype=np.uint8)
GREY = RNG.integers(256, size=(12, 9, 9, 1), dtype=np.uint8)
LABELS = np.arange(12) % 3
TORCHVISION = ("cifar10", "cifar100", "fashion_mnist", "svhn")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a data folder of each test's own; nothing can be downloaded."""
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ENSEMBUDGET_DATA", str(tmp_path / "torchvision"))

    def refuse(*arguments: object, **options: object) -> None:
        raise URLError("no network here")

    utils = importlib.import_module("torchvision.datasets.utils")
    monkeypatch.setattr(utils, "_get_redirect_url", refuse)
    monkeypatch.setattr(utils, "_urlretrieve", refuse)


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, kind)
    return buffer.getvalue()


def count_decodes(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The places that a source decodes from now on."""
    places: list[str] = []
    part = DATASETS[name]

    def decode(place: str) -> Arrays | Pictures:
        places.append(place)
        return part.decode(place)

    module = importlib.import_module(f"ensembudget.datasets.{name}")
    monkeypatch.setattr(module, "dataset", dataclasses.replace(part, decode=decode))
    return places


# ---- Sources, each fabricated in its own layout: a function that writes one and returns its spec.


def hub_metadata(names: list[str], column: str = "label") -> dict[str, str]:
    features = {"image": {"_type": "Image"}, column: {"names": names, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write_parquet(
    path: Path,
    images: list[bytes | None],
    labels: object,
    *,
    column: str = "label",
    names: list[str] | None = None,
    label_type: pa.DataType | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(images)]
    table = pa.table({"image": pa.array(rows, kind), column: pa.array(labels, label_type or pa.int64())})
    pq.write_table(table.replace_schema_metadata(hub_metadata(names, column) if names else None), path)


def hub_folder(
    folder: Path, images: np.ndarray = COLOUR, labels: np.ndarray = LABELS, tests: int = 4, **options: object
) -> str:
    """The hub's layout: data/train-00000-of-00001.parquet and its test; the last images are the test's."""
    content = [encoded(image) for image in images]
    cut = len(images) - tests
    for split, rows in (("train", slice(cut)), ("test", slice(cut, None))):
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        write_parquet(path, content[rows], labels[rows], **options)
    return f"parquet:{folder}"


def image_folder(
    folder: Path, images: np.ndarray = COLOUR, labels: np.ndarray = LABELS, tests: int = 4, kind: str = "png"
) -> str:
    """train/CLASS/*.png and test/CLASS/*.png; without tests, CLASS/*.png."""
    for i, (image, number) in enumerate(zip(images, labels, strict=True)):
        split = ("test" if i >= len(images) - tests else "train") if tests else ""
        path = folder / split / "abc"[number] / f"{i:02}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image, {"jpg": "JPEG"}.get(kind, kind.upper())))
    return f"folder:{folder}"


def idx(array: np.ndarray) -> bytes:
    """The format of the MNIST files: magic, sizes and bytes, big-endian."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_fashion_mnist(folder: Path, images: np.ndarray, labels: np.ndarray, tests: int) -> None:
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    cut = len(images) - tests
    for split, rows in (("train", slice(cut)), ("t10k", slice(cut, None))):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(images[rows, ..., 0]))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))


def write_cifar(
    name: str,
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray,
    tests: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches are pickles of rows, red first; torchvision knows them by their MD5."""
    import torchvision.datasets as known

    cls = {"cifar10": known.CIFAR10, "cifar100": known.CIFAR100}[name]
    base = folder / cls.base_folder
    base.mkdir(parents=True)
    key = {"cifar10": "labels", "cifar100": "fine_labels"}[name]

    def write(file: str, content: dict[str, object]) -> list[str]:
        pickled = pickle.dumps(content)
        (base / file).write_bytes(pickled)
        return [file, hashlib.md5(pickled).hexdigest()]

    def batch(file: str, rows: np.ndarray) -> list[str]:
        flat = images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
        return write(file, {"data": flat, key: labels[rows].tolist()})

    everything = np.arange(len(images))
    train, test = np.split(everything, [len(images) - tests])
    parts = np.array_split(train, len(cls.train_list))
    files = [batch(file, rows) for (file, _), rows in zip(cls.train_list, parts, strict=True)]
    monkeypatch.setattr(cls, "train_list", files)
    monkeypatch.setattr(cls, "test_list", [batch(cls.test_list[0][0], test)])
    _, md5 = write(cls.meta["filename"], {cls.meta["key"]: ["a", "b"]})
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5})


def write_svhn(
    folder: Path, images: np.ndarray, labels: np.ndarray, tests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MATLAB files of (row, column, channel, sample), where the digit 0 is labelled 10."""
    from torchvision.datasets import SVHN

    folder.mkdir(parents=True)
    cut = len(images) - tests
    known = dict(SVHN.split_list)
    for split, rows in (("train", slice(cut)), ("test", slice(cut, None))):
        path = folder / f"{split}_32x32.mat"
        y = np.where(labels[rows] == 0, 10, labels[rows]).astype(np.uint8)[:, None]
        savemat(path, {"X": images[rows].transpose(1, 2, 3, 0), "y": y})
        known[split] = [known[split][0], path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", known)


def fabricate(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Twenty images of a torchvision dataset, the last six for test, on disk as torchvision expects them."""
    task = DATASETS[name].task
    assert task is not None
    shape = (20, task.image_size, task.image_size, task.channels)
    images = np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)
    labels = np.arange(20) * 7 % task.classes
    if name == "fashion_mnist":
        write_fashion_mnist(folder, images, labels, 6)
    elif name == "svhn":
        write_svhn(folder, images, labels, 6, monkeypatch)
    else:
        write_cifar(name, folder, images, labels, 6, monkeypatch)
    return images, labels


def assert_holds(arrays: Arrays, images: np.ndarray, labels: np.ndarray, tests: int) -> None:
    cut = len(images) - tests
    assert np.array_equal(arrays.train_inputs, images[:cut])
    assert np.array_equal(arrays.test_inputs, images[cut:])
    assert arrays.train_labels.tolist() == labels[:cut].tolist()
    assert arrays.test_labels.tolist() == labels[cut:].tolist()
    assert {array.dtype for array in arrays[:4:2]} == {np.dtype(np.uint8)}
    assert {array.dtype for array in arrays[1:4:2]} == {np.dtype(np.int64)}


# ---- Digits


def test_digits_are_scikit_learns_images_each_once():
    data = load("digits")
    images, labels = load_digits(return_X_y=True)
    assert data.task == Task(10, 1, 8)
    assert data.name == "digits"
    assert len(data.arrays.train_inputs) == 1000
    assert len(data.arrays.test_inputs) == 797
    found = np.concatenate([data.arrays.train_inputs, data.arrays.test_inputs])
    numbers = np.concatenate([data.arrays.train_labels, data.arrays.test_labels])
    rows = sorted([(*(row / 15), number) for row, number in zip(found.reshape(-1, 64), numbers, strict=True)])
    assert rows == sorted([(*row, number) for row, number in zip(images, labels, strict=True)])
    assert found.max() == 240


def test_digits_are_cut_the_same_way_every_time():
    one, two = load("digits"), load("digits")
    assert one.digest == two.digest
    assert np.array_equal(one.arrays.train_inputs, two.arrays.train_inputs)
    assert set(np.unique(one.arrays.test_labels)) == set(range(10))


# ---- Images


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))))
@settings(max_examples=30, deadline=None)
def test_images_without_loss_keep_every_pixel(image):
    for kind in ("PNG", "BMP", "PPM"):
        assert np.array_equal(decode_image(encoded(image, kind), "x").pixels, image)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_images_are_decoded_or_refused_by_name(data):
    content = bytearray(encoded(COLOUR[0], data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP"]))))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    kept = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = decode_image(kept, "row 7 of x.parquet").pixels
    except DatasetError as error:
        assert str(error).startswith("row 7 of x.parquet")  # noqa: PT017
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)])
def test_grey_images_stay_grey_and_all_others_become_rgb(mode, channels):
    buffer = io.BytesIO()
    Image.fromarray(COLOUR[0]).convert(mode).save(buffer, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("L" if channels == 1 else "RGB"))
    assert np.array_equal(decode_image(buffer.getvalue(), "x").pixels, expected.reshape(9, 9, channels))


def test_grey_images_of_16_bits_are_not_clipped():
    levels = np.arange(81, dtype=np.uint16).reshape(9, 9) * 800  # up to 64,000 of 65,535
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    try:
        image = decode_image(buffer.getvalue(), "x").pixels
    except DatasetError:
        return  # to refuse them is as good
    assert np.array_equal(image, (levels >> 8).astype(np.uint8)[..., None])


def test_an_image_that_asks_for_gigabytes_is_refused():
    buffer = io.BytesIO()
    Image.new("1", (5000, 5000)).save(buffer, "PNG")
    with pytest.raises(DatasetError, match=r"x has 5000x5000 pixels; at most 1,048,576"):
        decode_image(buffer.getvalue(), "x")


# ---- Parquet


@pytest.mark.parametrize("images", [COLOUR, GREY], ids=["colour", "grey"])
def test_parquet_in_the_hubs_layout_keeps_every_pixel(tmp_path, images):
    data = load(hub_folder(tmp_path / "My images", images))
    assert_holds(data.arrays, images, LABELS, 4)
    assert data.name == "My-images"
    assert data.task == Task(3, images.shape[-1], 9)


def test_parquet_may_lie_in_the_folder_itself_in_several_files(tmp_path):
    content = [encoded(image) for image in COLOUR]
    for i in range(3):
        rows = slice(3 * i, 3 * i + 3)
        write_parquet(tmp_path / f"train-0000{i}-of-00003.parquet", content[rows], LABELS[rows])
    write_parquet(tmp_path / "test-00000-of-00001.parquet", content[9:], LABELS[9:])
    assert_holds(load(f"parquet:{tmp_path}").arrays, COLOUR, LABELS, 3)


def test_parquet_validation_stands_in_for_a_missing_test(tmp_path):
    spec = hub_folder(tmp_path)
    test = tmp_path / "data" / "test-00000-of-00001.parquet"
    test.rename(test.with_name("validation-00000-of-00001.parquet"))
    assert_holds(load(spec).arrays, COLOUR, LABELS, 4)


@pytest.mark.parametrize("column", ["label", "fine_label", "labels"])
def test_parquet_metadata_says_how_many_classes_there_are(tmp_path, column):
    spec = hub_folder(tmp_path, column=column, names=["a", "b", "c", "d", "e"])
    assert load(spec).arrays.classes == 5
    assert task_of(spec) == Task(5, 3, 9)


def test_parquet_labels_of_any_integer_type_are_read(tmp_path):
    assert_holds(load(hub_folder(tmp_path, label_type=pa.uint8())).arrays, COLOUR, LABELS, 4)


def test_parquet_names_the_row_and_the_file_of_a_truncated_image(tmp_path):
    spec = hub_folder(tmp_path)
    content = [encoded(image) for image in COLOUR[:8]]
    content[5] = content[5][:150]
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet", content, LABELS[:8])
    with pytest.raises(
        DatasetError, match=r"row 5 of train-00000-of-00001\.parquet cannot be decoded \(150 bytes\)"
    ):
        load(spec)


def rewrite(folder: Path, images: list[bytes | None], labels: object, **options: object) -> None:
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", images, labels, **options)


PNG = encoded(COLOUR[0])
WIDE = encoded(RNG.integers(256, size=(9, 12, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        pytest.param(
            [PNG] * 3, [0, 1, 2], {"column": "kind"}, "columns image, kind; it needs.*label", id="no labels"
        ),
        pytest.param([PNG] * 3, [0, 0, 0], {}, "images of 1 class", id="one class"),
        pytest.param(
            [PNG] * 3, [0, -1, 1], {}, r"label -1 of training image 1 is not in 0\.\.2", id="negative"
        ),
        pytest.param(
            [PNG] * 2, [0, 5], {"names": ["a", "b", "c"]}, r"label 5 .* 0\.\.2", id="beyond the names"
        ),
        pytest.param([PNG] * 2, [0, None], {}, "without an image or without an integer label", id="no label"),
        pytest.param([PNG] * 2, [0.0, 1.0], {"label_type": pa.float32()}, "integer label", id="floats"),
        pytest.param([PNG] * 2, ["a", "b"], {"label_type": pa.string()}, "integer label", id="strings"),
        pytest.param([PNG, None], [0, 1], {}, r"row 1 of train.* no image bytes", id="only a path"),
        pytest.param([PNG, b""], [0, 1], {}, r"row 1 of train.*\(0 bytes\)", id="empty image"),
        pytest.param(
            [PNG, WIDE], [0, 1], {}, r"row 0 of .* is \(9, 9, 3\), row 1 of .* is \(9, 12, 3\)", id="sizes"
        ),
        pytest.param([WIDE, WIDE], [0, 1], {}, "images of 9x12 pixels; they must be square", id="not square"),
        pytest.param([], [], {"names": ["a", "b", "c"]}, "no training images", id="no rows"),
        pytest.param([], [], {}, "no training images", id="no rows and no names"),
    ],
)
def test_parquet_that_cannot_be_trained_on_is_refused(tmp_path, images, labels, options, message):
    spec = hub_folder(tmp_path)
    rewrite(tmp_path, images, labels, **options)
    with pytest.raises(DatasetError, match=message):
        load(spec)


@pytest.mark.parametrize("names", [None, ["a", "b", "c"]])
def test_parquet_without_test_rows_is_refused(tmp_path, names):
    spec = hub_folder(tmp_path, names=names)
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [], [], names=names)
    with pytest.raises(DatasetError, match="no test images"):
        load(spec)


def test_parquet_with_images_too_small_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"7x7 pixels; they must be square and at least 8x8"):
        load(hub_folder(tmp_path, COLOUR[:, :7, :7]))


def test_parquet_whose_test_images_differ_from_the_training_images_is_refused(tmp_path):
    spec = hub_folder(tmp_path)
    rewrite(tmp_path, [encoded(image) for image in GREY[:8]], LABELS[:8])
    with pytest.raises(DatasetError, match=r"\(9, 9, 1\) and test images of shape \(9, 9, 3\)"):
        load(spec)


def test_parquet_without_images_is_refused(tmp_path):
    spec = hub_folder(tmp_path)
    table = pa.table({"caption": ["a", "b"], "label": [0, 1]})
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DatasetError, match="columns caption, label; it needs a column of images"):
        load(spec)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"<!DOCTYPE html>" * 50])
def test_a_file_that_is_not_parquet_is_refused_by_name(tmp_path, content):
    spec = hub_folder(tmp_path)
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"train-00000-of-00001\.parquet' is not a readable Parquet file"):
        load(spec)


def test_a_parquet_file_cut_in_the_middle_is_refused(tmp_path):
    spec = hub_folder(tmp_path)
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=r"test-00000-of-00001\.parquet' is not a readable Parquet file"):
        load(spec)


@pytest.mark.parametrize("name", ["parquet", "folder"])
def test_a_missing_folder_is_named(tmp_path, name):
    with pytest.raises(DatasetError, match=r"there is no folder.*nowhere"):
        load(f"{name}:{tmp_path / 'nowhere'}")


def test_an_empty_parquet_folder_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no train\*\.parquet in .*It holds nothing"):
        load(f"parquet:{tmp_path / 'empty'}")


def test_a_parquet_folder_without_test_is_refused(tmp_path):
    spec = hub_folder(tmp_path)
    (tmp_path / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(DatasetError, match=r"no test\*\.parquet or validation\*\.parquet"):
        load(spec)


# ---- Folders of images


@pytest.mark.parametrize("images", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_folder_with_train_and_test_keeps_every_pixel(tmp_path, images):
    data = load(image_folder(tmp_path / "set", images))
    # Read class by class, and by name within a class.
    for found, numbers, rows in (
        (data.arrays.train_inputs, data.arrays.train_labels, np.arange(8)),
        (data.arrays.test_inputs, data.arrays.test_labels, np.arange(8, 12)),
    ):
        order = rows[np.argsort(LABELS[rows], kind="stable")]
        assert np.array_equal(found, images[order])
        assert numbers.tolist() == LABELS[order].tolist()
    assert data.arrays.classes == 3
    assert data.name == "set"


def test_a_folder_without_test_gives_a_fifth_of_its_images_to_it_each_once(tmp_path):
    images = RNG.integers(256, size=(23, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(23) % 3
    arrays = load(image_folder(tmp_path / "set", images, labels, tests=0)).arrays
    assert len(arrays.test_inputs) == 4
    found = np.concatenate([arrays.train_inputs, arrays.test_inputs])
    numbers = np.concatenate([arrays.train_labels, arrays.test_labels])
    by_image = {image.tobytes(): number for image, number in zip(images, labels, strict=True)}
    assert {image.tobytes(): number for image, number in zip(found, numbers, strict=True)} == by_image
    assert len(found) == 23


@pytest.mark.parametrize("kind", ["jpg", "bmp", "webp", "ppm", "tiff"])
def test_a_folder_may_hold_images_of_any_common_kind(tmp_path, kind):
    arrays = load(image_folder(tmp_path / "set", kind=kind)).arrays
    assert arrays.train_inputs.shape == (8, 9, 9, 3)


def test_other_files_and_hidden_folders_in_a_folder_are_passed_over(tmp_path):
    spec = image_folder(tmp_path / "set")
    digest = load(spec).digest
    (tmp_path / "set" / "train" / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "set" / "train" / "README.txt").write_bytes(b"x")
    (tmp_path / "set" / "train" / ".git").mkdir()
    assert load(spec).digest == digest


def test_a_folder_with_one_class_is_refused(tmp_path):
    spec = image_folder(tmp_path / "set", labels=np.zeros(12, int))
    with pytest.raises(DatasetError, match=r"has 1 class folders in .*; at least two"):
        load(spec)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(DatasetError, match="has 0 class folders"):
        load(f"folder:{tmp_path / 'set'}")


@pytest.mark.parametrize("place", ["train/d", "test/a"])
def test_a_class_without_images_is_refused_by_its_folder(tmp_path, place):
    spec = image_folder(tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / place, ignore_errors=True)
    (tmp_path / "set" / place).mkdir()
    with pytest.raises(DatasetError, match=f"no images in .*{place}"):
        load(spec)


def test_a_test_class_without_training_images_is_refused(tmp_path):
    spec = image_folder(tmp_path / "set")
    shutil.copytree(tmp_path / "set" / "test" / "a", tmp_path / "set" / "test" / "d")
    with pytest.raises(DatasetError, match="class 'd' has no training images"):
        load(spec)


def test_too_few_images_for_a_test_set_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no test images"):
        load(image_folder(tmp_path / "set", COLOUR[:4], LABELS[:4], tests=0))


@pytest.mark.parametrize("content", [b"", b"not an image", PNG[:120]])
def test_a_corrupt_file_in_a_folder_is_named(tmp_path, content):
    spec = image_folder(tmp_path / "set")
    (tmp_path / "set" / "train" / "b" / "01.png").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"b/01\.png cannot be decoded \({len(content)} bytes\)"):
        load(spec)


def test_images_of_several_sizes_in_a_folder_are_named(tmp_path):
    spec = image_folder(tmp_path / "set")
    (tmp_path / "set" / "train" / "b" / "01.png").write_bytes(WIDE)
    with pytest.raises(DatasetError, match=r"a/00\.png is \(9, 9, 3\), .*b/01\.png is \(9, 12, 3\)"):
        load(spec)


def test_a_dangling_link_in_a_folder_is_named(tmp_path):
    spec = image_folder(tmp_path / "set")
    (tmp_path / "set" / "train" / "b" / "zz.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DatasetError, match=r"cannot read .*zz\.png.*No such file"):
        load(spec)


def test_a_folder_named_like_an_image_is_refused_or_passed_over(tmp_path):
    spec = image_folder(tmp_path / "set")
    (tmp_path / "set" / "train" / "b" / "zz.png").mkdir()
    try:
        data = load(spec)
    except DatasetError:
        return
    assert len(data.arrays.train_inputs) == 8


# ---- torchvision's datasets


@pytest.mark.parametrize("name", TORCHVISION)
def test_files_in_torchvisions_layout_keep_every_pixel(tmp_path, monkeypatch, name):
    images, labels = fabricate(name, monkeypatch, tmp_path / "torchvision")
    data = load(name)
    assert_holds(data.arrays, images, labels, 6)
    assert data.name == name
    assert data.task == task_of(name)


@pytest.mark.parametrize("name", TORCHVISION)
def test_what_is_neither_on_disk_nor_to_be_had_says_where_to_put_it(tmp_path, name):
    with pytest.raises(DatasetError, match=r"(?s)cannot be downloaded.*ENSEMBUDGET_DATA") as caught:
        load(name)
    assert str(tmp_path / "torchvision") in str(caught.value)
    first = {
        "cifar10": "cifar-10-batches-py/data_batch_1",
        "cifar100": "cifar-100-python/train, cifar-100-python/test, cifar-100-python/meta,",
        "fashion_mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
        "svhn": "train_32x32.mat, test_32x32.mat,",
    }
    assert f"lacks {first[name]}" in str(caught.value)


def test_only_the_files_that_are_missing_are_named(tmp_path, monkeypatch):
    fabricate("cifar100", monkeypatch, tmp_path / "torchvision")
    (tmp_path / "torchvision" / "cifar-100-python" / "test").unlink()
    with pytest.raises(DatasetError, match=r"lacks cifar-100-python/test, and cannot be downloaded"):
        load("cifar100")


def test_torchvisions_names_of_classes_are_kept_where_there_is_one_for_each(tmp_path, monkeypatch):
    fabricate("fashion_mnist", monkeypatch, tmp_path / "torchvision")
    fabricate("cifar10", monkeypatch, tmp_path / "torchvision")  # with two names for ten classes
    assert load("fashion_mnist").class_names[-1] == "Ankle boot"
    assert load("cifar10").class_names == ()


def test_parquets_names_of_classes_are_kept(tmp_path):
    names = ["ant", "bee", "cat"]
    assert load(hub_folder(tmp_path / "set", names=names)).class_names == tuple(names)


def test_a_data_folder_that_cannot_be_made_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("ENSEMBUDGET_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(DatasetError, match="ENSEMBUDGET_DATA"):
        load("cifar10")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("cifar100", "cifar-100-python/test"),
        ("svhn", "train_32x32.mat"),
    ],
)
def test_a_torchvision_file_of_another_checksum_is_refused(tmp_path, monkeypatch, name, file):
    fabricate(name, monkeypatch, tmp_path / "torchvision")
    path = tmp_path / "torchvision" / file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        load(name)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", idx(np.zeros((14, 28, 28)))[:-5]])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_fashion_mnist_file_is_refused(tmp_path, monkeypatch, file, content):
    # It has no checksum once unpacked, so torchvision reads whatever is there.
    fabricate("fashion_mnist", monkeypatch, tmp_path / "torchvision")
    (tmp_path / "torchvision" / "FashionMNIST" / "raw" / file).write_bytes(content)
    with pytest.raises(DatasetError):
        load("fashion_mnist")


def test_fashion_mnist_still_compressed_is_unpacked(tmp_path, monkeypatch):
    from torchvision.datasets import FashionMNIST

    images, labels = fabricate("fashion_mnist", monkeypatch, tmp_path / "torchvision")
    known = []
    for path in sorted((tmp_path / "torchvision" / "FashionMNIST" / "raw").iterdir()):
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        known.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(FashionMNIST, "resources", known)
    assert_holds(load("fashion_mnist").arrays, images, labels, 6)


def test_the_data_folder_is_in_the_cache_unless_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ENSEMBUDGET_DATA")
    images, labels = fabricate("fashion_mnist", monkeypatch, tmp_path / "cache" / "torchvision")
    assert_holds(load("fashion_mnist").arrays, images, labels, 6)


# ---- Names


@pytest.mark.parametrize("name", ["parquet", "folder"])
@pytest.mark.parametrize("colon", ["", ":"])
def test_a_source_that_needs_a_folder_says_so(name, colon):
    with pytest.raises(DatasetError, match=f"needs a folder after a colon, as in {name}:DIR"):
        load(name + colon)


@pytest.mark.parametrize("name", ["digits", *TORCHVISION])
@pytest.mark.parametrize("place", ["x", ""])
def test_a_source_that_needs_no_folder_refuses_one(name, place):
    with pytest.raises(DatasetError, match=f"'{name}' takes no folder"):
        split_name(f"{name}:{place}")


@pytest.mark.parametrize(
    ("spec", "near"), [("digts", "digits"), ("cifar-10", "cifar10"), ("parqet:DIR", "parquet")]
)
def test_an_unknown_source_is_told_the_nearest(spec, near):
    with pytest.raises(EnsembudgetError, match=f"Did you mean '{near}'"):
        load(spec)


def test_a_colon_in_the_folder_belongs_to_the_folder():
    assert split_name("parquet:a:b/c") == ("parquet", "a:b/c")


@pytest.mark.parametrize(
    ("spec", "name"),
    [("digits", "digits"), ("parquet:/x/My Data, 2/", "My-Data-2"), ("folder:/x/y_z.1", "y_z.1")],
)
def test_tables_call_a_dataset_by_its_source_or_its_folder(spec, name):
    assert label(spec) == name


def test_tasks_of_known_sources_need_no_files():
    assert task_of("cifar100") == Task(100, 3, 32)
    assert task_of("svhn") == Task(10, 3, 32)


# ---- The cache


def any_source(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if name == "parquet":
        return hub_folder(tmp_path / "set")
    if name == "folder":
        return image_folder(tmp_path / "set")
    fabricate(name, monkeypatch, tmp_path / "torchvision")
    return name


@pytest.mark.parametrize("name", ["parquet", "folder", *TORCHVISION])
def test_what_was_decoded_once_is_not_decoded_again(tmp_path, monkeypatch, name):
    spec = any_source(name, tmp_path, monkeypatch)
    decoded = count_decodes(monkeypatch, name)
    one, two = load(spec), load(spec)
    assert len(decoded) == 1
    assert (one.name, one.digest, one.task) == (two.name, two.digest, two.task)
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays, two.arrays, strict=True))


def test_a_changed_file_gives_another_digest(tmp_path, monkeypatch):
    spec = image_folder(tmp_path / "set")
    decoded = count_decodes(monkeypatch, "folder")
    one = load(spec)
    path = tmp_path / "set" / "train" / "a" / "00.png"
    original = path.read_bytes()
    path.write_bytes(encoded(255 - COLOUR[0]))
    two = load(spec)
    path.write_bytes(original)
    three = load(spec)
    assert one.digest == three.digest != two.digest
    assert len(decoded) == 2


@pytest.mark.parametrize("change", ["added", "removed", "of another class", "now for test"])
def test_a_file_that_moved_is_seen(tmp_path, change):
    # Class a has 00, 03 and 06 for training and 09 for test.
    spec = image_folder(tmp_path / "set")
    load(spec)
    root = tmp_path / "set"
    path = root / "train" / "a" / "06.png"
    match change:
        case "added":
            shutil.copy(path, root / "train" / "a" / "99.png")
        case "removed":
            path.unlink()
        case "of another class":
            path.rename(root / "train" / "b" / "06.png")
        case "now for test":
            path.rename(root / "test" / "a" / "06.png")
    expected, _ = arrays_of(DATASETS["folder"].decode(str(root)), spec)
    assert load(spec).digest == digest_of(expected)


def test_a_training_image_moved_to_the_test_set_is_seen(tmp_path):
    # Of the files in order, only the border between test and training moves.
    root = tmp_path / "set"
    for i, (split, name) in enumerate([("test", "a"), ("train", "a"), ("train", "a"), ("train", "b")]):
        path = root / split / name / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(COLOUR[i]))
    assert len(load(f"folder:{root}").arrays.test_inputs) == 1
    (root / "train" / "a" / "1.png").rename(root / "test" / "a" / "1.png")
    assert len(load(f"folder:{root}").arrays.test_inputs) == 2


@pytest.mark.parametrize(("kind", "make"), [("parquet", hub_folder), ("folder", image_folder)])
def test_the_same_images_elsewhere_have_the_same_digest(tmp_path, kind, make):
    one = load(make(tmp_path / "here"))
    (tmp_path / "there").mkdir()
    shutil.move(tmp_path / "here", tmp_path / "there" / "moved")
    two = load(f"{kind}:{tmp_path / 'there' / 'moved'}")
    assert one.digest == two.digest
    assert two.name == "moved"


def test_the_same_images_in_another_layout_have_the_same_digest(tmp_path):
    order = np.concatenate(
        [rows[np.argsort(LABELS[rows], kind="stable")] for rows in (np.arange(8), np.arange(8, 12))]
    )
    one = load(hub_folder(tmp_path / "one", COLOUR[order], LABELS[order]))
    assert one.digest == load(image_folder(tmp_path / "two")).digest


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("part", ["arrays", "sources"])
@pytest.mark.parametrize("damage", ["gone", "empty", "zeros", "noise", "cut", "flipped"])
def test_a_damaged_cache_entry_is_decoded_anew(tmp_path, monkeypatch, part, damage):
    spec = hub_folder(tmp_path / "set")
    decoded = count_decodes(monkeypatch, "parquet")
    one = load(spec)
    path = only(tmp_path / "cache" / part)
    content = path.read_bytes()
    match damage:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "zeros":  # what a power cut leaves
            path.write_bytes(bytes(len(content)))
        case "noise":
            path.write_bytes(bytes(range(255, 100, -1)))
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flipped":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    two = load(spec)
    assert len(decoded) == 2
    assert one.digest == two.digest
    assert np.array_equal(two.arrays.train_inputs, COLOUR[:8])
    assert load(spec).digest == one.digest
    assert len(decoded) == 2, "the entry was not mended"


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "file"))
    for spec in ("digits", hub_folder(tmp_path / "set")):
        with pytest.raises(DatasetError, match=r"cannot be kept in the cache.*ENSEMBUDGET_CACHE"):
            load(spec)


def test_nothing_staged_stays_in_the_cache(tmp_path):
    load("digits")
    files = [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(files) == [".json", ".safetensors"]


def test_a_dataset_is_opened_by_its_digest_alone(tmp_path):
    spec = hub_folder(tmp_path / "set")
    one = load(spec)
    shutil.rmtree(tmp_path / "set")
    two = open_cached(one.digest, "set")
    assert (two.name, two.digest, two.task) == (one.name, one.digest, one.task)
    assert two.arrays.test_labels.tolist() == one.arrays.test_labels.tolist()


def test_a_digest_that_is_not_in_the_cache_is_refused():
    with pytest.raises(DatasetError, match="'set' are not in the cache"):
        open_cached("0" * 64, "set")


def test_images_under_the_digest_of_others_are_refused(tmp_path):
    one, two = load(hub_folder(tmp_path / "one")), load(hub_folder(tmp_path / "two", GREY))
    arrays = tmp_path / "cache" / "arrays"
    shutil.copy(arrays / f"{one.digest}.safetensors", arrays / f"{two.digest}.safetensors")
    with pytest.raises(DatasetError, match="'two' in the cache are damaged"):
        open_cached(two.digest, "two")


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ENSEMBUDGET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "ensembudget"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "ensembudget"


# ---- Digests and checks


ARRAYS = Arrays(COLOUR[:8], LABELS[:8], COLOUR[8:], LABELS[8:], 3)


@given(st.sampled_from(Arrays._fields[:4]), st.data())
@settings(max_examples=20, deadline=None)
def test_any_changed_number_changes_the_digest(field, data):
    array = getattr(ARRAYS, field).copy()
    array.flat[data.draw(st.integers(0, array.size - 1))] ^= 1
    assert digest_of(ARRAYS._replace(**{field: array})) != digest_of(ARRAYS)


def test_shapes_and_the_number_of_classes_are_in_the_digest():
    digests = {
        digest_of(ARRAYS),
        digest_of(ARRAYS._replace(classes=4)),
        digest_of(ARRAYS._replace(train_inputs=COLOUR[:8].reshape(8, 27, 3, 3))),
        # One image more for training and one less for test: the same bytes in a row.
        digest_of(ARRAYS._replace(train_labels=LABELS[:9], test_labels=LABELS[9:])),
    }
    assert len(digests) == 4


def test_the_digest_does_not_depend_on_the_layout_in_memory():
    turned = ARRAYS._replace(train_inputs=np.asfortranarray(COLOUR[:8]))
    assert digest_of(turned) == digest_of(ARRAYS)


def test_images_and_labels_of_unequal_number_are_refused():
    with pytest.raises(DatasetError, match="8 training images but 7 labels"):
        check(ARRAYS._replace(train_labels=LABELS[:7]), "x")


def test_test_labels_out_of_range_are_refused():
    with pytest.raises(DatasetError, match=r"label 3 of test image 2 is not in 0\.\.2 \(3 classes\)"):
        check(ARRAYS._replace(test_labels=np.array([0, 1, 3, 2])), "x")
