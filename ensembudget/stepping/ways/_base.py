"""What a way to step must say of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from ...records import Recipe, Stepping

Forward = Callable[[Tensor], Tensor]  # a packed network's inputs to its logits, as `tasks` has them


class Conditions(NamedTuple):
    """What members are stepped under: how, by which recipe, where, and whether a history is recorded."""

    stepping: Stepping
    recipe: Recipe
    device: str
    recorded: bool


def neither_compiled_nor_dropout(conditions: Conditions) -> list[str]:
    """The faults of a way that torch.compile cannot take and that has one stream of dropout masks."""
    stepping, dropout = conditions.stepping, conditions.recipe.dropout
    found = []
    if stepping.compiled:
        found.append(f"way {stepping.way!r} cannot be compiled. Use way 'grouped', or compiled=no.")
    if dropout:
        found.append(
            f"dropout {dropout:g} draws each member's masks from its own random stream, which way"
            f" {stepping.way!r} cannot do. Use way 'grouped'."
        )
    return found


@dataclass(frozen=True)
class Way:
    """One way for a pack's inputs to go through its network; members come out the same up to rounding.

    Attributes:
        forward: `forward(network, single, members)` gives the function that inputs go through. `network`
            is the packed network on its device, `single()` makes one member's network on the meta device.
        faults: Why members cannot be stepped so under these conditions, one sentence each. A way that
            can be compiled, or gives every member its own dropout masks, says so here.
        autotuned_on: Device types on which autotuning tries it; elsewhere it must be asked for.

    Example:
        The packed network as it is:

        >>> way = Way(lambda network, single, members: network, autotuned_on=("cuda",))
    """

    forward: Callable[[nn.Module, Callable[[], nn.Module], int], Forward]
    faults: Callable[[Conditions], list[str]] = neither_compiled_nor_dropout
    autotuned_on: tuple[str, ...] = ("cpu", "cuda")
