"""What tests of several folders use: one command and what it said, and members made without training."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ensembudget.cli import main
from ensembudget.records import Environment, Run
from ensembudget.store import Store
from ensembudget.training.loop import Trained

HERE = Environment(ensembudget="0", torch="0", device="cpu", threads=1, pack=1)


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
