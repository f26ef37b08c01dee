"""The machine's matrix-product peak: the fastest product that torch can make, on every core.

torch.mm and oneDNN's linear layer are both tried at several sizes (on some machines one is half as fast),
one process a core at the same time, and the best counts. In float32, or in the precision of a workload.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from ._workload import Workload

SIZES = (512, 1024)
SECONDS = 0.3


def _rate(product: Callable[[], torch.Tensor], flops: float) -> float:
    product()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        product()
        done += 1
    return done * flops / (time.perf_counter() - began)


def _onednn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return product


def _best(precision: str) -> list[float]:
    torch.set_num_threads(1)
    rates, dtype = [], getattr(torch, precision)
    for size in SIZES:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        out, flops = torch.empty(size, size, dtype=dtype), 2.0 * size**3
        rates.append(_rate(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), flops))
        if torch.backends.mkldnn.is_available():
            rates.append(_rate(lambda a=a, b=b: _onednn(a, b), flops))
    return rates


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    precision = Workload.from_json(sys.argv[1]).precision if len(sys.argv) > 1 else "float32"
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        print("ready", flush=True)
        for _ in sys.stdin:
            rates = list(pool.map(_best, [precision] * cores))
            # Operations a second of all cores together.
            print(max(map(sum, zip(*rates, strict=True))), flush=True)


if __name__ == "__main__":
    main()
