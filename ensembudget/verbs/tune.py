"""Chooses the fields that a study tunes, by members of their own on the validation images."""

from collections.abc import Callable, Mapping

from ..executors._base import Outcome
from ..planning.tuning import choosers, stages
from ..records import Choice, Interval, Plan, PlannedCell, SteppingChoice, Trial, Tuning
from ..scoring.tuning import Judgement, above_lowest, judgement, ranking
from ..store import Store, Stored
from .progress import Progress
from .run import arrange, train_missing


def tune(
    planned: Plan,
    store: Store,
    *,
    executor: str = "processes",
    workers: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    stepping: SteppingChoice | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Outcome]:
    """Trains the members that choose, and keeps every choice that can be made in the store.

    `plan_study(study, store)` then plans the tuned pools. Broken off, the same call resumes: rounds follow
    from the members that are there.

    Args:
        planned: Of a study with `tune`; choices that it has are not made again.
        store: Where members and choices are kept.
        executor: One of `ls executors`, perhaps with options.
        workers: How many jobs at one time; None leaves it to the executor and autotuning.
        threads: Of each worker; None likewise.
        device: A torch device.
        stepping: What is given, over what the study gives.
        on_progress: Called as epochs and jobs end; every round counts from 0.

    Returns:
        One outcome for each member that was trained now. Where some failed, their choices are not made.

    Raises:
        UnknownPartError: No such executor or way to step.
        DeviceError: The executor's machines have no such device, or too few threads.
        SteppingError: Members cannot be stepped as it was given.
        StoreError: The store cannot be written, or a member is damaged.
    """
    outcomes: list[Outcome] = []
    while missing := tuning_round(planned, store):
        arrangement = arrange(
            missing,
            store,
            executor=executor,
            workers=workers,
            threads=threads,
            device=device,
            stepping=stepping,
        )
        outcomes += train_missing(missing, store, arrangement, executor, on_progress)
        if any(one.status == "failed" for one in outcomes):
            break
    return outcomes


def tuning_round(planned: Plan, store: Store) -> Plan | None:
    """What must be trained next for the choices of a plan; choices that can be made are made and kept.

    Returns:
        Members without weights and histories, which choosing does not need; None where there are none.
    """
    cells: dict[str, PlannedCell] = {}
    for tuning in planned.pending:
        found = store.saved_choice(tuning.contest) or standing(tuning, store)
        if isinstance(found, Choice):
            store.save_choice(found)
        else:  # two arms may try the same cell
            cells = {cell.cell.key: cell for cell in found} | cells
    if not cells:
        return None
    study = planned.study.model_copy(update={"keep_weights": False})
    return Plan(study=study, splits=[], cells=list(cells.values()), task=planned.task)


def standing(tuning: Tuning, store: Store) -> Choice | list[PlannedCell]:
    """The choice, or the members that its current round lacks.

    Raises:
        StoreError: A member is damaged.
    """
    judged: dict[int, Judgement | None] = {}
    stored: dict[int, list[Stored]] = {}
    order, before = list(range(len(tuning.combinations))), 0
    for stage in stages(tuning, len(order)):
        inside = sorted(order[: stage.combinations])
        lacking = [
            cell
            for cell in (choosers(tuning, i, stage.members, before) for i in inside)
            if not all(run.key in store for run in cell.runs)
        ]
        if lacking:
            return lacking
        for i in inside:
            stored[i] = [store.read(run.key) for run in choosers(tuning, i, stage.members).runs]
            judged[i] = judgement(stored[i])
        order = ranking({i: judged[i] for i in inside}, tuning.own)
        before = stage.members
    above = above_lowest({i: judged[i] for i in order})
    trials = [_trial(tuning, i, stored[i], judged[i], above) for i in sorted(stored)]
    return Choice(contest=tuning.contest, trials=trials, chosen=order[0])


def _trial(
    tuning: Tuning,
    number: int,
    stored: list[Stored],
    judged: Judgement | None,
    above: Mapping[int, Interval],
) -> Trial:
    return Trial(
        values=tuning.combinations[number].values,
        members=len(stored),
        diverged=sum(one.member.status == "diverged" for one in stored),
        nll=judged and judged.nll,
        cnll=judged and judged.cnll,
        above=above.get(number),
        flops=len(stored) * choosers(tuning, number, 1).training_flops,
    )
