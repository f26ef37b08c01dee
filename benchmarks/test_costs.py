"""What each split of a study costs: a training step, evaluation, inference, and peak memory.

Command: pytest benchmarks. Takes 3 to 4 minutes on two cores for digits, training included. At equal
parameters the splits of a budget have equal operations, so a time above n = 1's is overhead: expect
1.5 to 4 times at n = 16 on 8x8 images.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from ensembudget import Plan, Run, Split, Stepping, Store, run
from ensembudget.budgets.activations import PeakBytes
from ensembudget.datasets._data import Data
from ensembudget.datasets._load import load
from ensembudget.packing.batches import feed_of
from ensembudget.packing.network import build_network
from ensembudget.packing.parts import asked_of, parts_of
from ensembudget.packing.streams import stream
from ensembudget.stepping.pack import Pack, assemble
from ensembudget.training.evaluation import evaluate_logits

EVALUATED = 500  # test images
ROUNDS = 5


@pytest.fixture(scope="session")
def data(plan: Plan) -> Data:
    return load(plan.study.dataset)


@pytest.fixture(scope="session", autouse=True)
def trained(plan: Plan, store: Store, device: str) -> None:
    """Quality needs members: what the store lacks is trained before anything is timed."""
    outcomes = run(plan, store, device=device)
    assert all(one.status == "done" for one in outcomes)


class Packed(NamedTuple):
    """Members of a split that were trained together, and how they were stepped."""

    runs: list[Run]
    stepping: Stepping


def packs(plan: Plan, store: Store, split: Split) -> list[Packed]:
    """The split's members in the packs in which they were trained, as each environment records."""
    runs, found = plan.cell_of(split).runs[: split.members], []
    while runs:
        stepping = store.read(runs[0].key).member.environment.stepping
        found.append(Packed(runs[: stepping.pack], stepping))
        runs = runs[stepping.pack :]
    return found


def measure_peak(work: Callable[[], object], device: str) -> int:
    """Most bytes of tensors alive at one time in a piece of work, what was there before left out.

    On a CPU a compiled step is followed as it runs uncompiled.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with PeakBytes() as follower:
        work()
    return follower.peak


def waited(work: Callable[[], object], device: str) -> Callable[[], None]:
    """The work, and the wait until the device has done it."""

    def whole() -> None:
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return whole


def size_of(networks: list[nn.Module]) -> int:
    return sum(p.numel() * p.element_size() for network in networks for p in network.parameters())


def ready(
    plan: Plan, store: Store, split: Split, data: Data, device: str
) -> list[tuple[Pack, tuple[Tensor, Tensor]]]:
    """The split's packs as they were trained, each with a batch to step on."""
    found = []
    for runs, stepping in packs(plan, store, split):
        pack = assemble(runs, parts_of(runs[0].cell, data.arrays), data.task, device, stepping)
        pack.network.train()
        found.append((pack, next(pack.batches([stream(run.stream_key, "data") for run in runs]))))
    return found


@pytest.mark.benchmark(group="training step")
def test_training_step(benchmark, plan, store, split, data, device, costs) -> None:
    """One step of every member of the split, stepped as it was trained, packs one after another."""
    parts = ready(plan, store, split, data, device)

    def steps() -> None:
        for pack, batch in parts:
            pack.step(*batch, None)

    peak = measure_peak(steps, device) + size_of([pack.network for pack, _ in parts])
    benchmark.extra_info.update(peak_memory_bytes=peak, threads=torch.get_num_threads())
    benchmark.pedantic(waited(steps, device), rounds=ROUNDS, warmup_rounds=2, iterations=3)
    costs.add(split, train_step_ms=1e3 * benchmark.stats.stats.median, peak_memory_bytes=peak)


@pytest.fixture
def ensemble(plan: Plan, store: Store, split: Split, data: Data, device: str) -> list[tuple[nn.Module, int]]:
    """The split's networks as they would be served, with how many members each holds."""
    place = torch.device(device)
    return [
        (build_network(runs, data.task, place, stepping.layout).eval(), len(runs))
        for runs, stepping in packs(plan, store, split)
    ]


@pytest.mark.benchmark(group="evaluation")
def test_evaluation(benchmark, plan, split, data, device, costs, ensemble) -> None:
    """Logits of every member on test images, from bytes."""
    asked = asked_of(data.arrays.test_inputs[:EVALUATED], data.arrays.test_labels[:EVALUATED], None)
    feed = feed_of(plan.cells[0].cell.recipe, data.task, asked.inputs, device)

    def evaluate() -> list[Tensor]:
        return [evaluate_logits(network, asked, feed, members) for network, members in ensemble]

    benchmark.extra_info["peak_memory_bytes"] = measure_peak(evaluate, device)
    benchmark.pedantic(evaluate, rounds=ROUNDS, warmup_rounds=1)
    costs.add(split, evaluate_ms_per_sample=1e3 * benchmark.stats.stats.median / len(asked.inputs))


@pytest.mark.benchmark(group="inference")
@pytest.mark.parametrize("batch", [1, 128])
def test_inference(benchmark, plan, split, data, device, costs, ensemble, batch) -> None:
    """The whole ensemble's averaged probabilities for one batch of normalised images."""
    task = data.task
    image = torch.randn(batch, task.channels, task.image_size, task.image_size, device=device)
    inputs = [
        image.repeat(1, members, 1, 1).contiguous(memory_format=torch.channels_last)
        for _, members in ensemble
    ]

    @torch.inference_mode()
    def infer() -> Tensor:
        logits = torch.cat([net(x) for (net, _), x in zip(ensemble, inputs, strict=True)], 1)
        return logits.unflatten(1, (split.members, -1)).softmax(-1).mean(1)

    benchmark.extra_info["peak_memory_bytes"] = measure_peak(infer, device)
    benchmark.pedantic(waited(infer, device), rounds=ROUNDS, warmup_rounds=2, iterations=10)
    costs.add(split, **{f"inference_ms_batch_{batch}": 1e3 * benchmark.stats.stats.median})
