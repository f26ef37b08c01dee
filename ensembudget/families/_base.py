"""What a family is: an architecture whose width is free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from ..records import AnyTask

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
        optional: Further options with their defaults, which are a matter of what the builder calls: unless
            they are given, it is called without them and they enter no member's key.
        tasks: The kinds of task that it does.
        multiple_of: `multiple_of(options)` says what every width is a multiple of.
        fault: `fault(options)` says in a sentence why these options cannot go together, or returns None.
        smallest: A task on which the family is tried; None for the smallest of a kind that it does.
        dropout: Whether its dropout, if it has any, draws each member's masks from a stream of its own. Where
            not, recipes with dropout are refused.
        width_means: `width_means(options)` says what a width of k is, where k is not the family's own choice.
    """

    build: Callable[..., nn.Module]
    options: Mapping[str, OptionValue | None] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: Mapping[str, OptionValue] = field(default_factory=dict)
    tasks: frozenset[str] = frozenset(("images",))
    multiple_of: Callable[[Mapping[str, OptionValue]], int] = lambda options: 1
    fault: Callable[[Mapping[str, OptionValue]], str | None] = lambda options: None
    smallest: AnyTask | None = None
    dropout: bool = True
    width_means: Callable[[Mapping[str, OptionValue]], str] = lambda options: ""
