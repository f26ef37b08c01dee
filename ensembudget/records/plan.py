"""What a study needs: its splits, and the pools of members that serve them."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from ._base import FIRST_ABI, Record
from .cell import Cell, Run, member_key
from .setting import Placed, Setting
from .study import Study
from .task import AnyTask
from .tuning import Tuning, Values, said


class Split(Placed):
    """One way to spend a budget: `members` units of networks of one `width`, and what they cost.

    A unit is what its method trains as one member: one network, or several whose predictions are averaged.
    `parameters_per_member` counts one unit, as it is stored, and `embeddings_per_member` the embedding
    parameters among them; totals are over all units.
    """

    budget: PositiveInt
    budget_kind: str
    members: PositiveInt
    width: PositiveInt
    parameters_per_member: int
    parameters_total: int
    error_percent: float
    flops_per_sample: int
    bytes_total: int
    activations_per_sample: int
    predictors_per_member: PositiveInt = 1
    embeddings_per_member: NonNegativeInt = 0

    @property
    def predictors(self) -> int:
        """How many predictions are averaged in all."""
        return self.members * self.predictors_per_member


class PlannedCell(Placed):
    """A cell, the size of its pool, and where its hyperparameters come from.

    `origin` is as in `recipes.Resolved`; or "chosen", where the study tuned the fields in `chosen`.
    """

    cell: Cell
    members: PositiveInt
    first_seed: NonNegativeInt = 0
    origin: Literal["tuned", "transferred", "default", "chosen"]
    chosen: Values = {}
    flops_per_sample: PositiveInt  # of one network in training, forward

    @property
    def trained(self) -> "PlannedCell":
        """The pool that is trained for this one: itself, in float32."""
        return self.model_copy(update={"cell": self.cell.trained, "dtype": ""})

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.members)

    @property
    def runs(self) -> list[Run]:
        return [Run(cell=self.cell, seed=seed) for seed in self.seeds]

    @property
    def keys(self) -> Iterator[str]:
        """Of its runs, made one by one and without the runs: a pool may be large."""
        return (member_key(self.cell.key, seed) for seed in self.seeds)

    @property
    def hyperparameters(self) -> str:
        """Where they come from, as tables say it; of those that the study tuned, also what they are."""
        if self.origin != "chosen":
            return self.origin
        return f"{said(self.chosen)}, tuned on {self.cell.validation_size:,} validation images"

    @property
    def training_flops(self) -> float:
        """Floating-point operations to train one member, a backward pass counted as two forward passes.

        They are those of its epochs; what a method does after the last is not counted.
        """
        return 3.0 * self.flops_per_sample * self.cell.train_size * self.cell.recipe.epochs


class Plan(Record):
    """The splits of a study's budgets, and the pools of members that serve them.

    `task` is None in plans that older versions saved. `class_names` are those of the dataset, where it has
    some; `notes` are sentences on what was made of it, such as corrupt files left out. The pools of a tuned
    setting are there once all of its choices are made. Where a choice is the study's own recipe, the tuned
    pool and the other are one cell, which is there twice and trained once. `probe_abis` has the ABI of every
    probe that was planned under another than the first.
    """

    study: Study
    splits: list[Split]
    cells: list[PlannedCell]
    task: AnyTask | None = None
    tuning: list[Tuning] = []
    class_names: list[str] = []
    notes: list[str] = []
    probe_abis: dict[str, PositiveInt] = {}

    @property
    def pools(self) -> list[PlannedCell]:
        """The cells without those that repeat another."""
        return list({planned.cell.key: planned for planned in reversed(self.cells)}.values())[::-1]

    @property
    def trained(self) -> "Plan":
        """What is trained for this plan: its pools in float32, with weights where other dtypes need them."""
        if all(one.cell.is_trained for one in self.cells):
            return self
        pools: dict[str, PlannedCell] = {}
        for one in self.pools:
            key = one.trained.cell.key
            pools[key] = max(pools.get(key, one.trained), one.trained, key=lambda pool: pool.members)
        study = self.study.model_copy(update={"keep_weights": True})
        return self.model_copy(update={"study": study, "splits": [], "cells": list(pools.values())})

    @property
    def runs(self) -> list[Run]:
        return [run for planned in self.pools for run in planned.runs]

    @property
    def members(self) -> int:
        """How many there are, counted without making a run of each."""
        return sum(planned.members for planned in self.pools)

    @property
    def pending(self) -> list[Tuning]:
        """The choices that are still to be made."""
        return [tuning for tuning in self.tuning if tuning.choice is None]

    @property
    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(planned.setting for planned in self.cells))

    def training_flops(self, runs: Iterable[Run]) -> float:
        """Floating-point operations to train these runs of the plan."""
        each = {planned.cell.key: planned.training_flops for planned in self.cells}
        return sum(each[run.cell.key] for run in runs)

    def probe_abi(self, kind: str) -> int:
        """The ABI that a probe was planned under."""
        return self.probe_abis.get(kind, FIRST_ABI)

    def cell_of(self, split: Split) -> PlannedCell:
        return next(p for p in self.cells if (p.setting, p.cell.width) == (split.setting, split.width))
