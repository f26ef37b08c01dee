"""Whole steps replayed as one CUDA graph: one launch instead of hundreds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

WARM_STEPS = 3  # before a graph is captured, as torch's documentation asks


class Captured:
    """A step that is captured once, and again when a rate changes; batches of another size go uncaptured."""

    def __init__(
        self, step: Callable[[Tensor, Tensor, None], Tensor], optimizer: Optimizer, size: int
    ) -> None:
        self._step, self._optimizer, self._size = step, optimizer, size
        self._graph: torch.cuda.CUDAGraph | None = None
        self._rates: list[float] = []
        self._warm = 0

    def __call__(self, inputs: Tensor, labels: Tensor, observer: object = None) -> Tensor:
        if len(inputs) != self._size:
            return self._step(inputs, labels, None)
        if self._warm < WARM_STEPS:
            self._warm += 1
            with _beside():
                return self._step(inputs, labels, None)
        rates = [group["lr"] for group in self._optimizer.param_groups]
        if self._graph is None or rates != self._rates:
            self._capture(inputs, labels)
            self._rates = rates
        assert self._graph is not None
        self._inputs.copy_(inputs)
        self._labels.copy_(labels)
        self._graph.replay()
        return self._losses.clone()

    def _capture(self, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs.clone(), labels.clone()
        self._optimizer.zero_grad(set_to_none=True)  # gradients then lie in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._losses = self._step(self._inputs, self._labels, None)


@contextmanager
def _beside() -> Iterator[None]:
    """Work in another stream than the default, which a capture's warm-up needs."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        yield
    here.wait_stream(aside)
