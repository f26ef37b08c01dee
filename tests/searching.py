"""A tiny study to search in, and members of it that are made instead of trained."""

import numpy as np

import helpers
from ensembudget.prediction.policy import Policy
from ensembudget.prediction.search import SearchResult, search
from ensembudget.prediction.space import Space
from ensembudget.records import Run
from ensembudget.store import Store
from ensembudget.verbs.search import TrainingSource
from prediction.planes import coarse

STUDY = """
name = "seek"
description = "widths 2, 3, 4 and 6"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
budgets = ["5178", "11338"]
members = [1, 2, 4]
tolerance = 0.3
replicates = 2
pool = 4

[recipe]
epochs = 1
batch_size = 32
"""
BUDGET = "11338"
# Of WRN-10: 5178 is one network of width 4 or two of 3 or four of 2; 11338 one of 6, two of 4 or four of 3.
POOLS = {2: 8, 3: 8, 4: 4, 6: 4}
LABELS = np.arange(300) % 10
NEVER_SURE = {"tolerance": 1e-6, "confidence": 1 - 1e-9}
# A law with few exponents: a search in a second.
QUICK = {"forms": coarse(5)}
# How strong each width's signal is: which split is best follows from it.
KINDS = {
    "one wide network": {2: 0.3, 3: 0.6, 4: 1.6, 6: 3.5},
    "many members": {2: 2.9, 3: 2.9, 4: 2.9, 6: 2.9},
    "nearly even": {2: 1.5, 3: 2.0, 4: 2.4, 6: 2.9},
}


def publish(
    run: Run, store: Store, space: Space, kind: str = "nearly even", *, diverged_at: int | None = None
) -> None:
    """A member as if it had been trained: a signal, errors that all share, and its own."""
    rng = np.random.default_rng([run.cell.width, run.seed])
    shared = np.random.default_rng(0).normal(size=(300, 10))
    signal = KINDS[kind][run.cell.width] * np.eye(10)[LABELS]
    logits = (signal + 0.5 * shared + rng.normal(size=(300, 10))).astype(np.float32)
    trained = helpers.trained_as(
        run, logits, parameters=space.parameters[run.cell.width], diverged_at=diverged_at
    )
    helpers.publish(store, trained, LABELS)


class Making:
    """Makes members instead of training them; `made` has them round by round, (width, seed)."""

    def __init__(self, space: Space, store: Store, kind: str = "nearly even") -> None:
        self.space, self.store, self.kind, self.made = space, store, kind, list[list[tuple[int, int]]]()

    def __call__(self, part):
        runs = [run for run in part.runs if run.key not in self.store]
        self.made.append([(run.cell.width, run.seed) for run in runs])
        for run in runs:
            self.make(run)
        return []

    def make(self, run: Run) -> None:
        publish(run, self.store, self.space, self.kind)

    @property
    def source(self) -> TrainingSource:
        return TrainingSource(self.space, self.store, train=self)


def policy_of(space: Space, share: float = 1.0, **more) -> Policy:
    """That may spend a share of the grid."""
    return Policy(space.budget, share * space.grid, space.grid, **{**QUICK, **more})


def searched(making: Making, share: float = 1.0, *, on_state=lambda state: None, **more) -> SearchResult:
    """A whole search that makes its members."""
    return search(policy_of(making.space, share, **more), making.source, on_state=on_state)


def flops_of(store: Store, space: Space) -> float:
    """Of every member of the space that the store has."""
    return sum(
        cell.training_flops * sum(run.key in store for run in cell.runs) for cell in space.planned.cells
    )
