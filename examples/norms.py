"""Trains a small network and checks the law of the norm (`ensembudget.dynamics.norms`) at every step.

python examples/norms.py     # half a minute
"""

import tempfile
from pathlib import Path

import pandas as pd

from ensembudget.datasets._load import load
from ensembudget.dynamics.norms import residuals
from ensembudget.records import Cell, Recipe, Recording, Run
from ensembudget.training.history import STEPS
from ensembudget.training.loop import train


def main(epochs: int = 40) -> None:
    data, decay = load("digits"), 1e-2
    recipe = Recipe(
        epochs=epochs, batch_size=64, learning_rate=0.1, weight_decay=decay, momentum=0.0,
        schedule="constant", crop_padding=0, flip=False, precision="float64",
    )  # fmt: skip
    cell = Cell(
        family="convnet", options={"invariance": "full"}, width=4, dataset="digits",
        dataset_digest=data.digest, train_size=500, validation_size=0, mode="bn_wd", recipe=recipe,
        record=Recording(steps=1, test_size=0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (trained,) = train([Run(cell=cell, seed=0)], data, histories=Path(folder))
        assert trained.history is not None
        steps = pd.read_parquet(trained.history / STEPS)
    print(f"{len(steps)} steps of a ConvNet of width 4 on digits in float64; residual over a step's change:")
    print(f"  law alone                            {residuals(steps, decay).max():.1e} at most")
    print(f"  with the gradient along weights      {residuals(steps, decay, radial=True).max():.1e} at most")


if __name__ == "__main__":
    main()
