"""Whether members can be stepped in the way asked for."""

import torch

from ..catalog import WAYS
from ..records import Recipe, Stepping
from .ways._base import Conditions


def faults(stepping: Stepping, recipe: Recipe, device: str, *, recorded: bool) -> list[str]:
    """Why members of this recipe cannot be stepped so, one sentence each; none where they can.

    Raises:
        UnknownPartError: No such way.
    """
    found = []
    if stepping.captured and torch.device(device).type != "cuda":
        found.append(f"captured steps need a CUDA device, and this is {device!r}.")
    if stepping.captured and recorded:
        found.append("captured steps cannot be recorded: nothing can be read between their parts.")
    if stepping.captured and recipe.moves:
        found.append(
            "captured steps replay one learning rate, and this recipe's changes from step to step"
            f" (schedule_by = {recipe.schedule_by!r}, warmup_steps = {recipe.warmup_steps:,})."
        )
    return found + WAYS[stepping.way].faults(Conditions(stepping, recipe, device, recorded))
