"""What several probes share: groups of members, the two ends of a path, how long a descent is."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...packing.network import single
from ...records import Value, Values
from ..alignment import align
from ..site import Site, finite
from ..symmetry import symmetries
from ..tunnels import short_directions
from ._base import OnShare

# 0 stands for what the members were trained with.
DESCENT: Mapping[str, Value] = {"epochs": 0, "learning_rate": 0.0}
PAIRS: Mapping[str, Value] = {"pairs": 3, "aligned": False}
CURVATURE: Mapping[str, Value] = {"threshold": 0.0}  # 0: curvature is not measured


def disjoint(pool: int, size: int, count: int) -> list[tuple[int, ...]]:
    """Groups of members that share none, in the order of the pool; `count` of them, or as many as there are.

    >>> disjoint(5, 2, 3)
    [(0, 1), (2, 3)]
    """
    return [tuple(range(i * size, (i + 1) * size)) for i in range(min(count, pool // size))]


def pairs(pool: int, options: Values) -> list[tuple[int, ...]]:
    return disjoint(pool, 2, int(options["pairs"]))


def pairs_need(options: Values) -> int:
    return 2 * int(options["pairs"])


def descent(site: Site, options: Values) -> dict[str, Any]:
    """Epochs and learning rate that the options give, or those of the recipe where they say 0."""
    recipe = site.cell.recipe
    return {
        "epochs": int(options["epochs"]) or recipe.epochs,
        "rate": float(options["learning_rate"]) or recipe.learning_rate,
    }


def ends(site: Site, options: Values) -> tuple[Tensor, Tensor]:
    """The points of two members, the second after weight matching where the options say so."""
    first, second = site.states
    if options["aligned"]:
        found = symmetries(single(site.cell, site.task), site.task)
        second = align(first, second, found, site.stream("alignment")).state
    return site.point(first), site.point(second)


def curved(site: Site, options: Values, points: Mapping[str, Tensor]) -> dict[str, float | None]:
    """The number of short directions at named points, as facts `short_NAME`; none unless asked for."""
    threshold = float(options["threshold"])
    if not threshold:
        return {}
    return {
        f"short_{name}": finite(short_directions(site, point, threshold, site.stream("curvature")))
        for name, point in points.items()
    }


def lengths(start: Tensor, end: Tensor) -> dict[str, float | None]:
    """How far two ends lie apart, and from the origin on average, in the units of weights."""
    return {
        "distance": finite((end - start).norm()),
        "norm": finite((start.norm() + end.norm()) / 2),
    }


def within(on_share: OnShare, first: float, last: float, count: int) -> Callable[[int], None]:
    """Reports a count of things done, out of `count`, as shares from `first` to `last`."""
    return lambda done: on_share(first + (last - first) * done / count)
