"""How many members ended, from their sealed descriptions alone, mostly without parsing them into records."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ..files import read_regular
from ..records import Cell, Run
from .documents import FORMAT, DamageError, canonical, parse, sha256
from .members import DESCRIPTION, described

RUN = "\0run"  # stands for a run in a description
MARK = b'"run":' + canonical(RUN)


class Brief(NamedTuple):
    """How a member ended.

    Attributes:
        key: Which.
        is_done: Whether it can be averaged; else it diverged.
        seconds: Its share of its pack's time.
    """

    key: str
    is_done: bool
    seconds: float


def brief(folder: Path, run: Run) -> Brief:
    """How a member ended.

    Args:
        folder: Where it lies.
        run: Which it is.

    Raises:
        DamageError: The description is not what was published.
        UnknownError: It is intact, but not all of it is known to this version.
        OSError: It is missing, or the disk fails.
    """
    member, _, _ = described(folder, run.key)
    return Brief(run.key, member.status == "done", member.seconds)


class Briefs:
    """The descriptions of a cell's members.

    They begin with their run. Where one begins with the bytes of the run that is asked for, only the rest is
    parsed, and its digest is that of the run, which is known, and of the rest.

    Args:
        cell: Of all these members.
    """

    def __init__(self, cell: Cell) -> None:
        facts = cell.model_dump(mode="json")
        self.cell, self._abi = cell, cell.training_abi
        self._cell, self._canonical_cell = json.dumps(facts).encode(), canonical(facts)

    def find(self, folder: Path, run: Run) -> Brief | None:
        """How a member ended, where its description is just as this version writes it; else `brief` says.

        Args:
            folder: Where it lies.
            run: Which it is.
        """
        try:
            raw = read_regular(f"{folder}/{DESCRIPTION}")  # a Path takes longer than the reading
        except OSError:
            return None
        rest = self._rest(raw, run.seed)
        return Brief(run.key, rest["status"] == "done", rest["seconds"]) if rest is not None else None

    def _rest(self, raw: bytes, seed: int) -> dict[str, Any] | None:
        """What a description says beside its run, or None where it is not just as this version writes it."""
        start = b'{"format": %d, "training_abi": %d, "member": {"run": {"cell": %s, "seed": %d}, '
        start %= FORMAT, self._abi, self._cell, seed
        if not raw.startswith(start):
            return None
        raw = b'{"member": {' + raw[len(start) :]
        try:
            document = parse(raw)
            member, digest = document["member"], document.pop("sha256")
            again = json.dumps(document | {"sha256": digest}).encode()
        except (DamageError, KeyError):
            return None
        # No name may be there twice: the later would count.
        if again != raw or "run" in member or document.keys() != {"member", "files"}:
            return None
        if not {"status", "seconds"} <= member.keys():
            return None
        whole = {"format": FORMAT, "training_abi": self._abi, **document, "member": {"run": RUN, **member}}
        before, *after = canonical(whole).split(MARK)
        if len(after) != 1:
            return None
        run = b'"run":{"cell":%s,"seed":%d}' % (self._canonical_cell, seed)
        return member if digest == sha256(before + run + after[0]) else None
