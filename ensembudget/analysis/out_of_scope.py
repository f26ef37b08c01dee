"""How well ensembles of every size detect out-of-scope samples: AUROC with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..metrics._outside import UNCERTAINTIES
from ..records import Interval, PlannedCell, Probed, Setting
from ..scoring.joint import welch
from ..scoring.pools import Results
from ..scoring.standard_errors import Variance, interval
from .probes import budget_of, grouped

SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class DetectedOutside:
    """Detection of out-of-scope samples by one pool's ensembles of one size.

    Attributes:
        planned: The pool.
        members: Members of one ensemble.
        found: The measurement at the pool.
        budget: The budget of the split that these ensembles belong to; None if they belong to none.
        auroc: The mean AUROC over groups by each uncertainty; None for mutual information of single members.
            The interval is over members and samples, or over samples alone in a pool of one.
    """

    planned: PlannedCell
    members: int
    found: Probed
    budget: int | None
    auroc: Mapping[str, Interval | None]

    @property
    def setting(self) -> Setting:
        return self.planned.setting

    @property
    def groups(self) -> int:
        """How many ensembles, with no member in common, the mean is over."""
        return len(self.found.subject.members) // self.members


def detected(results: Results) -> tuple[DetectedOutside, ...]:
    """Every ensemble size at every probed pool."""
    return tuple(
        DetectedOutside(
            planned=planned,
            members=size,
            found=probed,
            budget=budget_of(results.plan, planned, size),
            auroc={name: _auroc(probed, f"{name}_{size}") for name in UNCERTAINTIES},
        )
        for group in grouped(results, "outside")
        for planned, probed in group
        for size in range(1, len(probed.subject.members) + 1)
    )


def _auroc(probed: Probed, name: str) -> Interval | None:
    facts = probed.facts
    value, members, queries = (facts.get(f"{name}{which}") for which in ("", "_members", "_queries"))
    if value is None or queries is None:
        return None
    # The error over samples is known well: as many degrees of freedom as samples.
    errors = [(queries**2, float(facts["inside"] or 0) + float(facts["outside"] or 0))]
    if members is not None:
        errors += [(members**2, float(facts[f"{name}_freedom"] or 1))]
    variances, freedoms = (np.array(each) for each in zip(*errors, strict=True))
    return interval(value, Variance(float(variances.sum()), float(welch(variances, freedoms))), SHARE)
