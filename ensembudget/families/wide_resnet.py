"""Wide residual networks as in "On Power Laws in Deep Ensembles": stages of k, 2k and 4k channels.

Depth is 6n+4 with n pre-activation blocks a stage. Unlike in the usual WRN-d-k, the first convolution
widens too, convolutions have biases, and a 1x1 convolution with bias is the shortcut only where shapes
change. WRN-28 has 1432 k^2 + (204 + 4C) k + C parameters for C classes and 3 channels.

With the option `invariance` all convolutions are scale-invariant: none has a bias, and batch norm precedes
the convolution of a shortcut too.

Source: Lobacheva et al. 2020, arXiv:2007.08483, and its code; Zagoruyko & Komodakis 2016,
arXiv:1605.07146. The code's momentum of 0.9 in the last batch norm, a mistake, is not copied.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from ..records import Task
from ._base import Family, OptionValue
from ._invariance import DEGREES, FILTER, batch_norm, head
from ._layers import BatchNorm2d, Conv2d, Dropout
from ._residual import InvariantBlock, PreActivation, activate

DEEPEST = 2002  # twice the deepest residual network that is known; describing more takes minutes


class Block(nn.Module):
    """Twice batch norm, ReLU and convolution, with a shortcut; the second convolution has the stride."""

    def __init__(self, c_in: int, c_out: int, stride: int, members: int) -> None:
        super().__init__()
        self.bn1 = BatchNorm2d(c_in, members=members)
        self.conv1 = Conv2d(c_in, c_out, 3, members=members, invariance=FILTER)
        self.dropout = Dropout(members=members)
        self.bn2 = BatchNorm2d(c_out, members=members)
        self.conv2 = Conv2d(c_out, c_out, 3, members=members, stride=stride)
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if same else Conv2d(c_in, c_out, 1, members=members, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        # Nested, so that no intermediate result outlives its use.
        inner = self.conv2(activate(self.bn2, self.dropout(self.conv1(activate(self.bn1, x)))))
        out: Tensor = inner + self.shortcut(x)
        return out


def build(width: int, task: Task, members: int, depth: int, invariance: str | None = None) -> nn.Module:
    """A convolution and three stages of blocks."""
    stream = "stage 1" if invariance else ""
    layers: list[nn.Module] = [
        Conv2d(task.channels, width, 3, members=members, bias=not invariance, invariance=stream)
    ]
    c_in = width
    for stage, c_out in enumerate((width, 2 * width, 4 * width), start=1):
        for position in range((depth - 4) // 6):
            stride = 2 if stage > 1 and position == 0 else 1
            layers.append(
                InvariantBlock(c_in, c_out, (1, stride), members, invariance, f"stage {stage}")
                if invariance
                else Block(c_in, c_out, stride, members)
            )
            c_in = c_out
    degree = invariance or "practical"
    return PreActivation(layers, batch_norm(c_in, members, degree), head(c_in, task.classes, members, degree))


def _fault(options: Mapping[str, OptionValue]) -> str | None:
    depth = int(options["depth"])
    if depth > DEEPEST:
        return f"depth {depth} of family 'wide_resnet' is above {DEEPEST:,}, the deepest that is planned."
    if depth >= 10 and depth % 6 == 4:
        return None
    below = max(10, depth - (depth - 4) % 6)
    near = str(below) if depth <= below else f"{below} or {below + 6}"
    return f"depth {depth} of family 'wide_resnet' is not 6n+4 with n >= 1. The nearest is {near}."


family = Family(
    build=build,
    options={"depth": 28, "invariance": None},
    choices={"invariance": DEGREES},
    fault=_fault,
)
