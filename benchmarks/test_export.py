"""How long an exported ensemble takes for one image and for 128, and how large its file is, in each format.

    pytest benchmarks/test_export.py -s --out=DIR

Four WRN-10 of width 9 at 32x32 pixels, 99k parameters in all, with weights as they are initialised, for
speed does not depend on them; then the same in int8. Minutes on two cores, most of it tracing. Beside eager:
the same graph called in PyTorch. Writes latency.csv and its renderings.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from benchmarks.publishing import machine, publish
from benchmarks.speed._sides import ratio
from ensembudget.catalog import DTYPES, FORMATS
from ensembudget.exporting.card import Blueprint
from ensembudget.exporting.checking import TOLERANCE
from ensembudget.exporting.graph import Runner, WeightedEnsemble, state_of, state_shapes
from ensembudget.exporting.inputs.images import ImageInputs
from ensembudget.families._build import describe, materialise
from ensembudget.tables._base import Column, Table

PLAN = Blueprint(
    family="wide_resnet",
    options={"depth": 10},
    width=9,
    members=4,
    class_names=[str(i) for i in range(10)],
    inputs=ImageInputs(image_size=32, mean=[0.5] * 3, std=[0.25] * 3),
    temperature=1.0,
)
CALLS = {1: 20, 128: 2}  # in a round, by how many images
ROUNDS = 5
EAGER = "eager"

TABLE = Table(
    "latency",
    "Exported ensembles: size, and latency beside eager PyTorch",
    (
        Column("dtype", "weights in"),
        Column("format", "format"),
        Column("tensor_bytes", "tensor bytes", ",d"),
        Column("file_bytes", "file bytes", ",d"),
        Column("batch", "images", "d"),
        Column("ms", "ms", ".2f"),
        Column("ratio", "x eager", ".2f", interval=True),
    ),
    rules=(
        f"Four WRN-10 of width 9 at 32x32 pixels as one ensemble, one thread. ms: median of {ROUNDS} rounds"
        f" of {CALLS[1]} calls of one image, or {CALLS[128]} of 128. x eager: median, least and greatest"
        " ratio of paired rounds; eager is the same graph, called in PyTorch. Safetensors holds weights"
        " alone, and is read into that graph.",
    ),
)


def ensemble_in(dtype: str) -> WeightedEnsemble:
    """Four members as they are initialised, stored in a dtype."""
    plan = PLAN.model_copy(update={"dtype": dtype})
    names, states = state_shapes(plan), []
    for seed in range(plan.members):
        network = describe(plan.family, plan.width, plan.task, options=plan.options)
        materialise(network, [Generator().manual_seed(seed)])
        states.append(state_of({name: one.numpy() for name, one in network.state_dict().items()}, names))
    return WeightedEnsemble(plan, [DTYPES[dtype].encode(state) for state in states])


def seconds_of(runner: Runner, images: Tensor) -> float:
    began = time.perf_counter()
    calls = CALLS[len(images)]
    for _ in range(calls):
        runner(images)
    return (time.perf_counter() - began) / calls


def alternated(runners: Mapping[str, Runner], images: Tensor) -> dict[str, list[float]]:
    """Seconds of a call by runner, round by round, all of them once in each round."""
    with torch.no_grad():
        for runner in runners.values():
            seconds_of(runner, images)  # the first calls allocate
        rounds = [{name: seconds_of(one, images) for name, one in runners.items()} for _ in range(ROUNDS)]
    return {name: [one[name] for one in rounds] for name in runners}


@pytest.fixture
def out(request: pytest.FixtureRequest) -> Path:
    return Path(request.config.getoption("--out") or "report/export")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_latency_and_size(out: Path, one_thread: None) -> None:
    rows = []
    for dtype in ("float32", "int8"):
        ensemble = ensemble_in(dtype)
        contents = {name: FORMATS[name].write(ensemble) for name in FORMATS}
        runners: dict[str, Runner] = {EAGER: ensemble.graph}
        runners |= {
            name: FORMATS[name].read(one.content, ensemble.blueprint) for name, one in contents.items()
        }
        for batch in CALLS:
            images = torch.randint(
                256, (batch, 32, 32, 3), dtype=torch.uint8, generator=Generator().manual_seed(0)
            )
            seconds = alternated(runners, images)
            answers = {name: one(images)[0] for name, one in runners.items()}
            for name, answer in answers.items():
                torch.testing.assert_close(answer, answers[EAGER], rtol=0, atol=TOLERANCE, msg=name)
            for name in runners:
                middle, low, high = ratio(seconds[name], seconds[EAGER])
                content = contents.get(name)
                rows.append({
                    "dtype": dtype, "format": name, "batch": batch,
                    "tensor_bytes": content and content.tensor_bytes,
                    "file_bytes": content and len(content.content),
                    "ms": 1e3 * statistics.median(seconds[name]),
                    "ratio": None if name == EAGER else middle,
                    "ratio_low": None if name == EAGER else low,
                    "ratio_high": None if name == EAGER else high,
                })  # fmt: skip
    publish(out, TABLE, rows, [machine()])
