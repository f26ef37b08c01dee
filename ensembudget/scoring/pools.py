"""The members of one cell with their scores and histories."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..arrays import Integers
from ..errors import ScoreError
from ..records import Plan, PlannedCell, Probed, Split
from ..store import ReadableStore, Stored
from .clusters import equal_or_none
from .comparison import SplitLosses, split_losses
from .copies import copies
from .ensembles import PoolScores, score_pool


@dataclass(frozen=True)
class Pool:
    """The members of one cell that the store has, and how good they are.

    Attributes:
        planned: The cell and how many members were planned.
        stored: Those in the store by seed, diverged ones included.
        scores: Of the ensembles out of those that did not diverge; None where all did.
        histories: What was recorded each epoch, by seed; members without a record are left out.
    """

    planned: PlannedCell
    stored: tuple[Stored, ...]
    scores: PoolScores | None = None
    histories: Mapping[int, pd.DataFrame] = field(default_factory=dict)

    @property
    def trained(self) -> list[Stored]:
        """The members that can be averaged."""
        return [one for one in self.stored if one.member.status == "done"]

    @property
    def diverged(self) -> int:
        return len(self.stored) - len(self.trained)

    @property
    def missing(self) -> int:
        return self.planned.members - len(self.stored)

    @cached_property
    def logits(self) -> Tensor:
        """On the test set, (member, sample, class)."""
        return torch.from_numpy(np.stack([one.test_logits for one in self.trained]))

    @cached_property
    def labels(self) -> Tensor:
        return torch.from_numpy(self.trained[0].test_labels)

    @cached_property
    def samples(self) -> Integers | None:
        """The test sample that each label is of, (label,); None where each is of its own."""
        return self.trained[0].test_samples

    def split_losses(self, size: int) -> SplitLosses | None:
        """What ensembles of one size are compared by; None where the pool is too small."""
        if self.scores is None or size not in self.scores.losses:
            return None
        return split_losses(self.logits, self.labels, self.scores, size)


class FoundProbe(NamedTuple):
    """What a probe found at members of a pool.

    Attributes:
        planned: The pool.
        probed: What was found.
    """

    planned: PlannedCell
    probed: Probed


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of: plain data, with no tie to the store it came from.

    Attributes:
        plan: The study's.
        pools: In the order of the plan's cells.
        probes: What was found at their members, in the order of the study's probes.
        missing_probes: How many the store lacks.
    """

    plan: Plan
    pools: tuple[Pool, ...]
    probes: tuple[FoundProbe, ...] = ()
    missing_probes: int = 0

    @property
    def partial(self) -> bool:
        lacking = self.missing_probes or any(pool.missing for pool in self.pools)
        return bool(self.plan.pending or lacking)

    @property
    def distinct(self) -> list[Pool]:
        """The pools without those that repeat another, as a tuned one may: each member is there once."""
        return list({pool.planned.cell.key: pool for pool in reversed(self.pools)}.values())[::-1]

    def pool_of(self, split: Split) -> Pool:
        return self.pools[self.plan.cells.index(self.plan.cell_of(split))]


def pools_of(plan: Plan, store: ReadableStore) -> list[Pool]:
    """The members that the store has of every cell, checked but not scored; cells that are one share them.

    Raises:
        StoreError: A member is damaged.
        ScoreError: Two members of a pool have the same logits, or nearly, or other labels; or one that is
            not marked as diverged has logits that are not finite.
    """
    found = {
        cell.cell.key: _pool(cell, tuple(store.read(run.key) for run in cell.runs if run.key in store))
        for cell in plan.pools
    }
    return [replace(found[cell.cell.key], planned=cell) for cell in plan.cells]


def _pool(planned: PlannedCell, stored: tuple[Stored, ...]) -> Pool:
    trained = [one for one in stored if one.member.status == "done"]
    width = planned.cell.width
    for one in trained:
        if one.test_logits.shape != trained[0].test_logits.shape:
            raise ScoreError(
                f"member {one.member.run.seed} of width {width} has test logits of shape"
                f" {one.test_logits.shape}, and member {trained[0].member.run.seed} of shape"
                f" {trained[0].test_logits.shape}: they were tested on different images or classes."
            )
        if not np.array_equal(one.test_labels, trained[0].test_labels):
            raise ScoreError(f"members of width {width} were tested on different labels.")
        if not equal_or_none(one.test_samples, trained[0].test_samples):
            raise ScoreError(f"members of width {width} were tested at positions of different samples.")
        if not (np.isfinite(one.test_logits).all() and np.isfinite(one.validation_logits).all()):
            raise ScoreError(
                f"member {one.member.run.seed} of width {width} has logits that are not finite, and is not"
                f" marked as diverged: it can be neither averaged nor left out. Remove member"
                f" {one.member.run.key} from the store, and train it again."
            )
    pool = Pool(planned, stored)
    if trained and (found := copies(pool.logits)):
        twins = [trained[number].member.run.seed for number in found[:2]]
        same = "the same logits" if found.apart == 0 else f"nearly the same logits ({found.apart:.0e} apart)"
        raise ScoreError(
            f"members {twins[0]} and {twins[1]} of width {width} have {same}: an ensemble must not hold"
            " copies. Remove one of them from the store."
        )
    return pool


def scored(pool: Pool, kind: str = "") -> Pool:
    """The pool with the scores of its ensembles, where any member can be averaged.

    Args:
        pool: Not scored yet.
        kind: Of its task, which decides what metrics there are.
    """
    if not pool.trained:
        return pool
    key = pool.planned.cell.key
    scores = score_pool(pool.logits, pool.labels, cell=key, samples=pool.samples, kind=kind)
    return replace(pool, scores=scores)


def with_histories(pool: Pool, store: ReadableStore) -> Pool:
    """The pool with what its members recorded each epoch."""
    if pool.planned.cell.record is None:
        return pool
    found = {one.member.run.seed: store.history(one.member.run.key, "epochs") for one in pool.stored}
    return replace(pool, histories={seed: frame for seed, frame in found.items() if frame is not None})
