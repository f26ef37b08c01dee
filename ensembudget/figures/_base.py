"""The contract of a figure: a function from its subject to a matplotlib figure, or to None."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """One figure; its files have the name of its module.

    Attributes:
        draw: From its subject to the figure; None where there is nothing to draw.
        about: What the subject is: an `Analysis`, which `report` hands to every such figure, or what one
            command found.
    """

    draw: Callable[[Any], Figure | None]
    about: str = "analysis"
