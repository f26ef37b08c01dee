"""A strong ordinary loop: the dataset in memory, channels-last, all threads, fused SGD, members in turn.

Batches are cut, cropped and flipped from one tensor; nothing is done a sample, nothing is read from disk.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ensembudget.families._base import describe, materialise

from ._workload import Workload, images_of, serve


def prepare(workload: Workload) -> Callable[[], None]:
    arrays = images_of(workload).arrays
    pixels = torch.from_numpy(arrays.train_images).permute(0, 3, 1, 2).float() / 255
    mean, std = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
    normal = ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(arrays.train_labels)
    pad = 4 if workload.augmented else 0
    padded = F.pad(normal, (pad,) * 4) if pad else normal

    def batch(index: Tensor) -> Tensor:
        if not pad:
            return normal[index]
        size = workload.size
        # One crop and one side a batch of 16: cheaper than one a sample, and as random over epochs.
        parts = []
        for part in index.split(16):
            row, column = torch.randint(2 * pad + 1, (2,)).tolist()
            crop = padded[part, :, row : row + size, column : column + size]
            parts.append(crop.flip(3) if torch.rand(()) < 0.5 else crop)
        return torch.cat(parts).contiguous(memory_format=torch.channels_last)

    def train(seed: int) -> None:
        network = describe(workload.family, workload.width, workload.task, options=workload.options)
        materialise(network, [torch.Generator().manual_seed(seed)])
        network = network.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=3e-4, fused=True)
        for _ in range(workload.epochs):
            for index in torch.randperm(len(labels)).split(workload.batch_size):
                loss = F.cross_entropy(network(batch(index)), labels[index])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    def work() -> None:
        for seed in range(workload.members):
            train(seed)

    return work


if __name__ == "__main__":
    serve(prepare)
