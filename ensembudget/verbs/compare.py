"""Compares two result sets cell by cell, or refuses and says why they cannot be compared."""

from collections.abc import Iterator

import numpy as np

from ..analysis.differing_fields import differing_fields
from ..analysis.two_results import CellPlace, Comparison, compared_cells, places
from ..errors import ComparisonError, told
from ..scoring.clusters import equal_or_none
from ..scoring.pools import Pool, Results
from ..tables._wording import samples_of, worded


def compare_results(a: Results, b: Results) -> Comparison:
    """Compares every cell that two result sets share.

    What must be equal: the dataset, its test labels in their order, and its classes. Recipes, widths, members
    and versions may differ, and what differs is listed.

    Args:
        a: As from `evaluate`.
        b: Likewise.

    Raises:
        ComparisonError: They are of other images, labels or classes, share no cell, or are pools of one
            member whose difference nothing can judge.
    """
    if wrong := list(_contradictions(a, b)):
        said = worded("; ".join(wrong), samples_of(a.plan))
        raise ComparisonError(f"A and B cannot be compared: {said}.")
    cells, unmatched = compared_cells(a, b)
    if not cells:
        raise ComparisonError(
            f"A and B share no cell that both can score. A has {_listed(list(places(a)))}. B has"
            f" {_listed(list(places(b)))}. A cell is found by arm, data size, budget and ensemble size."
        )
    if not any(one.is_judged for one in cells):
        raise ComparisonError(
            "A and B cannot be compared: every pool has one member, so nothing shows how members vary."
            " Train at least 2 members of each width (`pool = 2`)."
        )
    return Comparison(a, b, cells, unmatched, tuple(differing_fields(a, b)))


def _listed(some: list[CellPlace]) -> str:
    """The first cells of a result set in words."""
    more = f" and {len(some) - 3} more" if len(some) > 3 else ""
    return "; ".join(place.words for place in some[:3]) + more if some else "none"


def _contradictions(a: Results, b: Results) -> Iterator[str]:
    """Why two result sets were not tested on the same images, as parts of one sentence."""
    datasets = [results.plan.cells[0].cell for results in (a, b)]
    if datasets[0].dataset_digest != datasets[1].dataset_digest:
        yield "their images or labels differ: " + ", ".join(
            f"{name} is of dataset {cell.dataset!r} with digest {cell.dataset_digest[:12]}"
            for name, cell in zip("AB", datasets, strict=True)
        )
    pools = [_some_pool(results) for results in (a, b)]
    classes = [pool.logits.shape[-1] for pool in pools]
    if classes[0] != classes[1]:
        yield f"A has {classes[0]:,} classes and B {classes[1]:,}"
    names = [results.plan.class_names for results in (a, b)]
    if all(names) and names[0] != names[1]:
        first = next((i for i, pair in enumerate(zip(*names, strict=False)) if pair[0] != pair[1]), 0)
        yield f"class {first} is {told(names[0][first])} in A and {told(names[1][first])} in B"
    labels = [np.asarray(pool.labels) for pool in pools]
    samples = [pool.samples for pool in pools]
    if len(labels[0]) != len(labels[1]):
        yield f"A has {len(labels[0]):,} test labels and B {len(labels[1]):,}"
    elif not np.array_equal(labels[0], labels[1]):
        where = np.flatnonzero(labels[0] != labels[1])
        same = np.array_equal(np.sort(labels[0]), np.sort(labels[1]))
        yield (
            f"{len(where):,} of {len(labels[0]):,} test labels differ, first that of image {where[0]}:"
            f" {labels[0][where[0]]} in A and {labels[1][where[0]]} in B"
            + (" (the same labels in another order)" if same else "")
        )
    elif not equal_or_none(*samples):
        yield "their labels are equal, and are of other samples: they were tested at other positions"


def _some_pool(results: Results) -> Pool:
    found = next((pool for pool in results.pools if pool.trained), None)
    if found is None:
        name = results.plan.study.name
        raise ComparisonError(f"study {name!r} has no member that can be averaged: all have diverged.")
    return found
