"""Scores a plan's pools out of a store, or logits that were trained elsewhere."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .errors import IncompleteError, ScoreError
from .records import Plan, PlannedCell, Split
from .scoring.comparison import Contender, contender
from .scoring.ensembles import PoolScores, score_pool
from .scoring.metrics import check_logits
from .store import Store, Stored

HEADER_LIMIT = 2**20  # bytes of a safetensors header with two tensors, with much to spare


@dataclass(frozen=True)
class Pool:
    """The members of one cell that the store has, and what they are worth.

    Attributes:
        planned: The cell and how many members were planned.
        stored: Those in the store by seed, diverged ones included.
        scores: Of the ensembles out of those that did not diverge; None where all did.
    """

    planned: PlannedCell
    stored: tuple[Stored, ...]
    scores: PoolScores | None

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

    def contender(self, size: int) -> Contender | None:
        """An ensemble size, ready to be compared; None where the pool is too small."""
        if self.scores is None or size not in self.scores.losses:
            return None
        # A pool's own seed: pools are drawn independently of one another.
        seed = self.planned.cell.width + zlib.crc32(self.planned.arm.encode())
        return contender(self.logits, self.labels, self.scores, size, seed=seed)


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of."""

    plan: Plan
    pools: tuple[Pool, ...]  # as the plan's cells
    history: Callable[[str, str, list[str] | None], pd.DataFrame | None]  # as `Store.history`

    @property
    def partial(self) -> bool:
        return any(pool.missing for pool in self.pools)

    def pool_of(self, split: Split) -> Pool:
        return self.pools[self.plan.cells.index(self.plan.cell_of(split))]


def evaluate(plan: Plan, store: Store, *, allow_partial: bool = False) -> Results:
    """Scores every pool of a plan, every ensemble size, from stored logits alone.

    Args:
        plan: What was planned.
        store: Where the members are.
        allow_partial: Whether to go on with the members there are.

    Raises:
        IncompleteError: Members are missing and `allow_partial` is False.
        StoreError: A member is damaged.
        ScoreError: Two members of a pool have the same logits, or other labels.
    """
    found = pools_of(plan, store)
    missing = sum(pool.missing for pool in found)
    if missing and not allow_partial:
        raise IncompleteError(
            f"study {plan.study.name!r} lacks {missing} of {len(plan.runs)} members in store"
            f" {str(store.root)!r}. Train them with `run`, or report what there is with --allow-partial."
        )
    if missing == len(plan.runs):
        raise IncompleteError(f"study {plan.study.name!r} has no member yet in store {str(store.root)!r}.")
    return Results(plan, tuple(map(_scored, found)), store.history)


def pools_of(plan: Plan, store: Store) -> list[Pool]:
    """What the store has of every cell, checked and not yet scored.

    Raises:
        StoreError: A member is damaged.
        ScoreError: Two members of a pool have the same logits, or other labels.
    """
    return [
        _pool(cell, tuple(store.read(run.key) for run in cell.runs if run.key in store))
        for cell in plan.cells
    ]


def _pool(planned: PlannedCell, stored: tuple[Stored, ...]) -> Pool:
    trained = [one for one in stored if one.member.status == "done"]
    seen: dict[bytes, int] = {}
    for one in trained:
        seed = one.member.run.seed
        twin = seen.setdefault(one.test_logits.tobytes(), seed)
        if twin != seed:
            raise ScoreError(
                f"members {twin} and {seed} of width {planned.cell.width} have the same logits: an"
                " ensemble of copies is none. Remove one of them from the store."
            )
        if not np.array_equal(one.test_labels, trained[0].test_labels):
            raise ScoreError(f"members of width {planned.cell.width} were tested on different labels.")
    return Pool(planned, stored, None)


def _scored(pool: Pool) -> Pool:
    if not pool.trained:
        return pool
    scores = score_pool(pool.logits, pool.labels, cell=pool.planned.cell.key)
    return Pool(pool.planned, pool.stored, scores)


def read_logits(path: str | Path) -> tuple[Tensor, Tensor]:
    """Logits and labels that were made elsewhere, out of a safetensors file.

    Args:
        path: A file with tensors `logits` (member, sample, class) and `labels` (sample,).

    Raises:
        ScoreError: Not such a file, or numbers that cannot be scored.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > HEADER_LIMIT:
            raise ScoreError(f"logits {str(path)!r} is not a safetensors file of two tensors.")
        tensors = safetensors.torch.load_file(path)
    except OSError as error:
        raise ScoreError(f"logits {str(path)!r} cannot be read: {error.strerror or error}.") from None
    except safetensors.SafetensorError as error:
        raise ScoreError(f"logits {str(path)!r} is not a safetensors file: {error}.") from None
    if missing := {"logits", "labels"} - set(tensors):
        raise ScoreError(
            f"logits {str(path)!r} has tensors {', '.join(sorted(tensors)) or 'none'}; missing:"
            f" {', '.join(sorted(missing))}. Needed are logits (member, sample, class) and labels (sample,)."
        )
    check_logits(tensors["logits"], tensors["labels"])
    return tensors["logits"], tensors["labels"]
