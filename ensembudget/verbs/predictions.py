"""Reads predictions made elsewhere, logits or probabilities, in common file formats.

What a file says of its size is compared with the file and with the machine before memory is taken.
"""

import math
import os
import pickle
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from ..errors import ScoreError, reason, told
from ..files import open_regular
from ..scoring.check import check_logits
from ..scoring.clusters import clusters_of
from ..scoring.copies import copies
from .unpacking import check_packed, check_pickle

HEADER_LIMIT = 2**20  # bytes of a safetensors header with two tensors, with much to spare
# What NumPy raises on a header that is no Python; a zip with a password, too, is a RuntimeError.
HEADERS = (SyntaxError, tokenize.TokenError, RuntimeError)
SUM_OFF = 1e-3  # how far a sum of float32 probabilities may be from 1
SUM_OFF_16 = 2e-2  # and of those of 16 bits
NEEDED = "Needed are {name} (member, sample, class) and labels (sample,)"
COLUMNS = "a row for each member and sample, with columns member, sample, label and {name}, a list"

Tensors = dict[str, Tensor]


class Predictions(NamedTuple):
    """The contents of a file.

    Attributes:
        logits: Or log-probabilities, (member, sample, class).
        labels: (sample,).
        samples: Where several of these are of one sample, as the tokens of a text: of which, (sample,),
            integers. None where the file says nothing of it.
    """

    logits: Tensor
    labels: Tensor
    samples: Tensor | None = None


def read_logits(
    path: str | Path, labels: str | Path | None = None, *, probabilities: bool = False
) -> Predictions:
    """Logits and labels that were made elsewhere.

    Args:
        path: A safetensors, npz or pt file with tensors `logits` (member, sample, class) and `labels`
            (sample,), and `samples` (sample,) where several are of one sample; a parquet file with a row for
            each member and sample: `member`, `sample`, `label`, and `logits` as a list; or an npy file with
            the logits alone.
        labels: A file with the labels, where the first has none.
        probabilities: Whether the file has `probabilities` in place of `logits`. One that is 0 counts as the
            smallest number above 0 that its type has.

    Raises:
        ScoreError: Not such a file, numbers that cannot be scored, a member that is there twice, or
            probabilities that are called logits.
    """
    name = "probabilities" if probabilities else "logits"
    tensors = _read(Path(path), name)
    if labels is not None:
        found = _read(Path(labels), "labels")
        if "labels" not in found:
            raise ScoreError(f"labels {told(str(labels))} has no labels, but {', '.join(sorted(found))}.")
        tensors |= {key: found[key] for key in ("labels", "samples") if key in found}
    if missing := {name, "labels"} - set(tensors):
        other = {"logits": "probabilities", "probabilities": "logits"}[name]
        hint = f" Give its {other} with --{other}." if other in tensors and name in missing else ""
        hint = hint or (" Name a file that has them with --labels." if missing == {"labels"} else "")
        raise ScoreError(
            f"{name} {told(str(path))} has tensors {', '.join(sorted(tensors)) or 'none'}; missing:"
            f" {', '.join(sorted(missing))}. {NEEDED.format(name=name)}.{hint}"
        )
    values, truth = tensors[name], tensors["labels"]
    check_logits(values, truth)
    if "samples" in tensors:
        clusters_of(tensors["samples"], len(truth))
    if probabilities:
        return Predictions(_logarithms(values, path), truth, tensors.get("samples"))
    if sums_to_one(values):
        raise ScoreError(
            f"logits {told(str(path))} are probabilities: none is below 0, and every sample's sum to 1."
            " Give them with --probabilities; logits are what comes before the softmax."
        )
    if found_twice := copies(values):
        first, second, _ = found_twice
        raise ScoreError(
            f"members {first} and {second} of logits {told(str(path))} are the same, or nearly: an ensemble"
            " must not hold copies. Leave one of them out."
        )
    return Predictions(values, truth, tensors.get("samples"))


def sums_to_one(values: Tensor) -> bool:
    """Whether numbers are probabilities: none below 0, and every sum over classes 1 up to rounding.

    >>> sums_to_one(torch.tensor([[[0.25, 0.75], [1.0, 0.0]]])), sums_to_one(torch.tensor([[[0.5, -0.5]]]))
    (True, False)
    """
    off = SUM_OFF if values.element_size() > 2 else SUM_OFF_16
    return all(
        bool((one >= 0).all()) and bool(((one.sum(-1) - 1).abs() <= off).all())
        for one in (member.float() if member.element_size() < 4 else member for member in values)
    )


def _logarithms(values: Tensor, path: str | Path) -> Tensor:
    if not sums_to_one(values):
        wide = values.double()
        low, sums = wide.amin(), wide.sum(-1)
        worst = sums.flatten()[(sums - 1).abs().argmax()]
        raise ScoreError(
            f"probabilities {told(str(path))} are not probabilities: the lowest is {low:g}, and the sum over"
            f" classes that is furthest from 1 is {worst:g}. Give logits with --logits."
        )
    facts = torch.finfo(values.dtype)
    return values.double().clamp_min(facts.tiny * facts.eps).log()


def _read(path: Path, name: str) -> Tensors:
    """The tensors of a file by name; those of an npy file, which has none, are called `name`."""
    reader = READERS.get(path.suffix.lower())
    said = f"{name} {told(str(path))}"
    if reader is None and path.is_file():
        others = ", ".join(suffix for suffix in READERS if suffix != ".safetensors")
        raise ScoreError(f"{said} is not a safetensors file by its name, and none of {others}.")
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of NumPy, about headers that Python 2 wrote
            return (reader or _safetensors)(path, file, name)
    except OSError as error:
        raise ScoreError(f"{said} cannot be read: {reason(error)}.") from None
    except MemoryError:
        raise ScoreError(f"{said} needs more memory than there is.") from None


def _refuse(path: Path, name: str, kind: str, why: str) -> NoReturn:
    raise ScoreError(f"{name} {told(str(path))} is not {kind}: {why}.") from None


def _check_memory(path: Path, name: str, size: int) -> None:
    """Refuses what this machine cannot hold, before memory is allocated."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
    if size > memory:
        raise ScoreError(
            f"{name} {told(str(path))} needs {size / 1e9:,.1f} GB, and this machine has"
            f" {memory / 1e9:,.1f} GB."
        )


def _safetensors(path: Path, file: IO[bytes], name: str) -> Tensors:
    if int.from_bytes(file.read(8), "little") > HEADER_LIMIT:
        _refuse(path, name, "a safetensors file", "its header is longer than any of two tensors")
    try:
        return dict(safetensors.torch.load_file(path))
    except safetensors.SafetensorError as error:
        _refuse(path, name, "a safetensors file", reason(error))


def _npy(path: Path, file: IO[bytes], name: str) -> Tensors:
    try:
        _check_array(path, file, name, path.stat().st_size)
        return {name: _tensor(np.load(path, allow_pickle=False))}
    except (*HEADERS, ValueError, TypeError, EOFError) as error:
        _refuse(path, name, "an npy file of numbers", reason(error))


def _npz(path: Path, file: IO[bytes], name: str) -> Tensors:
    try:
        with zipfile.ZipFile(file) as archive:
            for one in archive.infolist():
                check_packed(one)
                _check_memory(path, name, one.file_size)
                with archive.open(one) as member:
                    _check_array(path, member, name, one.file_size)
        with np.load(path, allow_pickle=False) as arrays:
            return {key: _tensor(arrays[key]) for key in arrays.files}
    except (*HEADERS, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        _refuse(path, name, "an npz file of numbers", reason(error))


def _check_array(path: Path, file: IO[bytes], name: str, size: int) -> None:
    """Compares what the header of an array says with the bytes that follow it."""
    readers: dict[tuple[int, int], Callable[[IO[bytes]], Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not read")
    shape, _, dtype = readers[version](file)
    needed, there = dtype.itemsize * math.prod(shape), size - file.tell()
    if needed != there and not dtype.hasobject:
        raise ValueError(f"its header says {needed:,} bytes of shape {told(shape)}, and {there:,} follow")
    _check_memory(path, name, needed)


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))


def _pt(path: Path, file: IO[bytes], name: str) -> Tensors:
    kind = "a pt file of tensors"
    if not zipfile.is_zipfile(file):
        _refuse(path, name, kind, "torch.save writes a zip archive, and it is none")
    try:
        size = check_pickle(file)
    except (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        _refuse(path, name, kind, reason(error))
    _check_memory(path, name, size)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        _refuse(path, name, kind, "it holds Python objects, which are not loaded")
    except (RuntimeError, ValueError, TypeError, EOFError, KeyError, AttributeError) as error:
        _refuse(path, name, kind, reason(error))
    if not isinstance(found, dict):
        _refuse(path, name, kind, f"it holds a {type(found).__name__}, and needed is a dict of tensors")
    tensors = {str(key): one for key, one in found.items() if isinstance(one, Tensor)}
    for key, one in tensors.items():
        if one.numel() * one.element_size() > size:
            _refuse(path, name, kind, f"{key} has shape {tuple(one.shape)}, more than the file holds")
    return {key: one.detach().contiguous() for key, one in tensors.items()}


def _parquet(path: Path, file: IO[bytes], name: str) -> Tensors:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    kind, needed = "a parquet file of predictions", {"member", "sample", "label", name}
    try:
        about = pq.ParquetFile(file).metadata
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        # As decoded: a few bytes can stand for any number of equal values.
        values = sum(one.column(i).num_values for one in groups for i in range(one.num_columns))
        _check_memory(path, name, max(8 * values, sum(one.total_byte_size for one in groups)))
        columns = set(pq.ParquetFile(file).schema_arrow.names)
        if missing := sorted(needed - columns):
            _refuse(path, name, kind, f"it has no column {missing[0]}. Needed is {COLUMNS.format(name=name)}")
        table = pq.read_table(path, columns=sorted(needed))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        _refuse(path, name, kind, reason(error))
    keys, lists = [table[column] for column in ("member", "sample", "label")], table[name]
    lengths = set(pc.list_value_length(lists).to_pylist()) if pa.types.is_nested(lists.type) else {None}
    if len(lengths) != 1 or None in lengths or not all(pa.types.is_integer(one.type) for one in keys):
        _refuse(path, name, kind, f"needed is {COLUMNS.format(name=name)} of one length, and no row empty")
    try:
        values = pc.list_flatten(lists).to_numpy().reshape(len(lists), -1)
        member, sample, label = (one.to_numpy() for one in keys)
        return _arranged(member, sample, label, values, name)
    except (ValueError, TypeError) as error:
        _refuse(path, name, kind, reason(error))


def _arranged(member: Any, sample: Any, label: Any, values: Any, name: str) -> Tensors:
    """Rows in any order as (member, sample, class).

    Raises:
        ValueError: A member lacks a sample, or has one twice, or members have other labels.
    """
    members, samples = np.unique(member), np.unique(sample)
    order = np.lexsort((sample, member))
    if not np.array_equal(member[order], np.repeat(members, len(samples))) or not np.array_equal(
        sample[order], np.tile(samples, len(members))
    ):
        raise ValueError(f"{len(members)} members and {len(samples)} samples are not there once each")
    labels = label[order].reshape(len(members), len(samples))
    if (labels != labels[0]).any():
        raise ValueError("members have other labels for the same sample")
    found = values[order].reshape(len(members), len(samples), -1)
    return {name: _tensor(found), "labels": _tensor(labels[0])}


READERS: dict[str, Callable[[Path, IO[bytes], str], Tensors]] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
    ".npy": _npy,
    ".pt": _pt,
    ".pth": _pt,
    ".parquet": _parquet,
}
