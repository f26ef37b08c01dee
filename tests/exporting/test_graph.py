"""The graph averages, tempers and counts disagreement as the definitions say, for any family."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from torch import Generator, nn

from ensembudget.exporting.card import Blueprint
from ensembudget.exporting.graph import (
    EnsembleGraph,
    SideBySide,
    WeightedEnsemble,
    disagreements,
    in_parts,
    state_of,
    state_shapes,
)
from ensembudget.exporting.inputs._base import Batch
from ensembudget.exporting.inputs.images import ImageInputs
from ensembudget.exporting.temperature import best_temperature
from ensembudget.families._base import Family
from ensembudget.families._build import describe, materialise
from ensembudget.records import Task

TASK = Task(4, 1, 8)


def blueprint(family: str, members: int, **changes) -> Blueprint:
    facts = {"options": {}, "width": 2, "temperature": 1.7, "class_names": list("abcd")}
    inputs = ImageInputs(image_size=8, mean=[0.3], std=[0.4])
    return Blueprint(family=family, members=members, inputs=inputs, **facts | changes)


def networks(family: str, members: int) -> list[nn.Module]:
    return [
        materialise(describe(family, 2, TASK), [Generator().manual_seed(seed)]).eval()
        for seed in range(members)
    ]


def weighted(plan: Blueprint, singles: list[nn.Module]) -> WeightedEnsemble:
    names = state_shapes(plan)
    weights = [{n: t.numpy() for n, t in one.state_dict().items()} for one in singles]
    return WeightedEnsemble(plan, [state_of(one, names) for one in weights])


def some_images(count: int = 5) -> torch.Tensor:
    return torch.randint(256, (count, 8, 8, 1), dtype=torch.uint8, generator=Generator().manual_seed(1))


def expected(singles: list[nn.Module], images: torch.Tensor, temperature: float) -> np.ndarray:
    """In float64, from each network alone."""
    x = ((images.double() / 255 - 0.3) / 0.4).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = np.stack([one.double()(x).numpy() for one in singles])
    average = softmax(logits, -1).mean(0) ** (1 / temperature)
    return average / average.sum(-1, keepdims=True)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("family", ["convnet", "vgg"])
def test_the_graph_is_the_average_of_the_networks(family, members):
    plan, singles, images = blueprint(family, members), networks(family, members), some_images()
    graph = weighted(plan, singles).graph
    found = in_parts(graph, Batch(images), plan)
    assert np.abs(found.probabilities - expected(singles, images, 1.7)).max() < 1e-6
    assert not isinstance(graph.network, SideBySide)


class Plain(nn.Module):
    """Ordinary torch layers, which hold one member, and a buffer that is no part of the state."""

    def __init__(self, width: int, task: Task, members: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(task.channels, 4 * width, 3)
        self.norm = nn.BatchNorm2d(4 * width)
        self.head = nn.Linear(4 * width, task.classes)
        self.register_buffer("shift", torch.empty(1), persistent=False)

    def reset_parameters(self) -> None:
        self.shift.fill_(2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(x)).mean((2, 3)) + self.shift)


def test_networks_that_cannot_be_packed_lie_side_by_side(plug_in):
    plug_in("families", "plain", family=Family(Plain))
    plan, singles, images = blueprint("plain", 3), networks("plain", 3), some_images()
    graph = weighted(plan, singles).graph
    assert isinstance(graph.network, SideBySide)
    found = in_parts(graph, Batch(images), plan)
    assert np.abs(found.probabilities - expected(singles, images, 1.7)).max() < 1e-6


def test_members_so_certain_that_a_mean_of_probabilities_would_be_zero_are_averaged():
    class Certain(nn.Module):
        def forward(self, packed: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 300.0, 0.0, 0.0, 200.0, 0.0, 0.0, 0.0]]).expand(len(packed), -1)

    plan = blueprint("convnet", 2, temperature=100.0)
    graph = EnsembleGraph(Certain(), plan)
    logits = np.array([[0.0, 300.0, 0.0, 0.0], [200.0, 0.0, 0.0, 0.0]])
    logs = logsumexp(logits - logsumexp(logits, 1, keepdims=True), 0) - np.log(2)
    found = in_parts(graph, Batch(some_images(1)), plan).probabilities[0]
    assert found == pytest.approx(softmax(logs / 100), abs=1e-6)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_disagreement_is_the_share_of_pairs_that_predict_different_classes(members):
    logits = torch.randn(members, 40, 3, generator=Generator().manual_seed(members))
    votes = logits.argmax(-1).numpy()
    pairs = list(combinations(range(members), 2))
    wanted = np.mean([votes[i] != votes[j] for i, j in pairs], 0)
    assert disagreements(logits).numpy() == pytest.approx(wanted)


def test_a_single_member_has_no_disagreement():
    assert disagreements(torch.zeros(1, 3, 2)).isnan().all()


def test_the_temperature_has_the_lowest_loss():
    rng = np.random.default_rng(0)
    logits, labels = 4 * rng.normal(size=(3, 200, 5)), rng.integers(5, size=200)
    logits[:, np.arange(200), labels] += 3

    def loss(log_temperature: float) -> float:
        logs = np.log(softmax(logits, -1).mean(0)) / np.exp(log_temperature)
        return float((logsumexp(logs, 1) - logs[np.arange(200), labels]).mean())

    wanted = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).x)
    assert best_temperature(torch.from_numpy(logits), torch.from_numpy(labels)) == pytest.approx(
        wanted, rel=1e-5
    )
