"""Reads `--stepping pack=8,compiled=no`."""

from ..errors import PlanError
from ..records import SteppingChoice


def parse_stepping(text: str) -> SteppingChoice:
    """What `--stepping` says, like `pack=8,compiled=no`.

    >>> parse_stepping("pack=8,compiled=no").fixed
    {'pack': 8, 'compiled': False}
    """
    try:
        pairs = [part.split("=", 1) for part in text.split(",")]
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a field twice")
        return SteppingChoice.model_validate_strings(dict(pairs))
    except ValueError:
        raise PlanError(
            f"--stepping {text!r} cannot be read. Write what is to be fixed of pack=8,way=grouped,"
            "layout=channels_last,compiled=no,captured=no,threads=1; way is grouped, separate or vmap, layout"
            " channels_last or contiguous."
        ) from None
