"""AUROC of an ensemble's uncertainty as a detector of out-of-scope samples, at every ensemble size.

Source: Larson et al. 2019, arXiv:1909.02027, whose dataset CLINC150 has such queries.
"""

import numpy as np
import torch
from torch import Generator, Tensor

from ...arrays import Array
from ...datasets._base import Arrays
from ...metrics._outside import Counts, detections
from ...packing.parts import Asked
from ...records import Values
from ...training.evaluation import evaluate_logits
from ..site import Site, finite
from ._base import Findings, OnShare, Probe


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """Measures AUROC by every uncertainty, at every size.

    Returns:
        Facts `UNCERTAINTY_SIZE`, such as `entropy_2`; the same names with `_members`, `_freedom` and
        `_queries`, the fields of `Detection`; and the numbers of samples, `inside` and `outside`.
    """
    given = site.data.arrays.outside_inputs
    assert given is not None
    asked = (site.parts.test.inputs, torch.from_numpy(given))
    on_share(0.0)
    inside, outside = (probabilities(site, inputs) for inputs in asked)
    on_share(0.5)
    draws, generator = int(options["draws"]), site.stream("queries")
    counts = drawn(draws, inside.shape[1], generator), drawn(draws, outside.shape[1], generator)
    facts: dict[str, float | None] = {"inside": inside.shape[1], "outside": outside.shape[1]}
    for one in detections(inside, outside, counts):
        name = f"{one.uncertainty}_{one.size}"
        facts |= {name: one.value, f"{name}_queries": finite(one.queries)}
        facts |= {f"{name}_members": one.members, f"{name}_freedom": one.freedom}
        on_share(0.5 + 0.5 * one.size / len(inside))
    return Findings(facts=facts)


def probabilities(site: Site, inputs: Tensor) -> Array:
    """The members' probabilities, (member, sample, class), float64."""
    some = torch.arange(len(inputs))
    asked = Asked(inputs, torch.zeros_like(some), some)
    logits = [evaluate_logits(network, asked, site.feed, count) for network, count in site.members()]
    found: Array = torch.cat(logits).double().softmax(-1).numpy()
    return found


def drawn(draws: int, count: int, generator: Generator) -> Counts:
    """How often each of `count` samples is in each bootstrap draw, (draw, sample).

    Example:
        >>> drawn(2, 5, Generator().manual_seed(0)).sum(1)
        array([5, 5])
    """
    return np.stack(
        [
            torch.randint(count, (count,), generator=generator).bincount(minlength=count).numpy()
            for _ in range(draws)
        ]
    )


def groups(pool: int, options: Values) -> list[tuple[int, ...]]:
    return [tuple(range(pool))] if pool else []


def fault(options: Values, parameters: int) -> str | None:
    if int(options["draws"]) >= 2:
        return None
    return f"draws = {options['draws']}: they show no spread. Set draws to at least 2, say 1000."


def lacks(arrays: Arrays) -> str | None:
    if arrays.outside_inputs is not None and len(arrays.outside_inputs):
        return None
    return "the dataset has no test samples that belong to no class. Leave the probe out, or take clinc150."


probe = Probe(
    measure,
    groups,
    needs=lambda options: 1,
    shows="outside",
    options={"draws": 1000},
    fault=fault,
    tasks=frozenset(("images", "text_classification")),
    lacks=lacks,
)
