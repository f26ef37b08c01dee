"""Records norms, gradients, losses and angles while members train, in Parquet files of each member.

Rows go to disk as they come, so a long history is never in memory. Recording draws no random number and
changes no tensor that training uses: a member is the same with a history and without.

Along an epoch the gradients are those that train, so their norms cost next to nothing; with
`fixed_pass` they are measured in a pass of their own at fixed weights, as the papers do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..families._invariance import Invariant
from ..records import Recording
from .curvature import columns

ROWS = 4096  # of a row group: what is held in memory at one time

EPOCHS, STEPS = "epochs.parquet", "steps.parquet"


class Log:
    """A table on disk that grows by rows of numbers; the first row names its columns.

    Rows go to a file of bare numbers, which `close` turns into Parquet: a Parquet file that is not finished
    can neither be read nor gone on with.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._held_in = path, path.with_suffix(".rows")
        self._held_in.unlink(missing_ok=True)
        self._rows: list[list[float]] = []
        self.columns: list[str] = []

    def add(self, row: Mapping[str, float]) -> None:
        self.columns = self.columns or list(row)
        self._rows.append([row[name] for name in self.columns])
        if len(self._rows) == ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        with self._held_in.open("ab") as file:
            np.array(self._rows, np.float64).tofile(file)
        self._rows.clear()

    def rows(self) -> NDArray[np.float64]:
        """All rows so far, (row, column)."""
        self.flush()
        numbers = np.fromfile(self._held_in, np.float64) if self.columns else np.empty(0)
        return numbers.reshape(-1, len(self.columns) or 1)

    def load(self, columns: list[str], rows: NDArray[np.float64]) -> None:
        """Makes these the rows of a new table, (row, column)."""
        self.columns = columns
        if columns:
            rows.reshape(-1, len(columns)).tofile(self._held_in)

    def close(self) -> None:
        self.flush()
        if not self.columns:
            return
        schema = pa.schema([(name, pa.float64()) for name in self.columns])
        how = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
        with self._held_in.open("rb") as file, pq.ParquetWriter(self._path, schema, **how) as parquet:
            while len(some := np.fromfile(file, np.float64, ROWS * len(self.columns))):
                by_column = np.ascontiguousarray(some.reshape(-1, len(self.columns)).T)
                parquet.write_table(pa.table([pa.array(one) for one in by_column], schema=schema))
        self._held_in.unlink()


class Gradients:
    """Sums over minibatches: losses, squared gradient norms, and the gradients themselves."""

    def __init__(self, invariant: Invariant) -> None:
        self._invariant = invariant
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []  # at each step of every gradient, then of every weight
        self._sum: list[Tensor] = []

    def add(self, losses: Tensor) -> None:
        """Adds the gradients after a backward pass, and each member's loss, (member,)."""
        gradients = self._invariant.gradients
        self._losses.append(losses.detach())
        self._norms += self._invariant.norms([*gradients, *self._invariant.tensors])
        if self._sum:
            torch._foreach_add_(self._sum, gradients)
        else:
            self._sum = [gradient.clone() for gradient in gradients]

    def means(self) -> dict[str, Tensor]:
        """Means over the minibatches, each (member,).

        The effective norm is the gradient's times the weights'; the relative one, a root mean square,
        is the gradient's over the weights'.
        """
        shape = len(self._losses), 2, len(self._invariant.tensors), self._invariant.members
        squares, weights = torch.stack(self._norms).view(shape).square().sum(2).unbind(1)
        mean = self._invariant.squares(self._sum).sum(0) / len(squares) ** 2
        return {
            "train_loss": torch.stack(self._losses).mean(0),
            "gradient_norm": squares.sqrt().mean(0),
            "effective_gradient_norm": (squares * weights).sqrt().mean(0),
            "relative_gradient_norm": (squares / weights).mean(0).sqrt(),
            "mean_gradient_norm": mean.sqrt(),
            "gradient_deviation": (squares.mean(0) - mean).clamp_min(0).sqrt(),
        }


class Recorder:
    """Watches the members of a pack train and writes one history for each.

    Args:
        spec: What to record, and when.
        invariant: Its scale-invariant tensors.
        effective: From the rate and the squared norm to the effective learning rate.
        folders: One a member, where its files go.
        test: Every member's test loss and error, each (member,); None where no samples are for it.
        fixed_pass: Batches' losses after their backward passes at fixed weights, one at a time.
        curvature: One member's curvature by name, given its index.
    """

    def __init__(
        self,
        spec: Recording,
        invariant: Invariant,
        effective: Callable[[float, Tensor], Tensor],
        folders: Sequence[Path],
        *,
        test: Callable[[], tuple[Tensor, Tensor]] | None,
        fixed_pass: Callable[[Callable[[Tensor], None]], None],
        curvature: Callable[[int], dict[str, float]],
    ) -> None:
        self._spec, self._invariant = spec, invariant
        self._effective, self._test = effective, test
        self._fixed_pass, self._curvature = fixed_pass, curvature
        self._epochs = [Log(folder / EPOCHS) for folder in folders]
        self._steps = [Log(folder / STEPS) for folder in folders]
        self._step = 0
        self._pending: dict[str, Tensor] = {}
        self._rows: list[dict[str, Tensor]] = []  # of steps, on the device until the epoch ends
        self._start = self._last = self._before = self._copy()
        self._gradients: Gradients | None = None

    def begin_epoch(self, epoch: int) -> None:
        due = epoch % self._spec.every == 0 and not self._spec.fixed_pass
        self._gradients = Gradients(self._invariant) if due else None

    @torch.no_grad()
    def before_step(self, losses: Tensor, rate: float) -> None:
        """Between the backward pass and the step."""
        if self._gradients:
            self._gradients.add(losses)
        if self._spec.steps and self._step % self._spec.steps == 0:
            tensors, gradients = self._invariant.tensors, self._invariant.gradients
            squared = self._squared()
            self._before = self._copy()
            self._pending = {
                "step": squared.new_full(squared.shape, self._step),
                "train_loss": losses.detach(),
                "rate": squared.new_full(squared.shape, rate),
                "effective_learning_rate": self._effective(rate, squared),
                "squared_norm": squared,
                "squared_gradient_norm": self._invariant.squares(gradients).sum(0),
                # Zero where the network is exactly invariant; batch norm's eps leaves a little.
                "weights_dot_gradient": self._invariant.dots(tensors, gradients).sum(0),
            }

    @torch.no_grad()
    def after_step(self) -> None:
        self._step += 1
        if not self._pending:
            return
        row, self._pending = self._pending, {}
        row["squared_norm_after"] = self._squared()
        row["cosine"] = F.cosine_similarity(self._copy(), self._before, eps=0)
        self._rows.append(row)

    def end_epoch(self, epoch: int, rate: float) -> None:
        """Called after each epoch; epochs are counted from 1."""
        rows, self._rows = self._rows, []
        _write(self._steps, rows)
        if epoch % self._spec.every:
            return
        gradients = self._gradients or Gradients(self._invariant)
        if self._spec.fixed_pass:
            self._fixed_pass(gradients.add)
        with torch.no_grad():
            row = self._row(epoch, rate, gradients)
        _write(self._epochs, [row], [self._curved(i, epoch) for i in range(self._invariant.members)])

    def close(self) -> None:
        for log in self._logs:
            log.close()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was recorded until the end of an epoch, as tensors and facts that are JSON values.

        The weights before the first step are not among it: a new recorder has them.
        """
        rows = {f"rows/{number}": torch.from_numpy(log.rows()) for number, log in enumerate(self._logs)}
        columns = [log.columns for log in self._logs]
        return {"last": self._last, **rows}, {"step": self._step, "columns": columns}

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Goes on from a state, before the first step."""
        self._step, self._last = facts["step"], tensors["last"].to(self._last.device)
        for number, (log, names) in enumerate(zip(self._logs, facts["columns"], strict=True)):
            log.load(names, tensors[f"rows/{number}"].numpy())

    @property
    def _logs(self) -> list[Log]:
        return [*self._epochs, *self._steps]

    def _row(self, epoch: int, rate: float, gradients: Gradients) -> dict[str, Tensor]:
        each = self._invariant.squares(self._invariant.tensors)
        squared = each.sum(0)
        row = {
            "epoch": squared.new_full(squared.shape, epoch),
            "step": squared.new_full(squared.shape, self._step),
            "rate": squared.new_full(squared.shape, rate),
            "effective_learning_rate": self._effective(rate, squared),
            "norm": squared.sqrt(),
            **gradients.means(),
        }
        if self._test:
            row["test_loss"], row["test_error"] = self._test()
        now = self._copy()
        row["cosine_to_start"] = F.cosine_similarity(now, self._start, eps=0)
        row["cosine_to_last"] = F.cosine_similarity(now, self._last, eps=0)
        self._last = now
        return row | {
            f"norm/{name}": square.sqrt() for name, square in zip(self._invariant.names, each, strict=True)
        }

    def _curved(self, member: int, epoch: int) -> dict[str, float]:
        """The curvature where it is due; NaN where it is not."""
        if not self._spec.curvature:
            return {}
        if epoch % self._spec.curvature == 0:
            return self._curvature(member)
        return dict.fromkeys(columns(self._spec.eigenvalues), math.nan)

    def _squared(self) -> Tensor:
        return self._invariant.squares(self._invariant.tensors).sum(0)

    def _copy(self) -> Tensor:
        """The weights as they are, (member, number)."""
        return self._invariant.flat([tensor.detach() for tensor in self._invariant.tensors])


def _write(
    logs: Sequence[Log], rows: Sequence[dict[str, Tensor]], more: Sequence[dict[str, float]] = ()
) -> None:
    """Writes rows of values (member,) to the members' logs; only here do numbers leave the device."""
    if not rows:
        return
    values = {name: torch.stack([row[name].double() for row in rows]).tolist() for name in rows[0]}
    for i, log in enumerate(logs):
        for j in range(len(rows)):
            log.add({name: column[j][i] for name, column in values.items()} | (more[i] if more else {}))


def loss_and_error(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss, nats, and share of errors of (member, sample, class), each (member,)."""
    each = F.cross_entropy(logits.transpose(1, 2), labels.expand(len(logits), -1), reduction="none")
    return each.mean(1), (logits.argmax(-1) != labels).to(each.dtype).mean(1)
