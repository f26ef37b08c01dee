"""Fashion-MNIST: 70,000 grey images of 28x28 in 10 classes (Xiao et al. 2017), by torchvision."""

from typing import Any

from ..records import Task
from ._torchvision import torchvision_dataset


def _make() -> Any:
    from torchvision.datasets import FashionMNIST

    return FashionMNIST


dataset = torchvision_dataset(
    Task(10, 1, 28),
    _make,
    splits=({"train": True}, {"train": False}),
    files=[
        f"FashionMNIST/raw/{split}-{what}-ubyte"
        for split in ("train", "t10k")
        for what in ("images-idx3", "labels-idx1")
    ],
)
