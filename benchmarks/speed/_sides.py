"""The sides of a comparison: processes that do a round when asked, in turn."""

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ensembudget.records import Record

ROOT = Path(__file__).parents[2]
ROUNDS = 5


class Side:
    """One side: a module of `benchmarks.baselines` in a process of its own."""

    def __init__(self, module: str, workload: Record | None = None) -> None:
        command = [sys.executable, "-m", f"benchmarks.baselines.{module}"]
        command += [workload.to_json()] if workload else []
        self._process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self._answer()
        except RuntimeError:
            self.close()
            raise

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended by itself: {self._process.args}")
        return line

    def round(self) -> float:
        """What one round gave: seconds, or operations a second of `product`."""
        return self.ask("")

    def ask(self, word: str) -> float:
        """A number for a line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, which ends with its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def alternate(sides: Mapping[str, Side], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """What every side gave, round by round; none runs while another does."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side.round())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and greatest of the ratios of paired rounds."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(each), min(each), max(each)
