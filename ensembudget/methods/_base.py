"""What a method is: how one training run gives a unit, the predictors whose probabilities are averaged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Generator, Tensor, nn

from ..records import MethodOptions, Recipe


class Unit(NamedTuple):
    """What one member is, and so what it costs.

    Attributes:
        predictors: How many predictions are averaged; each is one pass through a network.
        networks: How many networks' numbers are stored for them.
    """

    predictors: int = 1
    networks: int = 1

    @property
    def is_network(self) -> bool:
        """Whether it is one ordinary network, whose weights can be kept, rounded and exported."""
        return self == (1, 1)


class Option(NamedTuple):
    """An option of a method: its default, and the smallest and largest number that it may be.

    A whole number may stand for a default with a point, and not the other way round.
    """

    default: int | float
    low: float
    high: float


@dataclass(frozen=True)
class Finished:
    """A pack after its last epoch, and what a method may ask of it.

    Attributes:
        network: The packed network; every tensor stacks its members along dimension 0.
        members: How many.
        generators: Of predictor number i, one a member: what is drawn for it does not depend on the pack.
        refit: Gathers batch norm's statistics anew on the training samples, for the weights as they are now.
        losses: Mean training loss of the network as it is now, in evaluation mode, (member,), nats, float64.
    """

    network: nn.Module
    members: int
    generators: Callable[[int], list[Generator]]
    refit: Callable[[], None]
    losses: Callable[[], Tensor]


class Collector(Protocol):
    """Watches a pack train, and makes its predictors at the end. Members may not mix."""

    def keep(self, epoch: int, network: nn.Module) -> None:
        """Called at the end of every epoch, counted from 0, with the packed network."""

    def predictors(self, finished: Finished) -> Iterator[Tensor | None]:
        """Turns the packed network into one predictor after another, and yields when each is there.

        Weights that training did not itself reach need `finished.refit()`. What is yielded is the distance
        from a centre, in norms of the centre, (member,), or None where a method has none.
        """


@runtime_checkable
class Resumable(Collector, Protocol):
    """A collector whose packs go on from their checkpoints; those of any other start anew when killed."""

    def state(self) -> dict[str, Tensor]:
        """All that it keeps from epoch to epoch, by names of its own; nothing of it is changed."""

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        """Makes a new collector what `state` was taken of: names in the same order, tensors its own to keep.

        `network` is the packed network as it was then.
        """


@dataclass(frozen=True)
class Method:
    """One way to get a unit out of one training run.

    Attributes:
        collect: `collect(recipe, options)` is what watches one pack; a `Resumable` lets it go on when killed.
        unit: `unit(options)` says what a member is.
        options: With their defaults and ranges. A new option of a method that has members somewhere would
            change their keys, so it makes another method.
        rate: `rate(recipe, options, epoch, factor)` is the factor on the recipe's learning rates in an
            epoch, counted from 0; `factor` is that of the recipe's own schedule.
        fault: `fault(recipe, options)` says in a sentence why such members cannot be trained, or None.
    """

    collect: Callable[[Recipe, MethodOptions], Collector]
    unit: Callable[[MethodOptions], Unit] = lambda options: Unit()
    options: Mapping[str, Option] = field(default_factory=dict)
    rate: Callable[[Recipe, MethodOptions, int, float], float] = lambda recipe, options, epoch, factor: factor
    fault: Callable[[Recipe, MethodOptions], str | None] = lambda recipe, options: None
