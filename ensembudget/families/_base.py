"""What a family is, and how a network of it is made: described on the meta device, then filled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

OptionValue = int | bool | str


@dataclass(frozen=True)
class Family:
    """One architecture at every width.

    Attributes:
        build: `build(width, task, members, **options)` makes the network. It maps images
            (sample, members x channel, row, column) to logits (sample, members x class); every
            parameter and buffer stacks its members along dimension 0.
        options: What else is free, with defaults (say depth). An option of text has `choices`; its
            default may be None, and then a network without it is not told of it.
        choices: The words that an option of text may be.
        fault: Why these options cannot be, as a sentence, or nothing.
    """

    build: Callable[..., nn.Module]
    options: Mapping[str, OptionValue | None] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Callable[[Mapping[str, OptionValue]], str | None] = lambda options: None
