"""ensembudget's own way: packs as autotuning chose them, in as many processes, each through `train`.

Autotuning is told how long a real run is (`REAL_EPOCHS`), as it would be; its time and the processes'
start are not counted, as the other sides' are not. What was chosen goes to standard error.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch

from ensembudget.records import Run, Stepping, SteppingChoice
from ensembudget.stepping.autotune import Request, choose_all, choose_place
from ensembudget.stepping.memory import keep_freed
from ensembudget.stepping.place import Place
from ensembudget.training.loop import train

from ._workload import Workload, images_of, serve

REAL_EPOCHS = 200
REAL_SIZE = 50_000  # images


@cache
def _data(text: str):
    return images_of(Workload.from_json(text))


def _train(text: str, seeds: list[int], stepping: Stepping, threads: int) -> None:
    torch.set_num_threads(threads)
    keep_freed()
    runs = [Run(cell=Workload.from_json(text).cell(), seed=seed) for seed in seeds]
    train(runs, _data(text), stepping=stepping)


def arranged(workload: Workload) -> tuple[Place, Stepping]:
    """What autotuning chooses for a real run of this network."""
    cores = len(os.sched_getaffinity(0))
    places = [Place(device="cpu", workers=w, threads=cores // w) for w in (cores, 1)]
    request = Request(
        cell=workload.cell(REAL_EPOCHS * REAL_SIZE // workload.train_size),
        task=tuple(workload.task),
        members=workload.members,
        flops=workload.flops / workload.members / workload.epochs * REAL_EPOCHS,
        fixed=SteppingChoice(),
        place=places[0],
    )
    place = choose_place(request, places, worth=True)
    (chosen,) = choose_all([request.model_copy(update={"place": place})], worth=True)
    return place, chosen.stepping


def prepare(workload: Workload) -> Callable[[], None]:
    place, stepping = arranged(workload)
    print(f"{workload.name}: {stepping}, {place.workers} x {place.threads}", file=sys.stderr, flush=True)
    seeds = range(workload.members)
    packs = [list(seeds[first : first + stepping.pack]) for first in seeds[:: stepping.pack]]
    pool = ProcessPoolExecutor(place.workers, get_context("spawn"))
    text = workload.to_json()

    def work() -> None:
        count = len(packs)
        list(pool.map(_train, [text] * count, packs, [stepping] * count, [place.threads] * count))

    work()  # so that every process has compiled what it needs before the round that is not counted
    return work


if __name__ == "__main__":
    serve(prepare)
