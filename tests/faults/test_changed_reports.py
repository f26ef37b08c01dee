"""Attack: whoever changes a published report, and covers it up by writing its index anew, is found out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from ensembudget.bundling.contents import Bundle, read_bundle
from ensembudget.bundling.folder import GivenFolder
from ensembudget.bundling.index import INDEX, LABELS, read_index, sealed_index
from ensembudget.bundling.recomputed import check_recomputed
from ensembudget.bundling.rendered import check_rendered, manifest_of
from ensembudget.errors import BundleError
from helpers import ROOT

REPORT = ROOT / "tables" / "digits-landscape"
Draws = np.random.Generator


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPORT, tmp_path / "copy"))


def names(folder: Path, pattern: str = "") -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if re.search(pattern, name))


def covered_up(folder: Path) -> None:
    index = read_index(GivenFolder(folder))
    files = {name: (folder / name).read_bytes() for name in names(folder) if name != INDEX}
    again = sealed_index(index.dtype, index.labels, files, histories=index.histories)
    (folder / INDEX).write_bytes(again)


def is_caught(folder: Path) -> bool:
    try:
        return bool(read_bundle(folder).faults)
    except BundleError:
        return True


def flip(raw: bytes, draws: Draws) -> bytes:
    changed = bytearray(raw)
    changed[draws.integers(len(raw))] ^= 1 << draws.integers(8)
    return bytes(changed)


def truncate(raw: bytes, draws: Draws) -> bytes:
    return raw[: draws.integers(len(raw))]


def test_a_changed_byte_of_any_file_is_caught(copy, times, attacked):
    draws, every = np.random.default_rng(0), names(copy)
    cases = 200 * times
    for case in range(cases):
        name = every[draws.integers(len(every))]
        before = (copy / name).read_bytes()
        (copy / name).write_bytes((flip, truncate)[case % 4 == 0](before, draws))
        assert is_caught(copy), f"case {case}: {name}"
        (copy / name).write_bytes(before)
    for name in every:
        (copy / name).rename(copy / "extra")
        assert is_caught(copy), f"{name} renamed"
        (copy / "extra").rename(copy / name)
    assert not is_caught(copy)
    attacked("P4 P13", "bytes of a sealed report flipped, files cut short or renamed", cases + len(every))


def array_edit(arrays: dict[str, np.ndarray], draws: Draws) -> None:
    """One number of one array changes by its last bit."""
    name = draws.choice(sorted(name for name, array in arrays.items() if array.size))
    bits = arrays[name].view(np.uint8).reshape(-1)
    bits[draws.integers(len(bits))] ^= 1


def member_swap(arrays: dict[str, np.ndarray], draws: Draws) -> None:
    logits = sorted(name for name in arrays if name.endswith(".test_logits"))
    one, other = draws.choice(logits, 2, replace=False)
    arrays[one], arrays[other] = arrays[other], arrays[one]


EDITS: list[tuple[str, Callable[[dict[str, np.ndarray], Draws], None]]] = [
    (r"^bundle/cells/", array_edit),
    (r"^bundle/cells/", member_swap),
    (LABELS, array_edit),
]


def test_changed_logits_and_labels_are_caught_though_the_index_is_written_anew(copy, times, attacked):
    draws, cases = np.random.default_rng(1), 150 * times
    sealed = (copy / INDEX).read_bytes()
    for case in range(cases):
        pattern, edit = EDITS[case % len(EDITS)]
        some = names(copy, pattern)
        name = some[draws.integers(len(some))]
        before = (copy / name).read_bytes()
        arrays = {key: array.copy() for key, array in load(before).items()}
        edit(arrays, draws)
        (copy / name).write_bytes(save(arrays))
        covered_up(copy)
        assert is_caught(copy), f"case {case}: {edit.__name__} of {name}"
        (copy / name).write_bytes(before)
        (copy / INDEX).write_bytes(sealed)
    assert not is_caught(copy)
    attacked("P4 P13", "logits, members and labels of a bundle changed, its index written anew", cases)


def test_a_changed_digit_is_caught_though_the_index_is_written_anew(copy, times, attacked):
    """What is computed anew stands for itself here: it is equal to what is published (tests/bundling)."""
    draws, cases = np.random.default_rng(2), 60 * times
    bundle = read_bundle(copy)
    for case in range(cases):
        some = names(copy, r"^[^/]*\.(csv|md|tex|html)$|^plane\.json$|^manifest\.json$")
        name = some[draws.integers(len(some))]
        before = (copy / name).read_text()
        places = [one.start() for one in re.finditer(r"(?<=[0-9.])[0-9](?=[0-9.,\s])", before)]
        if not places:
            continue
        at = places[draws.integers(len(places))]
        digit = str((int(before[at]) + 1 + draws.integers(9)) % 10)
        (copy / name).write_text(before[:at] + digit + before[at + 1 :])
        assert differs(bundle, copy) or is_told_as_unchecked(name, before, at), f"case {case}: {name} at {at}"
        (copy / name).write_text(before)
    assert not differs(bundle, copy)
    attacked("P13", "one digit of a published CSV, JSON, Markdown, LaTeX or HTML file changed", cases)


def differs(bundle: Bundle, copy: Path) -> bool:
    try:
        manifest = manifest_of(bundle.folder)
        rendered = check_rendered(bundle.folder, manifest)
        recomputed, _ = check_recomputed(bundle, manifest, REPORT)
    except BundleError:
        return True
    return bool(rendered.differences or recomputed.differences)


def is_told_as_unchecked(name: str, text: str, at: int) -> bool:
    """Who computed a report, and where, does not follow: `verify` says that it is not checked."""
    if name != "manifest.json":
        return False
    code = text.index('"code"')
    return json.loads(text)["code"] is not None and at > code
