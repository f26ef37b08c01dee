"""What a search on a study may choose from, and a source that trains its members."""

from collections.abc import Callable
from functools import cached_property

from ..budgets._parse import parse_budget
from ..errors import PlanError, SteppingError
from ..executors._base import Outcome
from ..executors._spec import executor_of
from ..planning.widths import cost
from ..prediction.arms import chosen_arm
from ..prediction.budgets import Budgeted, Candidate
from ..prediction.network import planned_network
from ..prediction.plane import LEAST_WIDTHS
from ..prediction.policy import START, Decision
from ..prediction.proposals import TrainableWidth
from ..prediction.search import Observed, round_of
from ..prediction.space import Space
from ..records import Plan, Round, Search, SteppingChoice, Study
from ..scoring.covariance import ScoredPool, scored_pool
from ..scoring.pools import Pool, pools_of
from ..stepping.arrange import Arrangement
from ..stepping.place import check_device, check_numbers
from ..store import Store
from .plan import plan_study
from .run import arrange, train_missing


def space_of(study: Study, written: str, arm: str | None = None) -> Space:
    """The splits of a budget, and the cells that inform about them.

    Args:
        study: Whose networks and recipes are searched.
        written: The budget, as people write it; the study need not list it.
        arm: Which, where the study has several.

    Raises:
        StudyError: The budget cannot be planned.
        ArmError: No such arm, or several and none named.
        PlanError: Too few widths for a law, or too few splits to choose from.
    """
    asked = parse_budget(written, study.budget_kind)  # a fault is said once, not for each n
    alone = plan_study(study.model_copy(update={"budgets": [written], "widths": []}))
    arm = chosen_arm([setting.label for setting in alone.settings], arm, f"study {study.name!r}")
    splits = [split for split in alone.splits if split.setting.label == arm]
    needed = [cell for cell in alone.cells if cell.setting.label == arm]
    sizes = [split.members for split in splits]
    if 1 not in sizes or len(sizes) < 2:
        raise PlanError(
            f"budget {written!r} of study {study.name!r} has splits of n ="
            f" {', '.join(map(str, sizes)) or 'none'}; a search compares the wide network, n = 1, with at"
            " least one other. Give the study more `members`, or ask for a larger budget."
        )
    others = [one for one in study.budgets if parse_budget(one, study.budget_kind) != asked]
    whole = plan_study(study.model_copy(update={"budgets": [*others, written]}))
    costliest = max(cell.training_flops for cell in needed)
    cells = [cell for cell in whole.cells if cell.setting.label == arm and cell.training_flops <= costliest]
    carrying = sum(cell.members >= START for cell in cells)
    if carrying < LEAST_WIDTHS:
        raise PlanError(
            f"budget {written!r} of study {study.name!r} has {carrying} widths to train {START} members of,"
            f" and a law needs {LEAST_WIDTHS}. Add narrower ones to the study's `widths`, or raise"
            " `members` or `pool`."
        )
    network, budget, kind = planned_network(whole, arm), splits[0].budget, splits[0].budget_kind
    candidates = sorted(Candidate(s.members, s.width, s.parameters_per_member) for s in splits)
    return Space(
        search=Search(study=study, arm=arm, budget=f"{budget} {kind}"),
        budget=Budgeted(budget, kind, candidates),
        planned=whole.model_copy(update={"cells": cells}),
        parameters={
            cell.cell.width: cost(network.family, cell.cell.width, network.task, options=network.options)
            for cell in cells
        },
        grid=sum(cell.members * cell.training_flops for cell in needed),
    )


class TrainingSource:
    """A source that trains the requested members, and keeps its rounds in the store.

    Members are published as `run` would, so each serves the other. A round is written down before it is
    trained; of one that was broken off, the members that were trained count as spent.

    Args:
        space: As from `space_of`.
        store: What is there is used, and costs nothing.
        executor: One of `ls executors`, perhaps with options.
        workers: How many members are trained at one time; None leaves it to the executor.
        threads: Of each worker; None likewise.
        device: A torch device.
        stepping: What is given, over what the study gives. Members are trained one by one, never in packs: a
            pack would train more than what is asked for.
        train: Trains the part of the plan that it is given; None uses the executor.

    Raises:
        UnknownPartError: No such executor.
        DeviceError: A device that cannot be used here.
        SteppingError: A pack of several members.
    """

    def __init__(
        self,
        space: Space,
        store: Store,
        *,
        executor: str = "processes",
        workers: int | None = None,
        threads: int | None = None,
        device: str = "cpu",
        stepping: SteppingChoice | None = None,
        train: Callable[[Plan], list[Outcome]] | None = None,
    ) -> None:
        executor_of(executor)
        check_device(device)
        check_numbers(workers, threads)
        if stepping and (stepping.pack or 1) > 1:
            raise SteppingError(
                f"a search trains members one by one, and stepping asks for packs of {stepping.pack}. Leave"
                " pack out."
            )
        self.space, self.store, self.executor, self.device = space, store, executor, device
        self.workers, self.threads = workers, threads
        self.stepping = (stepping or SteppingChoice()).model_copy(update={"pack": 1})
        self._train = train or self._train_here
        self._scored: dict[tuple[int, int], ScoredPool] = {}

    def observe(self) -> Observed:
        """What the store has of the space, scored, and the rounds of this search.

        Raises:
            StoreError: A member is damaged.
        """
        pools = pools_of(self.space.planned, self.store)
        return Observed(
            [self._scored_pool(pool) for pool in pools if pool.trained],
            [self._trainable(pool) for pool in pools],
            self._rounds(),
        )

    def train(self, decision: Decision) -> list[str]:
        """Writes the round down and trains it; returns why members failed."""
        assert decision.width is not None
        cell, store = self.space.cells[decision.width], self.store
        missing = [run for run in cell.runs if run.key not in store][: decision.number]
        new = round_of(decision, missing, cell.training_flops)
        store.save_search(self.space.search.model_copy(update={"rounds": [*self._rounds(), new]}))
        part = cell.model_copy(update={"members": missing[-1].seed + 1})
        outcomes = self._train(self.space.planned.model_copy(update={"cells": [part]}))
        return [one.reason or "no reason given" for one in outcomes if one.status == "failed"]

    def _train_here(self, part: Plan) -> list[Outcome]:
        return train_missing(part, self.store, self._arrangement, self.executor, repeat=False)

    @cached_property
    def _arrangement(self) -> Arrangement:
        return arrange(
            self.space.planned,
            self.store,
            executor=self.executor,
            workers=self.workers,
            threads=self.threads,
            device=self.device,
            stepping=self.stepping,
        )

    def _rounds(self) -> tuple[Round, ...]:
        """The rounds so far, without members that were never trained: a round may have been broken off."""
        kept = [_kept(one, self.store) for one in self.store.saved_search(self.space.search).rounds]
        return tuple(one for one in kept if one.keys)

    def _scored_pool(self, pool: Pool) -> ScoredPool:
        place = (pool.planned.cell.width, len(pool.trained))
        if place not in self._scored:
            self._scored[place] = scored_pool(pool)
        return self._scored[place]

    def _trainable(self, pool: Pool) -> TrainableWidth:
        cell = pool.planned
        return TrainableWidth(
            width=cell.cell.width,
            parameters=self.space.parameters[cell.cell.width],
            flops=cell.training_flops,
            trained=len(pool.trained),
            most=cell.members - pool.diverged,
        )


def _kept(one: Round, store: Store) -> Round:
    """A round without the members that were never trained."""
    there = [(seed, key) for seed, key in zip(one.seeds, one.keys, strict=True) if key in store]
    return one.model_copy(
        update={
            "seeds": [seed for seed, _ in there],
            "keys": [key for _, key in there],
            "flops": one.flops * len(there) / len(one.keys),
        }
    )
