"""SVHN: 99,289 colour images of house numbers, 32x32 (Netzer et al. 2011), by torchvision."""

from typing import Any

from ..records import Task
from ._torchvision import torchvision_dataset


def _make() -> Any:
    from torchvision.datasets import SVHN

    return SVHN


dataset = torchvision_dataset(
    Task(10, 3, 32),
    _make,
    splits=({"split": "train"}, {"split": "test"}),
    files=["train_32x32.mat", "test_32x32.mat"],
)
