"""Batch norm's statistics of networks whose weights were not reached by training: averages, samples, paths.

Running statistics belong to the weights they were gathered with. At any other point they are gathered anew,
or what is seen is their fault and not the weights' (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ..families._layers import set_dropout
from ..packing.batches import Scale, pack_images


@torch.no_grad()
def refit_statistics(network: nn.Module, images: Tensor, scale: Scale, members: int, batch_size: int) -> None:
    """Replaces batch norm's running statistics by their mean over batches of images, without augmentation.

    A network without batch norm stays as it is. Dropout is off from here on; the trainer sets it again.

    Args:
        network: A packed network of `members`, on the device of `scale`.
        images: Training images, uint8, (sample, row, column, channel), two at least.
        scale: Normalises the images.
        members: How many are packed; all see the same images.
        batch_size: Images of a batch; a last batch of one image is left out.
    """
    set_dropout(network, 0.0)
    device = scale.mean.device
    update_bn(
        (
            pack_images(scale(some.to(device)).expand(members, *some.shape))
            for some in images.split(batch_size)
            if len(some) > 1
        ),
        network,
    )
