"""The ResNet-18 of the papers on scale invariance: pre-activation, stages of k, 2k, 4k, 8k channels.

Nothing has a bias, and batch norm precedes the convolution of every shortcut too, so all convolutions are
scale-invariant: 27 k + 2724 k^2 parameters for 3 channels.

Source: Lobacheva et al. 2021, arXiv:2106.15739; Kodryan et al. 2022, arXiv:2209.03695; their code.
"""

from torch import nn

from ..records import Task
from ._base import Family
from ._invariance import DEGREES, batch_norm, head
from ._layers import Conv2d
from ._residual import InvariantBlock, PreActivation


def build(width: int, task: Task, members: int, invariance: str) -> nn.Module:
    """A convolution and four stages of two blocks."""
    stem = Conv2d(task.channels, width, 3, members=members, bias=False, invariance="stage 1")
    layers: list[nn.Module] = [stem]
    c_in = width
    for stage, multiple in enumerate((1, 2, 4, 8), start=1):
        for stride in (1 if stage == 1 else 2, 1):
            c_out = multiple * width
            layers.append(InvariantBlock(c_in, c_out, (stride, 1), members, invariance, f"stage {stage}"))
            c_in = c_out
    last = head(c_in, task.classes, members, invariance, bias=False)
    return PreActivation(layers, batch_norm(c_in, members, invariance), last)


family = Family(build=build, options={"invariance": "practical"}, choices={"invariance": DEGREES})
