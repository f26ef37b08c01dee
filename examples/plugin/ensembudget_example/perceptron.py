"""Two linear layers with batch norm between them: 8 hidden units for every unit of width."""

from torch import nn

from ensembudget.families._base import Family
from ensembudget.families._layers import BatchNorm1d, Linear
from ensembudget.records import Task


def build(width: int, task: Task, members: int) -> nn.Module:
    pixels, hidden = task.channels * task.image_size**2, 8 * width
    return nn.Sequential(
        nn.Flatten(),
        Linear(pixels, hidden, members=members),
        BatchNorm1d(hidden, members=members),
        nn.ReLU(),
        Linear(hidden, task.classes, members=members),
    )


family = Family(build)
