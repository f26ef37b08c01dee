"""The contract of a family: an architecture whose width is free."""

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
            It maps inputs to logits in the shapes of the task's kind: images (sample, members x channel,
            row, column) to (sample, members x class). Every parameter and buffer stacks the members along
            dimension 0, as the layers in `_layers.py` do. A network of ordinary torch layers can hold only
            one member, or be packed by `_copies.py`.
        options: Further options, such as depth, with their defaults. A text option has `choices`, and
            its default may be None: then the builder is called without it, and it enters no member's
            key. Give this default to a new option of a family of which members have been trained.
        choices: The values that a text option may take.
        optional: Options whose defaults belong to the library that the builder calls. Unless given, they are
            not passed to the builder and enter no member's key.
        tasks: The kinds of task that the family supports.
        multiple_of: `multiple_of(options)` gives the number that every width must be a multiple of.
        fault: `fault(options)` says in a sentence why these options cannot go together, or returns None.
        smallest: `smallest(options)` is a task for test builds of the family; None takes the smallest task of
            a supported kind.
        dropout: Whether each member's dropout masks come from a random stream of its own, or there is no
            dropout to draw them for. Where False, recipes with dropout are refused.
        width_means: `width_means(options)` says in words what a width of k is, where another library's
            arguments decide it; "" elsewhere.
    """

    build: Callable[..., nn.Module]
    options: Mapping[str, OptionValue | None] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: Mapping[str, OptionValue] = field(default_factory=dict)
    tasks: frozenset[str] = frozenset(("images",))
    multiple_of: Callable[[Mapping[str, OptionValue]], int] = lambda options: 1
    fault: Callable[[Mapping[str, OptionValue]], str | None] = lambda options: None
    smallest: Callable[[Mapping[str, OptionValue]], AnyTask | None] = lambda options: None
    dropout: bool = True
    width_means: Callable[[Mapping[str, OptionValue]], str] = lambda options: ""
