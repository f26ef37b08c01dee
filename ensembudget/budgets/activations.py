"""The largest number of values in memory at one time during one sample's forward pass, the input included.

Measured by running the network and following what it allocates and frees. An ensemble's members are added up,
and so are a unit's predictors, as if all ran at once: at equal parameters the sum grows like the square root
of n. Attention is counted as torch's fused kernels run it, which never hold its scores.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..catalog import TASKS
from ..records import AnyTask
from ._base import Budget

FLOAT32_BYTES = 4


class PeakBytes(TorchDispatchMode):
    """Follows the storages that operations return; `peak` is the most bytes in memory at one time."""

    def __init__(self, *alive: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[StorageWeakRef, int] = {}
        self.peak = 0
        self._count(alive)

    def _count(self, outputs: Any) -> None:
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._alive[StorageWeakRef(storage)] = storage.nbytes()
        self._alive = {ref: size for ref, size in self._alive.items() if not ref.expired()}
        self.peak = max(self.peak, sum(self._alive.values()))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        # Views of parameters are not activations: their memory was there before.
        owned = {
            StorageWeakRef(t.untyped_storage()) for t in tree_leaves(args) if isinstance(t, nn.Parameter)
        }
        fresh = [
            t
            for t in tree_leaves(outputs)
            if isinstance(t, Tensor) and StorageWeakRef(t.untyped_storage()) not in owned
        ]
        self._count(fresh)
        return outputs


class FusedAttention(TorchFunctionMode):
    """Attention gives its outputs alone; on the meta device torch would take it apart."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, _, value = args
        return query.new_empty((*query.shape[:-1], value.shape[-1]))


def measure(network: nn.Module, task: AnyTask, dtype: str) -> int:
    network.eval()
    sample = TASKS[task.kind].example(task)
    with torch.no_grad(), FusedAttention(), PeakBytes(sample) as follower:
        network(sample)
    return int(follower.peak // FLOAT32_BYTES)


budget = Budget(measure, "activations")
