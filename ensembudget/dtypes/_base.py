"""What a dtype is: how the numbers of a trained network are stored, and what is read back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

State = Mapping[str, Tensor]  # a network's tensors by name


@dataclass(frozen=True)
class Dtype:
    """One way to store a network.

    `decode(encode(state))` has the names and shapes of `state` and its tensors in float32; on the meta
    device, `encode` tells sizes without memory.

    Attributes:
        encode: The tensors as they are stored; some may be there under further names, such as scales.
        decode: What a network computes with, from those.
        rounds_inputs: Whether the inputs of every layer with a weight are rounded to 8 bits as well, over the
            ranges that they have on training images.
    """

    encode: Callable[[State], dict[str, Tensor]]
    decode: Callable[[State], dict[str, Tensor]]
    rounds_inputs: bool = False
