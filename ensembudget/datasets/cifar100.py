"""CIFAR-100: 60,000 colour images of 32x32 in 100 classes (Krizhevsky 2009), by torchvision."""

from typing import Any

from ..records import Task
from ._torchvision import torchvision_dataset


def _make() -> Any:
    from torchvision.datasets import CIFAR100

    return CIFAR100


dataset = torchvision_dataset(
    Task(100, 3, 32),
    _make,
    splits=({"train": True}, {"train": False}),
    files=[f"cifar-100-python/{name}" for name in ("train", "test", "meta")],
)
