"""Batch norm's statistics of networks whose weights were not reached by training: averages, samples, paths.

Running statistics belong to the weights they were gathered with. At any other point they are gathered anew,
or what is seen is their fault and not the weights' (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ..families._layers import set_dropout
from ..packing.batches import for_all
from ..tasks._base import Feed


@torch.no_grad()
def refit_statistics(network: nn.Module, inputs: Tensor, feed: Feed, members: int, batch_size: int) -> None:
    """Replaces batch norm's running statistics by their mean over batches of samples, without augmentation.

    A network without batch norm stays as it is. Dropout is off from here on; the trainer sets it again.

    Args:
        network: A packed network of `members`, on the device of `feed`.
        inputs: Training samples, (sample, ...), two at least.
        feed: Makes samples the network's input.
        members: How many are packed; all see the same samples.
        batch_size: Samples of a batch; a last batch of one is left out.
    """
    set_dropout(network, 0.0)
    update_bn(
        (for_all(some, members, feed) for some in inputs.split(batch_size) if len(some) > 1),
        network,
    )
