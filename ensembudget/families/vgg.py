"""VGG as in "On Power Laws in Deep Ensembles": stages of k, 2k, 4k, 8k, 8k channels, two hidden 8k.

VGG16 without batch norm has 3719 k^2 + (109 + 8C) k + C parameters for C classes and 3 channels, at
every image size: a pooling that would shrink below one pixel is left out, and what is larger than
one pixel at the end is averaged. At 32x32 that is the papers' network.

Source: Lobacheva et al. 2020, arXiv:2007.08483, and its code; Simonyan & Zisserman 2015,
arXiv:1409.1556.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ._base import Family, Option, Task
from ._layers import BatchNorm2d, Conv2d, Dropout, Linear, he_fan_out

# Convolutions in each stage.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Five stages of 3x3 convolutions with max pooling between, then three linear layers."""

    def __init__(self, width: int, task: Task, members: int, depth: int, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in, size = task.channels, task.image_size
        for multiple, count in zip((1, 2, 4, 8, 8), STAGES[depth], strict=True):
            for _ in range(count):
                layers.append(Conv2d(c_in, multiple * width, 3, members=members, rule=he_fan_out))
                c_in = multiple * width
                if batch_norm:
                    layers.append(BatchNorm2d(c_in, members=members))
                layers.append(nn.ReLU(inplace=True))
            if size > 1:
                layers.append(nn.MaxPool2d(2))
                size //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            Dropout(members=members),
            Linear(c_in, c_in, members=members),
            nn.ReLU(inplace=True),
            Dropout(members=members),
            Linear(c_in, c_in, members=members),
            nn.ReLU(inplace=True),
            Linear(c_in, task.classes, members=members),
        )

    def forward_features(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features

    def forward_head(self, x: Tensor) -> Tensor:
        pooled = x.flatten(1) if x.shape[2:] == (1, 1) else F.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.classifier(pooled)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def _fault(options: Mapping[str, Option]) -> str | None:
    depth = int(options["depth"])
    if depth in STAGES:
        return None
    near = min(STAGES, key=lambda known: abs(known - depth))
    return (
        f"depth {depth} of family 'vgg' is not one of {', '.join(map(str, STAGES))}. The nearest is {near}."
    )


family = Family(build=VGG, options={"depth": 16, "batch_norm": False}, fault=_fault)
