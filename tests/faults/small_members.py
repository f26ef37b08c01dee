"""Members for attacks on the store, made without torch: a child that imports this starts soon."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensembudget.records import Cell, Environment, Recipe, Run, UnitFacts

CELL = Cell(
    family="wide_resnet",
    options={"depth": 10},
    width=4,
    dataset="digits",
    dataset_digest="0" * 64,
    train_size=100,
    validation_size=5,
    mode="bn_wd",
    recipe=Recipe(epochs=3, learning_rate=0.1, weight_decay=3e-4),
)
HERE = Environment(ensembudget="0.1.0", torch="2.14", device="cpu x86_64, 2 cores", threads=1, pack=1)
ELSEWHERE = HERE.model_copy(update={"threads": 2})


@dataclass(frozen=True)
class Made:
    """What `training.loop.Trained` has, by the same names."""

    run: Run
    train_loss: np.ndarray
    validation_logits: np.ndarray
    test_logits: np.ndarray
    weights: dict[str, np.ndarray] | None = None
    diverged_at: int | None = None
    parameters: int = 6
    seconds: float = 1.25
    history: Path | None = None
    unit: UnitFacts | None = None


def made(
    seed: int,
    *,
    cell: Cell = CELL,
    variant: int = 0,
    weights: bool = False,
    history: Path | None = None,
    samples: int = 7,
) -> Made:
    """A member whose numbers follow from its seed; another `variant` is as if trained elsewhere."""
    rng = np.random.default_rng([seed, variant])
    return Made(
        run=Run(cell=cell, seed=seed),
        train_loss=rng.normal(size=3).astype(np.float32),
        validation_logits=rng.normal(size=(5, 3)).astype(np.float32),
        test_logits=rng.normal(size=(samples, 3)).astype(np.float32),
        weights={"head.weight": rng.normal(size=(samples, 3)).astype(np.float32)} if weights else None,
        history=history,
    )


def labels(samples: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Of the validation and of the test images of `made` members."""
    return np.arange(5) % 3, np.arange(samples) % 3
