"""All members at once, as grouped convolutions."""

from collections.abc import Callable

from torch import nn

from ._base import Conditions, Forward, Way


def forward(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    return network


def faults(conditions: Conditions) -> list[str]:
    """Masks come from generators, which compiled and captured code cannot ask."""
    stepping, dropout = conditions.stepping, conditions.recipe.dropout
    special = [word for word in ("compiled", "captured") if getattr(stepping, word)]
    if not dropout or not special:
        return []
    return [
        f"dropout {dropout:g} draws each member's masks from its own random stream, which"
        f" {' and '.join(special)} steps cannot do."
    ]


way = Way(forward, faults)
