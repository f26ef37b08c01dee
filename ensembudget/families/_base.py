"""What a family is: an architecture whose width is free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

OptionValue = int | bool | str


@dataclass(frozen=True)
class Family:
    """One architecture at every width.

    Attributes:
        build: `build(width, task, members, **options)` makes a network of several members side by side.
            It maps inputs to logits as the task's kind has them, images (sample, members x channel, row,
            column) to (sample, members x class), and every parameter and buffer stacks its members along
            dimension 0. The layers in `_layers.py` do; a network of ordinary torch layers can hold one
            member only.
        options: Further options, such as depth, with their defaults. A text option has `choices`, and
            its default may be None: then the builder is called without it, and it enters no member's
            key. A new option of a family that has members somewhere gets this default.
        choices: The values that a text option may take.
        tasks: The kinds of task that it does.
        multiple_of: `multiple_of(options)` says what every width is a multiple of.
        fault: `fault(options)` says in a sentence why these options cannot go together, or returns None.
    """

    build: Callable[..., nn.Module]
    options: Mapping[str, OptionValue | None] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tasks: frozenset[str] = frozenset(("images",))
    multiple_of: Callable[[Mapping[str, OptionValue]], int] = lambda options: 1
    fault: Callable[[Mapping[str, OptionValue]], str | None] = lambda options: None
