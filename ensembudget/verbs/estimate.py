"""Estimates, within seconds, how long a study would train on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..executors._spec import executor_of
from ..planning.tuning import TuningPlace, flops_at_most, following, place_of
from ..records import Plan, PlannedCell, Split, SteppingChoice
from ..stepping.arrange import Arrangement, request_of
from ..stepping.autotune import BENCH, Bench, Request
from ..stepping.trial import Pace, Report, paces
from ..store import Store
from .missing import lacking, training_plan


@dataclass(frozen=True)
class Estimate:
    """Seconds of training, stepped as arranged.

    Attributes:
        splits: To train the members of one ensemble of each split.
        missing: To train all members that the store lacks.
        tuning: For the choices that are still to be made and for the pools that follow, at most.
        measured: How many cells were timed, now or earlier; the others are inferred from operations.
        cells: How many cells there are.
    """

    splits: Mapping[Split, float]
    missing: float
    tuning: float
    measured: int
    cells: int

    @property
    def whole(self) -> float:
        return self.missing + self.tuning


def estimate(
    planned: Plan,
    store: Store,
    arrangement: Arrangement,
    *,
    executor: str = "processes",
    stepping: SteppingChoice | None = None,
    bench: Bench = BENCH,
    on_trial: Report = lambda *how: None,
) -> Estimate | None:
    """How long a plan would train here, from earlier timings or from a few steps of each width.

    Args:
        planned: What is to be trained.
        store: What of it is there.
        arrangement: As from `arrange`.
        executor: Who would train.
        stepping: What is given, over what the study gives.
        bench: How steps are timed.
        on_trial: Called before a width is tried.

    Returns:
        None where members are trained on other machines, or no step could be timed.
    """
    if not executor_of(executor).here or planned.task is None:
        return None
    fixed = (stepping or SteppingChoice()).over(planned.study.stepping)
    chosen = {key: SteppingChoice(**one.stepping.model_dump()) for key, one in arrangement.chosen.items()}

    def request(cell: PlannedCell) -> Request:
        assert planned.task is not None
        how = chosen.get(cell.cell.key, fixed)
        return request_of(cell, planned.task, how, arrangement.place)

    cells = planned.trained.pools
    requests = [request(cell) for cell in cells]
    found = paces(requests, bench, on_trial)
    if any(one.timing.seconds is None for one in found):
        return None
    pairs = zip(requests, found, strict=True)
    paced = {cell.cell.key: pair for cell, pair in zip(cells, pairs, strict=True)}
    missing = {
        one.pool.cell.key: one.missing + one.again
        for one in lacking(training_plan(planned, store), store)
        if one.missing + one.again
    }
    workers = arrangement.place.workers
    work = [_seconds(*paced[key], count, workers=1) for key, count in missing.items()]
    longest = [_seconds(*paced[key], 1) for key in missing]
    one_member = {key: _seconds(*pair, 1) for key, pair in paced.items()}
    keys = {one: planned.cell_of(one).cell.trained.key for one in planned.splits}
    return Estimate(
        splits={one: _seconds(*paced[key], one.members) for one, key in keys.items()},
        missing=max(sum(work) / workers, *longest, 0.0),  # workers take packs of all cells in turn
        tuning=_tuning(planned, one_member) / workers,
        measured=sum(one.is_measured for one in found),
        cells=len(cells),
    )


def _seconds(request: Request, pace: Pace, members: int, workers: int | None = None) -> float:
    """To train so many members of one cell, by so many workers; None for all."""
    place = request.place if workers is None else request.place.model_copy(update={"workers": workers})
    return request.model_copy(update={"members": members, "place": place}).seconds(pace.timing)


def _tuning(planned: Plan, seconds_of_one: Mapping[str, float]) -> float:
    """Seconds of tuning by one worker, at the operations a second of the width that it is for."""
    if not planned.pending:
        return 0.0
    pace: dict[TuningPlace, float] = {
        place_of(cell): seconds_of_one[cell.cell.trained.key] / cell.training_flops for cell in planned.cells
    }
    of_choices = sum(flops_at_most(one) * pace[one.setting, one.width] for one in planned.pending)
    after, whole = following(planned), sum(flops_at_most(one) for one in planned.pending)
    return of_choices + after.flops * of_choices / whole
