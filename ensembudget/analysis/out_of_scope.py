"""How well ensembles of every size tell samples of their classes from samples of none."""

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
    """The ensembles of one size out of one pool.

    Attributes:
        planned: The pool.
        members: In one ensemble.
        found: What was measured.
        budget: Of the study's split that they are; None where they are none.
        auroc: By each uncertainty, the mean over groups; None of one that single members do not have. The
            interval is over members and samples, or over samples alone where members show no spread.
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
        """Ensembles that share no member."""
        return len(self.found.subject.members) // self.members


def detected(results: Results) -> tuple[DetectedOutside, ...]:
    """Every size at every pool that was probed."""
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
    # The bootstrap's own error is small, and a sample's weight in it normal.
    errors = [(queries**2, float(facts["inside"] or 0) + float(facts["outside"] or 0))]
    if members is not None:
        errors += [(members**2, float(facts[f"{name}_freedom"] or 1))]
    variances, freedoms = (np.array(each) for each in zip(*errors, strict=True))
    return interval(value, Variance(float(variances.sum()), float(welch(variances, freedoms))), SHARE)
