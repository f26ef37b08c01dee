"""What a format is: how an ensemble becomes the bytes of one file, and how those are run again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..card import Blueprint
from ..graph import Runner, WeightedEnsemble


class Content(NamedTuple):
    """A file's content, and how many of its bytes are tensors."""

    content: bytes
    tensor_bytes: int


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        file: The name of its file.
        write: The file of an ensemble.
        read: Makes what runs the file's content again. Raises `ValueError`, which says why, where the content
            is not what `write` makes of such a blueprint.
        about: What reads the file, for people.
        writes_with: Packages beyond ensembudget's own that writing takes; the extra of the format's name
            has them.
        reads_with: Those that reading takes.
        safe: Whether `read` runs no code that a file may bring; `ensembudget.load` reads no other.
    """

    file: str
    write: Callable[[WeightedEnsemble], Content]
    read: Callable[[bytes, Blueprint], Runner]
    about: str
    writes_with: tuple[str, ...] = ()
    reads_with: tuple[str, ...] = ()
    safe: bool = True
