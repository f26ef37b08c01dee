"""VGG as in "On Power Laws in Deep Ensembles": stages of k, 2k, 4k, 8k, 8k channels, two hidden 8k.

VGG16 without batch norm has 3719 k^2 + (109 + 8C) k + C parameters for C classes and 3 channels at every
image size: a pooling that would leave less than one pixel is omitted, and more than one pixel at the end
is averaged. At 32x32 it is the papers' network.

With batch norm the convolutions are scale-invariant. With the option `invariance` batch norm also follows
the hidden linear layers, which makes them scale-invariant, and only the last layer has a bias.

Source: Lobacheva et al. 2020, arXiv:2007.08483, and its code; Simonyan & Zisserman 2015,
arXiv:1409.1556.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ..records import Task
from ._base import Family, OptionValue
from ._invariance import DEGREES, FILTER, head
from ._layers import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Linear, he_fan_out

# Depth to the number of convolutions in each stage.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Five stages of 3x3 convolutions with max pooling between, then three linear layers."""

    def __init__(
        self,
        width: int,
        task: Task,
        members: int,
        depth: int,
        batch_norm: bool,
        invariance: str | None = None,
    ) -> None:
        super().__init__()
        affine, biased, followed = invariance != "full", not invariance, FILTER if batch_norm else ""
        layers: list[nn.Module] = []
        c_in, size = task.channels, task.image_size
        for multiple, count in zip((1, 2, 4, 8, 8), STAGES[depth], strict=True):
            for _ in range(count):
                c_out = multiple * width
                layers.append(
                    Conv2d(c_in, c_out, 3, members=members, bias=biased, invariance=followed, rule=he_fan_out)
                )
                c_in = c_out
                if batch_norm:
                    layers.append(BatchNorm2d(c_in, members=members, affine=affine))
                layers.append(nn.ReLU(inplace=True))
            if size > 1:
                layers.append(nn.MaxPool2d(2))
                size //= 2
        self.features = nn.Sequential(*layers)
        hidden: list[nn.Module] = []
        for _ in range(2):
            hidden.append(Dropout(members=members))
            hidden.append(
                Linear(c_in, c_in, members=members, bias=biased, invariance=FILTER if invariance else "")
            )
            if invariance:
                hidden.append(BatchNorm1d(c_in, members=members, affine=affine))
            hidden.append(nn.ReLU(inplace=True))
        last = head(c_in, task.classes, members, invariance or "practical")
        self.classifier = nn.Sequential(*hidden, last)

    def forward_features(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features

    def forward_head(self, x: Tensor) -> Tensor:
        pooled = x.flatten(1) if x.shape[2:] == (1, 1) else F.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.classifier(pooled)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def _fault(options: Mapping[str, OptionValue]) -> str | None:
    depth = int(options["depth"])
    if depth in STAGES:
        if "invariance" in options and not options["batch_norm"]:
            return (
                f"invariance {options['invariance']!r} of family 'vgg' needs batch norm, and it is left out."
                " Set batch_norm = true."
            )
        return None
    near = min(STAGES, key=lambda known: abs(known - depth))
    return (
        f"depth {depth} of family 'vgg' is not one of {', '.join(map(str, STAGES))}. The nearest is {near}."
    )


family = Family(
    build=VGG,
    options={"depth": 16, "batch_norm": False, "invariance": None},
    choices={"invariance": DEGREES},
    fault=_fault,
)
