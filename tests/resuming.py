"""What tests of checkpoints share: training that stops after every epoch and goes on."""

import json
from dataclasses import replace
from pathlib import Path

from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.records import Run
from ensembudget.training.checkpoints import Checkpoint
from ensembudget.training.loop import Trained, train


class Kept:
    """Checkpoints in memory, as they come back from JSON."""

    def __init__(self, *there: Checkpoint) -> None:
        self.there, self.refused = list(there), []

    def found(self):
        return reversed(self.there)

    def keep(self, checkpoint):
        self.there.append(checkpoint._replace(facts=json.loads(json.dumps(checkpoint.facts))))

    def refuse(self, checkpoint, why):
        self.refused.append(why)


def few(data: Data) -> Data:
    """A dataset with few test images, which are looked at once for every training."""
    arrays = data.arrays
    cut = Arrays(arrays.train_inputs, arrays.train_labels, arrays.test_inputs[:60], arrays.test_labels[:60],
                 arrays.classes)  # fmt: skip
    return replace(data, arrays=cut)


def results(trained: list[Trained]) -> list[dict]:
    """Everything of trained members but the time they took."""
    arrays = "train_loss", "validation_logits", "test_logits"
    return [
        {
            "diverged_at": one.diverged_at,
            "unit": one.unit,
            "parameters": one.parameters,
            **{name: getattr(one, name).tobytes() for name in arrays},
            **{name: tensor.tobytes() for name, tensor in (one.weights or {}).items()},
            **({path.name: path.read_bytes() for path in one.history.iterdir()} if one.history else {}),
        }
        for one in trained
    ]


def assert_resumes_after_every_epoch(runs: list[Run], data: Data, folder: Path, **how) -> list[Checkpoint]:
    """Returns the checkpoints: one an epoch."""
    data = few(data)
    kept = Kept()
    whole = results(train(runs, data, histories=folder / "whole", checkpoints=kept, **how))
    for checkpoint in kept.there:
        told, one = [], Kept(checkpoint)
        histories = folder / f"from {checkpoint.epoch}"
        again = train(runs, data, histories=histories, checkpoints=one, on_epoch=told.append, **how)
        assert one.refused == []
        assert told == list(range(checkpoint.epoch, told[-1] + 1))
        assert results(again) == whole, f"after epoch {checkpoint.epoch}"
    return kept.there
