"""A member is one network whose weights are the average of those at the ends of the last epochs.

From the share `start` of the epochs on, the learning rate is `rate` times the recipe's, or falls linearly
from `rate` to `low` over and over, in cycles of `cycle` epochs; weights are averaged at the end of each
cycle. Batch norm's statistics are gathered anew for the average.

Source: stochastic weight averaging, Izmailov et al. 2018, arXiv:1803.05407; the average is torch's own.
"""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..records import MethodOptions, Recipe
from . import _tail
from ._base import Finished, Method, Option


class Average:
    """Averages the weights at the ends of the cycles."""

    def __init__(self, recipe: Recipe, options: MethodOptions) -> None:
        self._ends = _tail.ends(recipe, options)
        self._average: AveragedModel | None = None

    def keep(self, epoch: int, network: nn.Module) -> None:
        if epoch in self._ends:
            self._average = self._average or AveragedModel(network)
            self._average.update_parameters(network)

    def state(self) -> dict[str, Tensor]:
        return self._average.state_dict() if self._average else {}

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        if state:
            self._average = AveragedModel(network)
            self._average.load_state_dict(state)

    def predictors(self, finished: Finished) -> Iterator[None]:
        assert self._average is not None
        finished.network.load_state_dict(self._average.module.state_dict())
        finished.refit()
        yield None


method = Method(
    collect=Average,
    options={**_tail.TAIL, "cycle": Option(1, 1, 1_000_000), "low": Option(0.05, 0.0, 1e3)},
    rate=_tail.rate,
    fault=_tail.fault,
)
