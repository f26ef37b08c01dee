"""Parts that pre-activation residual networks share, and their scale-invariant block."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ._invariance import FILTER, batch_norm
from ._layers import Conv2d, Dropout


def activate(norm: nn.Module, x: Tensor) -> Tensor:
    return F.relu(norm(x), inplace=True)


class PreActivation(nn.Module):
    """Blocks in sequence, batch norm and ReLU, global average pooling, a linear head."""

    def __init__(self, layers: Sequence[nn.Module], bn: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.layers, self.bn, self.head = nn.Sequential(*layers), bn, head

    def forward_features(self, x: Tensor) -> Tensor:
        return activate(self.bn, self.layers(x))

    def forward_head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class InvariantBlock(nn.Module):
    """Twice batch norm, ReLU and convolution, with a shortcut around them and no biases.

    Batch norm follows the first convolution directly. The second convolution and the shortcut's add to
    the residual stream, which batch norm follows only later, so the tensors of one `stream` are invariant
    together. Where shapes change, the shortcut begins with batch norm and starts a new stream.
    """

    def __init__(
        self, c_in: int, c_out: int, strides: tuple[int, int], members: int, degree: str, stream: str
    ) -> None:
        super().__init__()
        first, second = strides
        self.bn1 = batch_norm(c_in, members, degree)
        self.conv1 = Conv2d(c_in, c_out, 3, members=members, stride=first, bias=False, invariance=FILTER)
        self.dropout = Dropout(members=members)
        self.bn2 = batch_norm(c_out, members, degree)
        self.conv2 = Conv2d(c_out, c_out, 3, members=members, stride=second, bias=False, invariance=stream)
        self.shortcut: nn.Module | None = None
        if c_in != c_out or strides != (1, 1):
            stride = first * second
            self.shortcut = nn.Sequential(
                batch_norm(c_in, members, degree),
                Conv2d(c_in, c_out, 1, members=members, stride=stride, bias=False, invariance=stream),
            )

    def forward(self, x: Tensor) -> Tensor:
        active = activate(self.bn1, x)
        aside = x if self.shortcut is None else self.shortcut(active)
        inner = self.conv2(activate(self.bn2, self.dropout(self.conv1(active))))
        out: Tensor = inner + aside
        return out
