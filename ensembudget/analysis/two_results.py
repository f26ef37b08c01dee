"""Two result sets cell by cell: which cells both have, and how far apart they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..records import Interval, PlannedCell, Setting
from ..scoring.comparison import Verdict, verdict
from ..scoring.differences import (
    MEASURES,
    MeasureDifference,
    MeasuredSize,
    differences,
    intervals_at_once,
    measured,
)
from ..scoring.pools import Pool, Results
from ..scoring.standard_errors import cnll_interval, mean_metrics, member_errors
from .differing_fields import FieldDifference

SAME = Interval(value=0.0, low=0.0, high=0.0)


class Pairing(StrEnum):
    """What the members of the two sides have to do with each other."""

    SAME = "same members"  # every bit of them: the difference is zero
    PAIRED = "paired"  # the same runs, trained twice
    SOME = "some shared"  # counted as independent
    INDEPENDENT = "other members"


class CellPlace(NamedTuple):
    """Where a cell stands in a study: by this it is found in another.

    Attributes:
        setting: On the study's axes.
        budget: None for a pool that serves no split.
        budget_kind: What the budget counts, "" without one.
        width: Of a pool that serves no split; None where the budget decides it.
        members: Ensemble size.
    """

    setting: Setting
    budget: int | None
    budget_kind: str
    width: int | None
    members: int

    @property
    def words(self) -> str:
        """The place as a message names it."""
        where = f"width {self.width}" if self.budget is None else f"{self.budget:,} {self.budget_kind}"
        return ", ".join(word for word in (self.setting.label, where, f"n = {self.members}") if word)


@dataclass(frozen=True)
class CellSide:
    """One side of a cell.

    Attributes:
        pool: Whose ensembles they are.
        ensembles: How many disjoint ones it holds.
        values: By measure (accuracy, nll, cnll), mean over the ensembles, 95% over members by itself.
        measured: What it is compared by.
    """

    pool: Pool
    ensembles: int
    values: Mapping[str, Interval]
    measured: MeasuredSize


@dataclass(frozen=True)
class ComparedCell:
    """A cell that both sides have.

    Attributes:
        place: Where.
        a: The first side.
        b: The second.
        pairing: What their members have to do with each other.
        differences: B minus A by measure; all intervals of a comparison hold at once.
        verdicts: B against A by measure.
    """

    place: CellPlace
    a: CellSide
    b: CellSide
    pairing: Pairing
    differences: Mapping[str, Interval]
    verdicts: Mapping[str, Verdict]

    @property
    def is_judged(self) -> bool:
        return Verdict.NOT_JUDGED not in self.verdicts.values()

    @property
    def differing(self) -> list[str]:
        """The measures in which the sides differ."""
        return [name for name, one in self.verdicts.items() if one in (Verdict.BETTER, Verdict.WORSE)]


class Unmatched(NamedTuple):
    """A cell that is not compared.

    Attributes:
        side: "A" or "B": the one that has it.
        place: Where.
        why: What the other side lacks.
    """

    side: str
    place: CellPlace
    why: str


@dataclass(frozen=True)
class Comparison:
    """Two result sets, cell by cell.

    Attributes:
        a: The first.
        b: The second.
        cells: Those that both have, in the order of the first.
        unmatched: Those that one of them has, or can score.
        fields: What else differs: the studies, and what their members were trained with.
    """

    a: Results
    b: Results
    cells: tuple[ComparedCell, ...]
    unmatched: tuple[Unmatched, ...]
    fields: tuple[FieldDifference, ...]

    @property
    def differing(self) -> list[ComparedCell]:
        """Cells in which some measure differs by an interval that excludes zero."""
        return [one for one in self.cells if one.differing]

    @property
    def is_same(self) -> bool:
        """Whether all cells have the same members."""
        return all(one.pairing == Pairing.SAME for one in self.cells)


def compared_cells(a: Results, b: Results) -> tuple[tuple[ComparedCell, ...], tuple[Unmatched, ...]]:
    """Every cell that both sides have and can score, and those that one of them has.

    Cells are the splits of budgets, by setting, budget and ensemble size; and pools that serve no split of
    their study, by setting and width, at the ensemble sizes that both studies name.

    Args:
        a: The first side.
        b: The second, at the same test samples.
    """
    places_a, places_b = places(a), places(b)
    unmatched = [Unmatched("A", place, "not in B") for place in places_a if place not in places_b]
    unmatched += [Unmatched("B", place, "not in A") for place in places_b if place not in places_a]
    found: list[tuple[CellPlace, CellSide, CellSide, Pairing, list[MeasureDifference]]] = []
    for place in places_a:
        if place not in places_b:
            continue
        one, other = _side(places_a[place], place.members), _side(places_b[place], place.members)
        if one is None or other is None:
            few = " and ".join(
                f"{name} has {len(pools[place].trained)}"
                for name, side, pools in (("A", one, places_a), ("B", other, places_b))
                if side is None
            )
            side = "A" if other is None else "B"
            unmatched.append(Unmatched(side, place, f"of the members that can be averaged {few}"))
            continue
        pairing = paired(one.pool, other.pool)
        errors = differences(other.measured, one.measured, paired=pairing in (Pairing.SAME, Pairing.PAIRED))
        found.append((place, one, other, pairing, errors))
    intervals = iter(
        intervals_at_once([each for *_, pairing, own in found if pairing != Pairing.SAME for each in own])
    )
    return tuple(_cell(*one, intervals) for one in found), tuple(unmatched)


def _cell(
    place: CellPlace,
    one: CellSide,
    other: CellSide,
    pairing: Pairing,
    errors: list[MeasureDifference],
    intervals: Iterator[Interval],
) -> ComparedCell:
    same = pairing == Pairing.SAME
    by_measure = {name: SAME if same else next(intervals) for name, _ in zip(MEASURES, errors, strict=True)}
    verdicts = {name: verdict(_as_loss(name, one)) for name, one in by_measure.items()}
    return ComparedCell(place, one, other, pairing, by_measure, verdicts)


def _as_loss(measure: str, one: Interval) -> Interval:
    """The same, where less is better: of accuracy, more is."""
    if measure != "accuracy":
        return one
    ends = (None, None) if one.low is None or one.high is None else (-one.high, -one.low)
    return Interval(value=-one.value, low=ends[0], high=ends[1])


def places(results: Results) -> dict[CellPlace, Pool]:
    """Every cell of a study and the pool that serves it, in the study's order."""
    plan, found = results.plan, dict[CellPlace, Pool]()
    served = set()
    for split in plan.splits:
        place = CellPlace(split.setting, split.budget, split.budget_kind, None, split.members)
        found[place] = results.pool_of(split)
        served.add((split.setting, split.width))
    for pool in results.pools:
        planned: PlannedCell = pool.planned
        if (planned.setting, planned.cell.width) not in served:
            for members in plan.study.members:
                found[CellPlace(planned.setting, None, "", planned.cell.width, members)] = pool
    return found


def paired(one: Pool, other: Pool) -> Pairing:
    """What the members that are averaged of two pools have to do with each other."""
    keys, others = ([member.member.run.key for member in pool.trained] for pool in (one, other))
    if keys != others:
        return Pairing.SOME if set(keys) & set(others) else Pairing.INDEPENDENT
    alike = all(
        first.test_logits.tobytes() == second.test_logits.tobytes()
        for first, second in zip(one.trained, other.trained, strict=True)
    )
    return Pairing.SAME if alike else Pairing.PAIRED


def _side(pool: Pool, size: int) -> CellSide | None:
    """One side, or None where its pool is too small."""
    scores = pool.scores
    if scores is None or size not in scores.losses:
        return None
    errors = member_errors(pool.logits, pool.labels, scores, size)
    metrics = mean_metrics(scores, size, errors)
    values = {name: found for name in MEASURES if (found := metrics.get(name)) is not None}
    values["cnll"] = cnll_interval(float(scores.losses[size].mean()), errors)
    return CellSide(pool, len(scores.losses[size]), values, measured(pool.logits, pool.labels, scores, size))
