"""A stranger's folder is read without trust: what is odd is refused in one sentence, and costs nothing."""

import json
import os

import numpy as np
import pytest
from bundles import cells, sealed_again
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from ensembudget.bundling.contents import read_bundle
from ensembudget.bundling.folder import JSON_DEPTH, GivenFolder, parsed
from ensembudget.bundling.index import INDEX, MEMBERS, PLAN
from ensembudget.bundling.tensors import tensors_of
from ensembudget.errors import BundleError
from ensembudget.store.documents import seal
from helpers import command

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(4, dtype=np.int64),
    "c": np.zeros((0, 5), np.float16),
}


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape: list, start: int, stop: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_arrays_are_those_that_safetensors_wrote():
    found = tensors_of(save(ARRAYS))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "has 0 bytes"),
        ((1 << 60).to_bytes(8, "little"), "header is said to have"),
        (file_of([]), "no object"),
        (file_of({"a": 1}), "not described"),
        (file_of({"a": entry([1 << 40, 1 << 40], 0, 4)}, b"1234"), "needs"),
        (file_of({"a": entry([-1], 0, 4)}, b"1234"), "shape"),
        (file_of({"a": entry([True], 0, 4)}, b"1234"), "shape"),
        (file_of({"a": entry([1], 4, 0)}, b"1234"), "lies at"),
        (file_of({"a": entry([1], 0, 4, "BOOL")}, b"1234"), "dtype"),
        (file_of({"a": entry([1, 1, 1], 0, 4)}, b"1234"), "shape"),
        (file_of({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"1234"), "share"),
        (file_of({"a": entry([1], 4, 8)}, b"12345678"), "leave out"),
        (file_of({"a": entry([1], 0, 4)}, b"12345678"), "arrays have 4 bytes"),
        (file_of(b'{"a": ' * 60 + b"1" + b"}" * 60), "nested"),
        (file_of(b'{"a": 1, "a": 2}'), "twice"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(raw, why):
    with pytest.raises(ValueError, match=why):
        tensors_of(raw)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_arrays_or_a_value_error(noise, at):
    raw = bytearray(save(ARRAYS))
    raw[at % len(raw) : at % len(raw) + len(noise)] = noise
    for given_bytes in (bytes(raw), noise):
        try:
            found = tensors_of(given_bytes)
        except ValueError:
            continue
        assert sum(array.nbytes for array in found.values()) <= len(given_bytes)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"[" * 100_000, "nested"),
        (b"[" * (JSON_DEPTH + 1) + b"]" * (JSON_DEPTH + 1), "nested"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b"1" * 5000, "digits"),
        (b"\xff", "utf-8"),
    ],
)
def test_json_that_no_report_has_is_refused(raw, why):
    with pytest.raises(ValueError, match=why):
        parsed(raw)


def test_a_link_is_not_followed(copy, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (copy / "bundle" / "costs.json").symlink_to(secret)
    with pytest.raises(BundleError, match="link"):
        read_bundle(copy)


def test_a_file_that_became_a_link_is_not_followed(copy, tmp_path):
    folder = GivenFolder(copy)
    (tmp_path / "secret").write_bytes((copy / INDEX).read_bytes())
    (copy / INDEX).unlink()
    (copy / INDEX).symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="cannot be read"):
        folder.read(INDEX)


def test_a_pipe_is_not_opened(copy):
    os.mkfifo(copy / "notes.csv")
    with pytest.raises(BundleError, match="no ordinary file"):
        GivenFolder(copy)


def test_a_file_that_is_too_large_is_not_read(copy):
    with (copy / "bundle" / "labels.safetensors").open("wb") as file:
        file.truncate(5 << 30)  # a hole: no byte of it is on the disk
    with pytest.raises(BundleError, match="5,368,709,120 bytes"):
        GivenFolder(copy)


def test_names_in_the_index_that_lead_outside_read_nothing(copy):
    document = json.loads((copy / INDEX).read_bytes())
    document.pop("sha256")
    document["bundle"]["files"]["../../etc/passwd"] = {"bytes": 1, "sha256": "0" * 64}
    document.pop("format")
    (copy / INDEX).write_bytes(seal(document))
    faults = read_bundle(copy).faults
    assert faults == ("../../etc/passwd: is in the index and not in the folder",)


def test_a_plan_of_too_many_members_is_refused_before_they_are_listed(copy):
    document = json.loads((copy / PLAN).read_bytes())
    for name in ("sha256", "format"):
        document.pop(name)
    document["plan"]["cells"][0]["members"] = 10**15
    (copy / PLAN).write_bytes(seal(document))
    sealed_again(copy)
    said = command("verify", copy)
    assert said.code == 2
    assert "1,000,000,000,000,0" in said.out


@pytest.mark.parametrize("name", [PLAN, MEMBERS, INDEX])
def test_a_changed_byte_of_a_sealed_document_is_refused(name, copy):
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_a_missing_pool_is_refused(copy):
    cells(copy)[0].unlink()
    with pytest.raises(BundleError, match="no file"):
        read_bundle(copy)


def test_nothing_of_a_newer_version_is_guessed(copy):
    document = json.loads((copy / INDEX).read_bytes())
    document.pop("sha256")
    document["format"] = 99
    from ensembudget.store.documents import canonical, sha256

    (copy / INDEX).write_text(json.dumps(document | {"sha256": sha256(canonical(document))}))
    with pytest.raises(BundleError, match="newer version"):
        read_bundle(copy)
