"""What a disk may hold after a power cut: a model that loses and reorders what was not synced.

After Pillai et al. 2014 (ALICE, https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai)
and the fault_injection_test of LevelDB. The content of a file is kept from the `fsync` of that file on, a
name from the `fsync` of the folder it is in; a rename happens whole or not at all, and is kept from the
`fsync` of the folder that it leads to. Everything else may be lost, each change by itself; content that was
not synced may be there in part, or as zeros.
"""

import functools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traced_disk import Op

# What is drawn anew each time: the end of the name of a staged file or folder, or of one set aside.
DRAWN = re.compile(r"\w+\.\d+\.[0-9a-f]{32}$|(?<=\.)[0-9a-f]{32}$|(?<=-)[0-9a-f]{8}$")


@dataclass
class Node:
    """A file or a folder, whether or not a name leads to it.

    Attributes:
        names: Of a folder: what it holds.
        content: Of a file, as the disk has it for certain.
        is_folder: Whether it is one.
    """

    is_folder: bool
    names: dict[str, "Node"] = field(default_factory=dict)
    content: bytes = b""


@dataclass
class Change:
    """A change that a call makes, and when it is kept.

    Attributes:
        at: The number of the call in the log.
        node: The file that is written, or the folder whose names change.
        content: What is written, or None.
        gone: The name that goes, with its folder.
        come: The name that comes, with its folder and what it leads to.
        kept: The number of the call from which on it cannot be lost.
    """

    at: int
    node: Node
    content: bytes | None = None
    gone: tuple[Node, str] | None = None
    come: tuple[Node, str, Node] | None = None
    kept: float = float("inf")


class History:
    """All changes of a log that began with a tree."""

    def __init__(self, tree: dict[str, Any], log: list[Any]) -> None:
        self.base, self.log = node_of(tree), log
        self.changes: list[Change] = []
        self._now = {".": self.base}  # every path, as whoever looks while the machine runs sees it
        self.nodes = [self.base]
        self._index(self.base, "")
        for number, entry in enumerate(log):
            if isinstance(entry, Op):
                getattr(self, f"_{entry.call}", lambda *_: None)(number, entry)

    def _index(self, node: Node, path: str) -> None:
        for name, inside in node.names.items():
            self._now[path + name] = inside
            self.nodes.append(inside)
            self._index(inside, f"{path}{name}/")

    def _folder(self, path: str) -> tuple[Node, str]:
        above, _, name = path.rpartition("/")
        return self._now[above or "."], name

    def _make(self, number: int, path: str, is_folder: bool) -> None:
        folder, name = self._folder(path)
        self._now[path] = Node(is_folder)
        self.nodes.append(self._now[path])
        self.changes.append(Change(number, folder, come=(folder, name, self._now[path])))

    def _mkdir(self, number: int, op: Op) -> None:
        self._make(number, op.path, True)

    def _create(self, number: int, op: Op) -> None:
        self._make(number, op.path, False)

    def _write(self, number: int, op: Op) -> None:
        self.changes.append(Change(number, self._now[op.path], content=op.content))

    def _rename(self, number: int, op: Op) -> None:
        folder, name = self._folder(op.target)
        moved = self._now.pop(op.path)
        self.changes.append(Change(number, folder, gone=self._folder(op.path), come=(folder, name, moved)))
        for path in [path for path in self._now if path.startswith(f"{op.path}/")]:
            self._now[op.target + path.removeprefix(op.path)] = self._now.pop(path)
        self._now[op.target] = moved

    _replace = _rename

    def _unlink(self, number: int, op: Op) -> None:
        if op.path in self._now:  # else a file that training wrote, and not the store
            del self._now[op.path]
            folder, name = self._folder(op.path)
            self.changes.append(Change(number, folder, gone=(folder, name)))

    _rmdir = _unlink

    def _fsync(self, number: int, op: Op) -> None:
        node = self._now.get(op.path)
        for change in self.changes:
            if change.node is node:
                change.kept = min(change.kept, number)


def states(history: History, rng: random.Random, drawn: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Trees that the disk may hold after a cut before each call of a log, the worst first.

    Args:
        history: What was done.
        rng: Draws what is lost.
        drawn: How many are drawn before each call where content may be lost, and a tenth of that where
            only names may be; beside four of which nothing is drawn: all is lost that may be, nothing is,
            all content is, all names are.

    Yields:
        The number of calls before the cut, and a tree: folders are dicts, files bytes.
    """
    for end in range(len(history.log), -1, -1):
        open_ = [change for change in history.changes if change.at < end and change.kept >= end]
        kinds = ["lost", "kept", "content lost", "names lost"] if open_ else ["lost"]
        draws = drawn if any(change.content for change in open_) else drawn // 10 if open_ else 0
        for kind in kinds + ["drawn"] * draws:
            yield end, _after(history, end, kind, rng)


def _after(history: History, end: int, kind: str, rng: random.Random) -> dict[str, Any]:
    share = rng.choice(
        (0.5, 0.95, 1.0)
    )  # of names; else content that is lost in part would hardly ever be seen
    names = {id(node): dict(node.names) for node in history.nodes}
    content = {id(node): node.content for node in history.nodes}
    for change in history.changes:
        if change.at >= end:
            continue
        kept = change.kept < end or _is_kept(change, kind, rng, share)
        if change.content is not None:
            content[id(change.node)] += change.content if kept else _part(change.content, kind, rng)
        elif kept:
            if change.gone:
                names[id(change.gone[0])].pop(change.gone[1], None)
            if change.come:
                names[id(change.come[0])][change.come[1]] = change.come[2]

    def tree(node: Node) -> Any:
        if not node.is_folder:
            return content[id(node)]
        return {name: tree(inside) for name, inside in names[id(node)].items()}

    return tree(history.base)  # type: ignore[no-any-return]


def _is_kept(change: Change, kind: str, rng: random.Random, share: float) -> bool:
    is_content = change.content is not None
    if kind == "drawn":
        return rng.random() < (0.2 if is_content else share)
    return kind == "kept" or kind == ("names lost" if is_content else "content lost")


def _part(content: bytes, kind: str, rng: random.Random) -> bytes:
    if kind != "drawn":
        return b""
    length = rng.randrange(len(content) + 1)
    return rng.choice((content[:length], bytes(length), content[:length] + bytes(len(content) - length)))


def tree_of(folder: Path) -> dict[str, Any]:
    """What is in a folder: folders are dicts, files bytes."""
    return {path.name: tree_of(path) if path.is_dir() else path.read_bytes() for path in folder.iterdir()}


def node_of(tree: Any) -> Node:
    if not isinstance(tree, dict):
        return Node(False, content=tree)
    return Node(True, {name: node_of(inside) for name, inside in tree.items()})


def write_tree(tree: dict[str, Any], folder: Path) -> None:
    """Puts a tree onto a disk."""
    folder.mkdir(exist_ok=True)
    for name, inside in tree.items():
        if isinstance(inside, dict):
            write_tree(inside, folder / name)
        else:
            (folder / name).write_bytes(inside)


def signature(tree: Any) -> int:
    """Of what is in a tree; names that are drawn anew each time do not count."""
    if not isinstance(tree, dict):
        return hash(tree)
    return hash(frozenset((steady(name), signature(inside)) for name, inside in tree.items()))


@functools.cache
def steady(name: str) -> str:
    return DRAWN.sub("", name)
