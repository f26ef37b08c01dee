"""What tests of several folders use: commands and what they said, plug-ins, members made untrained."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ensembudget.catalog import FAMILIES
from ensembudget.cli import main
from ensembudget.records import AnyTask, Cell, Environment, Recipe, Run, Task, TokenTask
from ensembudget.store import Store
from ensembudget.training.loop import Trained

ROOT = Path(__file__).parents[1]
# A cell that no test trains: what is stored of it is made up.
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
HERE = Environment(ensembudget="0", torch="0", device="cpu", threads=1, pack=1)

# Two cells, three packs: enough to be spread over workers.
THREE_PACKS = """
name = "three"
description = "three packs in two cells"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
budgets = [5178]
members = [1, 2]
tolerance = 0.2
replicates = 2
pool = 2
stepping = { pack = 2 }

[recipe]
epochs = 2
batch_size = 32
"""


def task_for(family: str) -> AnyTask:
    """A task that a family does: images, where it does these."""
    if "images" in FAMILIES[family].tasks:
        return Task(10, 3, 32)
    return TokenTask("text_classification", classes=10, vocabulary=50, length=12)


def outside_pytest() -> dict[str, str]:
    """The environment of a command that is no worker of this pytest: beside others nothing is benchmarked."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int | str | None
    out: str
    err: str


def command(*arguments: str | Path | float) -> Said:
    """`command("plan", "--budget", "10k")`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as left:
            code = left.code
    return Said(code, out.getvalue(), err.getvalue())


class Site(NamedTuple):
    """A folder of installed packages, and the folder in which commands are run with them."""

    packages: Path
    folder: Path

    def __call__(self, *arguments: str | Path | float) -> Said:
        """One command in a Python of its own."""
        path = os.pathsep.join([str(self.packages), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-m", "ensembudget", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def install(self, kind: str, name: str, module: str, source: str) -> None:
        """Puts in one file and its entry point, as pip would."""
        *packages, file = module.split(".")
        folder = self.packages.joinpath(*packages)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{file}.py").write_text(source)
        info = self.packages / f"{module.replace('.', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {info.stem[:-6]}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[ensembudget.{kind}]\n{name} = {module}\n")


def make_site(folder: Path) -> Site:
    for name in ("packages", "cwd"):
        (folder / name).mkdir(parents=True)
    return Site(folder / "packages", folder / "cwd")


def trained_as(
    run: Run, logits: np.ndarray, *, parameters: int = 5178, diverged_at: int | None = None
) -> Trained:
    """A member with these test logits, (sample, class), and no validation images."""
    return Trained(
        run=run,
        diverged_at=diverged_at,
        train_loss=np.ones(1, np.float32),
        validation_logits=logits[:0],
        test_logits=logits,
        weights=None,
        parameters=parameters,
        seconds=1.0,
    )


def publish(store: Store, trained: Trained, labels: np.ndarray) -> None:
    """Puts a member into a store that has none of its key."""
    assert store.publish(trained, (labels[:0], labels), HERE)
