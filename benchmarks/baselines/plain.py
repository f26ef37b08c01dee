"""The papers' way: torchvision transforms in a DataLoader, plain SGD, one member after another.

Own code after what the papers' scripts do: images come one by one from PIL through RandomCrop,
RandomHorizontalFlip, ToTensor and Normalize in two workers; tensors are NCHW; torch keeps its own number
of threads. Workers live through all epochs, so that their start costs nothing here.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ensembudget.families._build import describe, materialise

from ._workload import RATE, WEIGHT_DECAY, Workload, images_of, serve

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Images(Dataset[Any]):
    """Images as PIL has them, transformed one at a time."""

    def __init__(self, workload: Workload) -> None:
        arrays = images_of(workload).arrays
        channels = arrays.train_inputs.shape[3]
        self.images, self.labels = arrays.train_inputs, arrays.train_labels
        pad = workload.size // 8 if workload.augmented else 0
        augment = [transforms.RandomCrop(workload.size, padding=pad), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose(
            [
                *(augment if workload.augmented else []),
                transforms.ToTensor(),
                transforms.Normalize(MEAN[:channels], STD[:channels]),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index].squeeze())
        return self.transform(image), int(self.labels[index])


def prepare(workload: Workload) -> Callable[[], None]:
    loader = DataLoader(
        Images(workload), workload.batch_size, shuffle=True, num_workers=2, persistent_workers=True
    )

    def train(seed: int) -> None:
        network = describe(workload.family, workload.width, workload.task, options=workload.options)
        materialise(network, [torch.Generator().manual_seed(seed)], workload.device).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
        for _ in range(workload.epochs):
            total = 0.0
            for images, labels in loader:
                images, labels = images.to(workload.device), labels.to(workload.device)
                loss = F.cross_entropy(network(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)

    def work() -> None:
        for seed in range(workload.members):
            train(seed)

    return work


if __name__ == "__main__":
    serve(prepare)
