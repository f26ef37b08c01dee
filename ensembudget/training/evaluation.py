"""What a packed network says of images, and its loss on them."""

import torch
from torch import Tensor, nn

from ..packing.batches import Scale, pack_images, unpack_logits

EVALUATED_PIXELS = 2**16  # more at one time takes longer a sample on a CPU


@torch.no_grad()
def evaluate_logits(
    network: nn.Module, images: Tensor, scale: Scale, members: int, *, pixels: int = EVALUATED_PIXELS
) -> Tensor:
    """Logits of every member on the same images, in evaluation mode.

    Args:
        network: A packed network of `members`.
        images: uint8, (sample, row, column, channel), anywhere.
        scale: Normalises the images; on the device of the network.
        members: How many are packed.
        pixels: Evaluated at one time, of all members together.

    Returns:
        float32 on the CPU, (member, sample, class).
    """
    network.eval()
    device = scale.mean.device
    batch = max(1, pixels // (members * max(1, images.shape[1] * images.shape[2])))
    logits = [
        unpack_logits(network(pack_images(scale(some.to(device)).expand(members, *some.shape))), members)
        .float()
        .cpu()
        for some in images.split(batch)
        if len(some)
    ]
    return torch.cat(logits, 1) if logits else torch.empty(members, 0, 1)
