"""The ConvNet of the papers on scale invariance: four convolutions of k, 2k, 4k, 8k channels.

Batch norm and ReLU follow each, max pooling the last three. It has 27 k + 378 k^2 scale-invariant
parameters for 3 channels at every image size: a pooling that would leave less than one pixel is omitted,
and more than one pixel at the end is reduced to the maximum. At 32x32 it is the papers' network.

Source: Lobacheva et al. 2021, arXiv:2106.15739; Kodryan et al. 2022, arXiv:2209.03695; their code.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ..records import Task
from ._base import Family
from ._invariance import DEGREES, FILTER, batch_norm, head
from ._layers import Conv2d


class ConvNet(nn.Module):
    """Convolutions with batch norm and pooling, then one linear layer."""

    def __init__(self, width: int, task: Task, members: int, invariance: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in, size = task.channels, task.image_size
        for stage, multiple in enumerate((1, 2, 4, 8)):
            c_out = multiple * width
            layers += [
                Conv2d(c_in, c_out, 3, members=members, bias=False, invariance=FILTER),
                batch_norm(c_out, members, invariance),
                nn.ReLU(inplace=True),
            ]
            c_in = c_out
            if stage > 0 and size > 1:
                layers.append(nn.MaxPool2d(2))
                size //= 2
        self.features = nn.Sequential(*layers)
        self.head = head(c_in, task.classes, members, invariance)

    def forward_features(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features

    def forward_head(self, x: Tensor) -> Tensor:
        pooled = x if x.shape[2:] == (1, 1) else F.adaptive_max_pool2d(x, 1)
        logits: Tensor = self.head(pooled.flatten(1))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


family = Family(build=ConvNet, options={"invariance": "practical"}, choices={"invariance": DEGREES})
