"""Predictions from elsewhere, in every format that is read, and what is refused before memory is taken."""

import csv
import io
import json
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import torch

from ensembudget.errors import ScoreError
from ensembudget.verbs import predictions
from ensembudget.verbs.predictions import read_logits, sums_to_one

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 8, 4)).astype(np.float32)
LABELS = np.arange(8) % 4
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)


def rows(values, name, shuffled=True):
    members, samples, _ = values.shape
    order = RNG.permutation(members * samples) if shuffled else np.arange(members * samples)
    flat = values.reshape(members * samples, -1)
    return {
        "member": np.repeat(np.arange(members), samples)[order],
        "sample": np.tile(np.arange(samples), members)[order],
        "label": np.tile(LABELS, members)[order],
        name: [flat[i].tolist() for i in order],
    }


def write(path, values, name="logits"):
    kind = path.suffix
    if kind == ".safetensors":
        path.write_bytes(safetensors.numpy.save({name: values, "labels": LABELS}))
    elif kind == ".npz":
        np.savez_compressed(path, **{name: values, "labels": LABELS})
    elif kind in (".pt", ".pth"):
        torch.save({name: torch.from_numpy(values), "labels": torch.from_numpy(LABELS), "notes": "x"}, path)
    else:
        pq.write_table(pa.table(rows(values, name)), path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".pth", ".parquet", ".NPZ"])
def test_logits_are_the_same_in_every_format(suffix, tmp_path):
    path = tmp_path / f"pool{suffix}"
    write(path.with_suffix(suffix.lower()), LOGITS).rename(path)
    logits, labels, _ = read_logits(path)
    assert np.array_equal(logits.numpy().astype(np.float32), LOGITS)
    assert np.array_equal(labels.numpy(), LABELS)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".parquet"])
def test_probabilities_become_their_logarithms(suffix, tmp_path):
    path = write(tmp_path / f"pool{suffix}", PROBABILITIES, "probabilities")
    found = read_logits(path, probabilities=True).logits
    assert found.numpy() == pytest.approx(np.log(PROBABILITIES), rel=1e-6)


def test_an_array_without_labels_takes_them_from_another_file(tmp_path):
    np.save(tmp_path / "pool.npy", LOGITS.astype(">f8"))  # numbers of the other byte order
    np.save(tmp_path / "labels.npy", LABELS.astype(np.int16))
    logits, labels, _ = read_logits(tmp_path / "pool.npy", tmp_path / "labels.npy")
    assert np.array_equal(logits.numpy(), LOGITS)
    assert np.array_equal(labels.numpy(), LABELS)
    with pytest.raises(ScoreError, match=r"missing: labels\. .*--labels"):
        read_logits(tmp_path / "pool.npy")
    (tmp_path / "x.safetensors").write_bytes(safetensors.numpy.save({"truth": LABELS}))
    with pytest.raises(ScoreError, match="has no labels, but truth"):
        read_logits(tmp_path / "pool.npy", tmp_path / "x.safetensors")


def test_a_probability_of_zero_counts_as_the_smallest_number_of_its_type(tmp_path):
    sure = np.eye(4, dtype=np.float32)[LABELS][None].repeat(2, 0)
    found = read_logits(write(tmp_path / "p.npz", sure, "probabilities"), probabilities=True).logits
    assert found.min().item() == pytest.approx(np.log(1.4e-45), rel=1e-3)
    assert found.max().item() == 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_that_are_called_logits_are_refused(dtype, tmp_path):
    path = write(tmp_path / "p.npz", PROBABILITIES.astype(dtype))
    with pytest.raises(ScoreError, match=r"are probabilities: .*--probabilities"):
        read_logits(path)


def test_logits_that_are_called_probabilities_are_refused(tmp_path):
    path = write(tmp_path / "p.npz", LOGITS, "probabilities")
    with pytest.raises(ScoreError, match=r"are not probabilities: the lowest is -\d.*--logits"):
        read_logits(path, probabilities=True)


def test_the_other_name_in_a_file_is_told(tmp_path):
    path = write(tmp_path / "p.npz", PROBABILITIES, "probabilities")
    with pytest.raises(ScoreError, match=r"missing: logits\..* Give its probabilities with --probabilities"):
        read_logits(path)


def test_sums_of_sixteen_bits_may_be_off_by_rounding_and_no_more():
    exact = torch.full((1, 2, 10), 0.1, dtype=torch.float64)
    assert sums_to_one(exact.bfloat16())
    assert sums_to_one(exact.half())
    assert not sums_to_one(exact + 0.001)
    assert not sums_to_one(torch.cat([exact + 0.2, exact[..., :1] - 2.1], -1))


class Ran:
    """An object whose pickle would make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_python_objects_in_a_pt_file_are_not_run(tmp_path):
    torch.save({"logits": torch.from_numpy(LOGITS), "labels": Ran(tmp_path / "made")}, tmp_path / "p.pt")
    with pytest.raises(ScoreError, match="holds Python objects, which are not loaded"):
        read_logits(tmp_path / "p.pt")
    assert not (tmp_path / "made").exists()


def header(shape, dtype="<f4"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("logits.npy", content)
    return buffer.getvalue()


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def parquet(without="", **columns):
    buffer = io.BytesIO()
    kept = {name: one for name, one in (rows(LOGITS, "logits") | columns).items() if name != without}
    pq.write_table(pa.table(kept), buffer)
    return buffer.getvalue()


HUGE = header((10**6, 10**6, 10))
ONE_BY_ONE = torch.zeros(1).expand(1000, 1000, 1000)
BAD = {
    "an npy header of 40 TB": (".npy", HUGE + b"1234", "40,000,000,000,000 bytes of shape"),
    "an npz header of 40 TB": (".npz", zipped(HUGE + b"1234"), "40,000,000,000,000 bytes of shape"),
    "an npy of objects": (".npy", header((2,), "|O") + b"12345678", "not an npy file of numbers"),
    "an npy of words": (".npy", header((2,), "<U1") + b"12345678", "not an npy file of numbers"),
    "an npy that is text": (".npy", b"member,cnll\n", "not an npy file of numbers"),
    "nothing": (".npy", b"", "not an npy file of numbers"),
    "an npz that is text": (".npz", b"member,cnll\n", "not an npz file of numbers"),
    "an npz of text": (".npz", zipped(b"member,cnll\n"), "not an npz file of numbers"),
    "a pt that is text": (".pt", b"member,cnll\n", "it is none"),
    "a zip that is no pt": (".pt", zipped(b"x"), "not a pt file of tensors"),
    "a pt of a list": (".pt", saved([torch.zeros(2)]), "holds a list"),
    "a pt that repeats one number": (".pt", saved({"logits": ONE_BY_ONE}), "more than the file holds"),
    "a parquet that is text": (".parquet", b"member,cnll\n", "not a parquet file of predictions"),
    "no member": (".parquet", parquet(without="member"), "no column member"),
    "a sample twice": (".parquet", parquet(sample=np.zeros(24, int)), "not there once each"),
    "labels that disagree": (".parquet", parquet(label=np.arange(24)), "other labels"),
    "rows of other lengths": (".parquet", parquet(logits=[[0.0] * (1 + i % 2) for i in range(24)]), "length"),
    "an empty row": (".parquet", parquet(logits=[None, *[[0.0, 1.0]] * 23]), "no row empty"),
    "numbers for lists": (".parquet", parquet(logits=np.zeros(24)), "a list"),
    "halves of samples": (".parquet", parquet(sample=np.zeros(24)), "not a parquet file of predictions"),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "content", "words"), BAD.values(), ids=BAD)
def test_a_file_that_is_not_what_it_is_called_is_refused_in_a_line(suffix, content, words, tmp_path):
    path = tmp_path / f"pool{suffix}"
    path.write_bytes(content)
    with pytest.raises(ScoreError) as caught:
        read_logits(path)
    said = str(caught.value)
    assert words in said
    assert str(path) in said
    assert "\n" not in said
    assert "0x" not in said


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".parquet"])
def test_more_than_this_machine_holds_is_refused_before_it_is_read(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"pool{suffix}"
    np.save(path, LOGITS) if suffix == ".npy" else write(path, LOGITS)
    monkeypatch.setattr(predictions.os, "sysconf", lambda name: 8)  # a machine of 64 bytes
    for reader in ("numpy.load", "torch.load", "pyarrow.parquet.read_table"):
        monkeypatch.setattr(reader, lambda *args, **kwargs: pytest.fail("it was read"))
    with pytest.raises(ScoreError, match=r"needs 0\.0 GB, and this machine has 0\.0 GB"):
        read_logits(path)


def test_the_command_reads_probabilities_and_labels_from_two_files(command, tmp_path):
    np.save(tmp_path / "p.npy", PROBABILITIES)
    np.save(tmp_path / "labels.npy", LABELS)
    ask = ("evaluate", "--probabilities", tmp_path / "p.npy", "--labels", tmp_path / "labels.npy")
    said = command(*ask, "--format", "csv")
    assert (said.code, said.err) == (0, "")
    first = next(csv.DictReader(io.StringIO(said.out)))
    losses = -np.log(PROBABILITIES[:, np.arange(8), LABELS])
    assert float(first["nll"]) == pytest.approx(losses.mean(), rel=1e-6)
    logits = write(tmp_path / "l.npz", LOGITS)
    other = json.loads(command("evaluate", "--logits", logits, "--format", "json").out)
    assert other[0]["cnll"] == pytest.approx(float(first["cnll"]), abs=1e-6)


def test_logits_and_probabilities_at_once_are_refused(command, tmp_path):
    said = command("evaluate", "--logits", "a.npz", "--probabilities", "b.npz")
    assert said.code == 2
    assert "not allowed with" in said.err
