"""How good the translations of ensembles are: BLEU and chrF with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ..decoding.search import SEARCHES
from ..records import Interval, PlannedCell, Probed, Setting
from ..scoring.joint import welch
from ..scoring.pools import FoundProbe, Results
from ..scoring.standard_errors import LEVEL, Variance, interval
from .probes import budget_of, grouped

SCORE = (0.0, 100.0)


@dataclass(frozen=True)
class Translations:
    """The translations of one pool's ensembles of one size, by one search.

    Attributes:
        planned: The pool.
        search: One of `SEARCHES`.
        found: The measurements, one a group of members.
        budget: The budget of the split that these ensembles belong to; None if they belong to none.
        bleu: The mean over groups, 0 to 100. The interval is over sentences, and over members too where there
            are several groups.
        chrf: As `bleu`.
    """

    planned: PlannedCell
    search: str
    found: tuple[Probed, ...]
    budget: int | None
    bleu: Interval | None
    chrf: Interval | None

    @property
    def setting(self) -> Setting:
        return self.planned.setting

    @property
    def members(self) -> int:
        """In one ensemble."""
        return len(self.found[0].subject.members)

    @property
    def beam(self) -> int:
        """Hypotheses kept for each sentence."""
        return 1 if self.search == "greedy" else int(self.found[0].subject.options["beam"])

    @property
    def sentences(self) -> int:
        """How many were translated."""
        return int(self.found[0].facts["sentences"] or 0)

    @property
    def examples(self) -> list[dict[str, str]]:
        """Examples of the first group: `source`, `reference`, and a translation by each search."""
        return self.found[0].examples


def translations(results: Results) -> tuple[Translations, ...]:
    """The translations of every probed pool at every probed size, by each search."""
    return tuple(
        _translations(results, group, search)
        for group in grouped(results, "sentences")
        for search in SEARCHES
    )


def _translations(results: Results, group: Sequence[FoundProbe], search: str) -> Translations:
    found = tuple(one.probed for one in group)
    planned = group[0].planned
    return Translations(
        planned=planned,
        search=search,
        found=found,
        budget=budget_of(results.plan, planned, len(found[0].subject.members)),
        bleu=_score(found, f"{search}_bleu"),
        chrf=_score(found, f"{search}_chrf"),
    )


def _score(found: Sequence[Probed], name: str) -> Interval | None:
    values = [one.facts[name] for one in found]
    reaches = [one.facts[f"{name}_reach"] for one in found]
    known = [value for value in values if value is not None]
    reach = [one for one in reaches if one is not None]
    if len(known) < len(found) or len(reach) < len(found):
        return None
    # All groups translate the same sentences, so averaging them does not reduce the error over sentences.
    normal = float(ndtri((1 + LEVEL) / 2))
    sentences = float(found[0].facts["sentences"] or 0)
    errors = [((float(np.mean(reach)) / normal) ** 2, sentences - 1)]
    if len(known) > 1:
        errors += [(float(np.var(known, ddof=1)) / len(known), len(known) - 1.0)]
    variances, freedoms = (np.array(each) for each in zip(*errors, strict=True))
    error = Variance(float(variances.sum()), float(welch(variances, freedoms)))
    return interval(float(np.mean(known)), error, SCORE)
