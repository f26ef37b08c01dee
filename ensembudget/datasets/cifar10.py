"""CIFAR-10: 60,000 colour images of 32x32 in 10 classes (Krizhevsky 2009), by torchvision."""

from typing import Any

from ..records import Task
from ._torchvision import torchvision_dataset


def _make() -> Any:
    from torchvision.datasets import CIFAR10

    return CIFAR10


BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]

dataset = torchvision_dataset(
    Task(10, 3, 32),
    _make,
    splits=({"train": True}, {"train": False}),
    files=[f"cifar-10-batches-py/{name}" for name in BATCHES],
)
