"""How long an exported ensemble takes for one image and for 128, in each format, beside the eager graph.

Command: pytest benchmarks/test_export.py. Four WRN-10 of width 9 at 32x32 pixels, 99k parameters in all, with
weights as they are initialised, for speed does not depend on them. Minutes on two cores, most of it tracing.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Generator

from ensembudget.catalog import FORMATS
from ensembudget.exporting.card import Blueprint
from ensembudget.exporting.graph import Runner, WeightedEnsemble, state_of, state_shapes
from ensembudget.families._build import describe, materialise

PLAN = Blueprint(
    family="wide_resnet",
    options={"depth": 10},
    width=9,
    members=4,
    class_names=[str(i) for i in range(10)],
    image_size=32,
    mean=[0.5] * 3,
    std=[0.25] * 3,
    temperature=1.0,
)


@pytest.fixture(scope="module")
def ensemble() -> WeightedEnsemble:
    names, states = state_shapes(PLAN), []
    for seed in range(PLAN.members):
        network = describe(PLAN.family, PLAN.width, PLAN.task, options=PLAN.options)
        materialise(network, [Generator().manual_seed(seed)])
        states.append(state_of({name: one.numpy() for name, one in network.state_dict().items()}, names))
    return WeightedEnsemble(PLAN, states)


@pytest.fixture(scope="module", params=["eager", *FORMATS])
def runner(request: pytest.FixtureRequest, ensemble: WeightedEnsemble) -> Runner:
    if request.param == "eager":
        return ensemble.graph
    part = FORMATS[request.param]
    return part.read(part.write(ensemble).content, PLAN)


@pytest.mark.parametrize("batch", [1, 128])
def test_latency(benchmark: Callable[..., object], runner: Runner, batch: int) -> None:
    images = torch.randint(256, (batch, 32, 32, 3), dtype=torch.uint8, generator=Generator().manual_seed(0))
    with torch.no_grad():
        runner(images)
        benchmark(runner, images)
