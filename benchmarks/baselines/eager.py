"""A strong ordinary loop: the dataset in memory, channels-last, all threads, fused SGD, members in turn.

Batches are cut, cropped and flipped from one tensor; nothing is done a sample, nothing is read from disk.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensembudget.datasets._data import Data
from ensembudget.families._build import describe, materialise

from ._workload import RATE, WEIGHT_DECAY, Workload, images_of, serve

PADDING = 4


class Images:
    """Normalised training images in memory, (sample, channel, row, column), padded for crops."""

    def __init__(self, data: Data, augmented: bool) -> None:
        pixels = torch.from_numpy(data.arrays.train_inputs).permute(0, 3, 1, 2).float() / 255
        self.mean = pixels.mean((0, 2, 3), keepdim=True)
        self.std = pixels.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
        images = self.normal(data.arrays.train_inputs)
        self.size, self.augmented = images.shape[-1], augmented
        self.images = F.pad(images, (PADDING,) * 4) if augmented else images
        self.labels = torch.from_numpy(data.arrays.train_labels)

    def normal(self, images) -> Tensor:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def batch(self, index: Tensor) -> Tensor:
        if not self.augmented:
            return self.images[index]
        parts = []
        # One crop and one side for sixteen images at a time: cheaper than one a sample.
        for part in index.split(16):
            row, column = torch.randint(2 * PADDING + 1, (2,)).tolist()
            crop = self.images[part, :, row : row + self.size, column : column + self.size]
            parts.append(crop.flip(3) if torch.rand(()) < 0.5 else crop)
        return torch.cat(parts).contiguous(memory_format=torch.channels_last)


def train(workload: Workload, images: Images, seed: int) -> nn.Module:
    """One member, from its own seed."""
    torch.manual_seed(seed)
    network = describe(workload.family, workload.width, workload.task, options=workload.options)
    materialise(network, [torch.Generator().manual_seed(seed)])
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=RATE, momentum=0.9, weight_decay=WEIGHT_DECAY, fused=True
    )
    for _ in range(workload.epochs):
        for index in torch.randperm(len(images.labels)).split(workload.batch_size):
            loss = F.cross_entropy(network(images.batch(index)), images.labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return network


def prepare(workload: Workload) -> Callable[[], None]:
    images = Images(images_of(workload), workload.augmented)

    def work() -> None:
        for seed in range(workload.members):
            train(workload, images, seed)

    return work


if __name__ == "__main__":
    serve(prepare)
