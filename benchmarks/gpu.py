"""Everything that is measured on a GPU, in one call of at most nine minutes.

    python benchmarks/gpu.py --out DIR
    python benchmarks/gpu.py --out DIR --device cpu --toy      # the same path, small, anywhere

Writes gpu_checks and gpu_steps as CSV and Markdown, the most wanted first; what the time does not allow is
in the table as not reached. WRN-28 at one budget as 1, 4 and 16 members, at 32x32 in batches of 128:
every way to step in bfloat16 and float32, each beside the wide network, beside the papers' loop on the same
device, and as a share of the device's bfloat16 matrix-product peak. Nothing is expected yet: no figure of a
GPU has been published with this file.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.baselines import plain
from benchmarks.baselines._workload import Workload, images_of
from ensembudget.records import Run, Stepping
from ensembudget.rendering.render import render, to_csv
from ensembudget.rendering.steppings import STEPPING_COLUMNS, stepping_row
from ensembudget.stepping.check import faults
from ensembudget.stepping.timing import time_steps
from ensembudget.tables._base import Column, Row, Table
from ensembudget.training.loop import train

MINUTES = 9.0
CLOSE = 1e-4  # nats: how far a way's losses may lie from the ordinary step's, in float64

CHECKS = Table(
    "gpu_checks",
    "What a GPU computes, beside the ordinary step on the CPU",
    (
        Column("check", "check"),
        Column("stepping", "stepping"),
        Column("value", "value", ".3g"),
        Column("bound", "bound", ".3g"),
        Column("verdict", "verdict"),
    ),
    ("float64 losses: the largest difference of any step's loss over 20 steps.",),
)
STEPS = Table(
    "gpu_steps",
    "Steps on a GPU",
    (
        Column("precision", "precision"),
        Column("members", "n", "d"),
        Column("width", "width", "d"),
        *STEPPING_COLUMNS,
        Column("split_ms", "ms for all", ".2f"),
        Column("over_wide", "over the wide network's best", ".2f"),
        Column("beside_plain", "times plain", ".1f"),
        Column("share_of_peak", "of bf16 peak", ".1%"),
        Column("first_s", "until the first step, s", ".1f"),
        Column("fault", "fault"),
    ),
    (
        "ms for all: one step of every member of the split, packs one after another.",
        "over the wide network's best: beside the fastest n = 1 of the same precision.",
        "times plain: the papers' loop on the same device (DataLoader, NCHW, float32), members in turn.",
    ),
)


@dataclass(frozen=True)
class Scale:
    """How large everything is: as published, or small enough for a test."""

    options: dict[str, int | bool | str]
    splits: tuple[tuple[int, int], ...]  # members, width
    batch: int
    product: int  # rows of the square matrices of the peak
    plain_size: int
    check_width: int
    seeds: int  # a side, where precisions are compared


FULL = Scale({"depth": 28}, ((1, 160), (16, 40), (4, 80)), 128, 8192, 2048, 16, 8)
TOY = Scale({"depth": 10}, ((1, 4), (4, 2)), 8, 64, 16, 2, 2)


def workload(scale: Scale, width: int, members: int, device: str, **changes: object) -> Workload:
    fields = {
        "name": f"k={width}",
        "family": "wide_resnet",
        "options": scale.options,
        "width": width,
        "members": members,
        "size": 32,
        "train_size": scale.batch,
        "batch_size": scale.batch,
        "epochs": 1,
        "augmented": True,
        "device": device,
    }
    return Workload.model_validate(fields | changes)


def steppings(members: int, device: str) -> Iterator[Stepping]:
    """Every way that can be here: whole packs first, captured before not."""
    packs = sorted({members, min(4, members), 1}, reverse=True)
    cuda = torch.device(device).type == "cuda"
    for captured, way in product((True, False) if cuda else (False,), ("separate", "grouped", "vmap")):
        for pack in packs:
            if pack > 1 or way == "grouped":
                yield Stepping(pack=pack, way=way, captured=captured)
    yield Stepping(pack=members, compiled=True)
    yield Stepping(pack=members, layout="contiguous", captured=cuda)


def peak(device: str, size: int) -> float:
    """bfloat16 operations a second of square matrix products, the median of five."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(7):
        waited(device)
        began = time.perf_counter()
        for _ in range(10):
            a @ b
        waited(device)
        seconds.append((time.perf_counter() - began) / 10)
    return 2 * size**3 / statistics.median(seconds[2:])


def waited(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def plain_seconds(scale: Scale, width: int, device: str) -> float:
    """One member's step by the papers' loop."""
    work = plain.prepare(workload(scale, width, 1, device, train_size=scale.plain_size))
    work()
    began = time.perf_counter()
    work()
    waited(device)
    return (time.perf_counter() - began) / (scale.plain_size / scale.batch)


def check_rows(scale: Scale, device: str, left: Callable[[], float]) -> Iterator[Row]:
    """Whether every way computes the same on the device, and bfloat16 as well as float32."""
    members = 3
    spec = workload(scale, scale.check_width, members, device, options={"depth": 10})
    base = spec.cell(20)  # one batch an epoch
    exact = base.model_copy(update={"recipe": base.recipe.model_copy(update={"precision": "float64"})})
    runs = [Run(cell=exact, seed=seed) for seed in range(members)]
    data = images_of(spec)
    wanted = np.stack([one.train_loss for one in train(runs, data)])
    for stepping in steppings(members, device):
        if left() < 0 or faults(stepping, exact.recipe, device, recorded=False):
            continue
        name = str(stepping)
        try:
            found = [
                one.train_loss
                for first in range(0, members, stepping.pack)
                for one in train(runs[first : first + stepping.pack], data, device=device, stepping=stepping)
            ]
        except Exception as error:
            yield {"check": "float64 losses", "stepping": name, "verdict": f"{type(error).__name__}: {error}"}
            continue
        far = float(np.abs(np.stack(found) - wanted).max())
        yield {
            "check": "float64 losses",
            "stepping": name,
            "value": far,
            "bound": CLOSE,
            "verdict": "same" if far <= CLOSE else "DIFFERS",
        }
    yield from precision_rows(scale, device)


def precision_rows(scale: Scale, device: str) -> Iterator[Row]:
    """Test loss of bfloat16 beside float32 on digits, over seeds."""
    spec = workload(
        scale, scale.check_width, scale.seeds, device,
        options={"depth": 10}, size=8, train_size=448, batch_size=64, augmented=False, epochs=20,
        test_size=1000,
    )  # fmt: skip
    data = images_of(spec)
    losses = {}
    for precision in ("float32", "bfloat16"):
        cell = spec.cell()
        cell = cell.model_copy(update={"recipe": cell.recipe.model_copy(update={"precision": precision})})
        members = train([Run(cell=cell, seed=seed) for seed in range(scale.seeds)], data, device=device)
        logits = torch.from_numpy(np.stack([one.test_logits for one in members]))
        labels = torch.from_numpy(data.arrays.test_labels).expand(len(logits), -1)
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)
        losses[precision] = each.double().numpy()
    difference = losses["bfloat16"].mean() - losses["float32"].mean()
    error = float(np.hypot(*(one.std(ddof=1) / scale.seeds**0.5 for one in losses.values())))
    yield {
        "check": f"test NLL, bfloat16 minus float32, {scale.seeds} seeds a side",
        "value": float(difference),
        "bound": 2 * error,
        "verdict": "within two standard errors" if abs(difference) <= 2 * error else "DIFFERS",
    }


def step_rows(scale: Scale, device: str, left: Callable[[], float]) -> Iterator[Row]:
    """Every way of every split, bfloat16 first."""
    most = peak(device, scale.product)
    beside = {width: plain_seconds(scale, width, device) for _, width in scale.splits}
    for precision in ("bfloat16", "float32"):
        wide: float | None = None
        for members, width in scale.splits:
            spec = workload(scale, width, members, device)
            cell = spec.cell()
            cell = cell.model_copy(update={"recipe": cell.recipe.model_copy(update={"precision": precision})})
            for stepping in steppings(members, device):
                row: Row = {
                    "precision": precision,
                    "members": members,
                    "width": width,
                    **stepping_row(stepping),
                }
                if left() < 0:
                    yield row | {"fault": "not reached in the time"}
                    continue
                timing = time_steps(cell, spec.task, stepping, device)
                if timing.seconds is None:
                    yield row | {"fault": timing.fault}
                    continue
                seconds = timing.seconds * -(-members // stepping.pack)
                if members == 1:
                    wide = min(seconds, wide or seconds)
                yield row | {
                    "split_ms": 1e3 * seconds,
                    "over_wide": None if wide is None else seconds / wide,
                    "beside_plain": members * beside[width] / seconds,
                    "share_of_peak": spec.flops / seconds / most,
                    "first_s": timing.first,
                }


def write(out: Path, layout: Table, rows: Sequence[Row]) -> None:
    full = [{name: row.get(name) for name in layout.names} for row in rows]
    (out / f"{layout.name}.csv").write_text(to_csv(layout, full))
    (out / f"{layout.name}.md").write_text(render(layout, full, "md"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    args = parser.parse_args(arguments)
    scale, end = (TOY if args.toy else FULL), time.monotonic() + 60 * args.minutes
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        parser.exit(2, f"gpu.py: torch finds no GPU here for {args.device!r}. Use --device cpu --toy.\n")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.benchmark = True
    # Steps first, for they are what is wanted; a quarter of the time is kept for the checks.
    parts = (
        (STEPS, step_rows(scale, args.device, lambda: end - 15 * args.minutes - time.monotonic())),
        (CHECKS, check_rows(scale, args.device, lambda: end - 30 - time.monotonic())),
    )
    for layout, found in parts:
        rows: list[Row] = []
        for row in found:
            rows.append(row)
            print({k: v for k, v in row.items() if v is not None}, flush=True)
            write(args.out, layout, rows)  # after every row: what is cut off loses nothing


if __name__ == "__main__":
    main()
