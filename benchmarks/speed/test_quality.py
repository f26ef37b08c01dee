"""Whether members that are trained fast are as good: beside the strong ordinary loop, over seeds.

Command: pytest benchmarks/speed/test_quality.py -s. Takes about two minutes on two cores. WRN-10 of width 8
on 448 handwritten digits, 64 seeds a side, each side from streams of its own: mean accuracy and mean CNLL of
the members must lie within two standard errors of each other.
"""

import numpy as np
import torch

from benchmarks.baselines import eager
from benchmarks.baselines._workload import Workload, images_of
from ensembudget import calibrated_nll
from ensembudget.records import Run, Stepping
from ensembudget.training.loop import train

SEEDS = 64
WORKLOAD = Workload(
    name="quality", family="wide_resnet", options={"depth": 10}, width=8, members=SEEDS, size=8,
    train_size=448, batch_size=64, epochs=20, augmented=False, test_size=1000,
)  # fmt: skip


def test_packed_and_compiled_members_are_as_good_as_those_of_an_ordinary_loop() -> None:
    data = images_of(WORKLOAD)
    labels = torch.from_numpy(data.arrays.test_labels)
    images = eager.Images(data, augmented=False)
    ordinary = []
    for seed in range(SEEDS):
        network = eager.train(WORKLOAD, images, seed).eval()
        with torch.no_grad():
            ordinary.append(network(images.normal(data.arrays.test_inputs)))
    runs = [Run(cell=WORKLOAD.cell(), seed=seed) for seed in range(SEEDS)]
    ours = [
        torch.from_numpy(one.test_logits)
        for first in range(0, SEEDS, 8)
        for one in train(runs[first : first + 8], data, stepping=Stepping(pack=8, compiled=True))
    ]
    sides = [np.array([_scores(one, labels) for one in side]) for side in (ours, ordinary)]
    for i, name in enumerate(("accuracy", "CNLL")):
        means = [side[:, i].mean() for side in sides]
        error = np.hypot(*(side[:, i].std(ddof=1) / SEEDS**0.5 for side in sides))
        print(f"\n{name}: ours {means[0]:.4f}, ordinary {means[1]:.4f}, standard error {error:.4f}")
        assert abs(means[0] - means[1]) <= 2 * error


def _scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    accuracy = float((logits.argmax(1) == labels).double().mean())
    return accuracy, calibrated_nll(logits[None], labels).nll
