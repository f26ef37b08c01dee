"""Reads `--stepping pack=8,compiled=no`."""

from typing import get_args

from ..catalog import WAYS
from ..errors import SteppingError, UnknownPartError
from ..records import MemoryLayout, SteppingChoice


def parse_stepping(text: str) -> SteppingChoice:
    """What `--stepping` says.

    Raises:
        SteppingError: It cannot be read.
        UnknownPartError: No such way.

    Example:
        >>> parse_stepping("pack=8,compiled=no").fixed
        {'pack': 8, 'compiled': False}
    """
    try:
        pairs = [part.split("=", 1) for part in text.split(",")]
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a field twice")
        choice = SteppingChoice.model_validate_strings(dict(pairs))
    except ValueError:
        raise SteppingError(
            f"--stepping {text!r} cannot be read. Write the fields to fix, as in pack=8,way=grouped,"
            "layout=channels_last,compiled=no,captured=no,threads=1. Ways:"
            f" {', '.join(WAYS)}; layouts: {', '.join(get_args(MemoryLayout))}."
        ) from None
    try:
        if choice.way is not None:
            WAYS[choice.way]
    except UnknownPartError as error:
        raise UnknownPartError(f"--stepping {text!r}: {error}") from None
    return choice
