"""Decoded tokens on disk, with what they mean; images keep the digests and files that they had."""

import hashlib

import numpy as np
import pytest
import safetensors.numpy

from ensembudget.datasets._base import Arrays
from ensembudget.datasets._cache import cached_bytes, digest_of, keep, keep_bytes, open_cached, to_bytes
from ensembudget.datasets._data import Data
from ensembudget.errors import DatasetError
from ensembudget.records import Plan, Study, Task, TokenTask
from token_worlds import BLOCKS, PAIRS, TEXTS, arrays_of, sentences


def full() -> Arrays:
    """Texts with all that can be beside them."""
    texts, outside = arrays_of(TEXTS), sentences(TEXTS, 2, seed=9)[0]
    texts = texts._replace(train_labels=np.arange(12) % 3, test_labels=np.arange(8) % 3)
    return texts._replace(tokenizer='{"model": "é"}', outside_inputs=outside)


def of_before(arrays: Arrays) -> tuple[str, bytes]:
    """Digest and file of images as they were when there was nothing else."""
    whole = hashlib.sha256(b"%d" % arrays.classes)
    for array in arrays[:4]:
        whole.update(str(array.shape).encode() + array.tobytes())
    names = ("train_images", "train_labels", "test_images", "test_labels")
    tensors = {**dict(zip(names, arrays[:4], strict=True)), "classes": np.array([arrays.classes])}
    return whole.hexdigest(), safetensors.numpy.save(tensors)


def test_images_keep_their_digest_and_their_file(digits):
    digest, file = of_before(digits.arrays)
    assert (digest_of(digits.arrays), to_bytes(digits.arrays)) == (digest, file)
    assert digits.digest == digest
    assert digits.digest.startswith("5334a75dfd6aedee")  # published manifests name it


def assert_equal(one: Arrays, other: Arrays) -> None:
    for name, mine, theirs in zip(Arrays._fields, one, other, strict=True):
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype, name
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
        else:
            assert mine == theirs, name


@pytest.mark.parametrize(
    "arrays", [full(), arrays_of(BLOCKS), arrays_of(PAIRS)], ids=["texts", "blocks", "pairs"]
)
def test_tokens_come_back_with_what_they_mean(arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path))
    data = Data("tokens", digest_of(arrays), arrays)
    keep(data, "files")
    found = open_cached(data.digest, "tokens")
    assert_equal(found.arrays, arrays)
    assert found.task == arrays.task
    # And so they do on a machine to which they are sent.
    keep_bytes(tmp_path / "there", data.digest, cached_bytes(data.digest, "tokens"))
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "there"))
    assert_equal(open_cached(data.digest, "tokens").arrays, arrays)


def changed(**changes) -> Arrays:
    return full()._replace(**changes)


OTHERS = {
    "vocabulary": changed(task=TEXTS._replace(vocabulary=7)),
    "kind": changed(task=TEXTS._replace(kind="another")),
    "tokenizer": changed(tokenizer="{}"),
    "no tokenizer": changed(tokenizer=""),
    "other outside inputs": changed(outside_inputs=full().outside_inputs[::-1]),
    "no outside inputs": changed(outside_inputs=None),
    "no task": changed(task=None),
    "labels": changed(test_labels=full().test_labels[::-1]),
    "as they are": full(),
}


def test_whatever_tokens_mean_is_in_the_digest():
    assert len({digest_of(one) for one in OTHERS.values()}) == len(OTHERS)


@pytest.mark.parametrize("about", [b"", b"{", b"[]", b"null", b'{"task": []}', b"\xff", b'{"task": 3}'])
def test_a_file_that_does_not_say_what_tokens_mean_is_refused(about, tmp_path, monkeypatch):
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path))
    digest = digest_of(full())
    tensors = safetensors.numpy.load(to_bytes(full())) | {"about": np.frombuffer(about, np.uint8)}
    file = safetensors.numpy.save(tensors)
    with pytest.raises(DatasetError, match="cannot be read"):
        keep_bytes(tmp_path, digest, file)
    (tmp_path / "arrays").mkdir()
    (tmp_path / "arrays" / f"{digest}.safetensors").write_bytes(file)
    with pytest.raises(DatasetError, match="'tokens' are not in the cache"):
        open_cached(digest, "tokens")


@pytest.mark.parametrize("task", [Task(10, 3, 32), TEXTS, PAIRS, None], ids=str)
def test_a_plan_keeps_its_task_as_json(task):
    study = Study(name="x", description="x", family="vgg", dataset="digits")
    made = Plan(study=study, splits=[], cells=[], task=task)
    found = Plan.model_validate_json(made.model_dump_json())
    assert found.task == task
    assert type(found.task) is type(task)
    assert isinstance(found.task, Task | TokenTask | None)
