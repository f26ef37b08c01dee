"""The network as the last epoch leaves it."""

from collections.abc import Iterator

from torch import nn

from ._base import Finished


class Last:
    """Keeps nothing: the one predictor is the network itself."""

    def keep(self, epoch: int, network: nn.Module) -> None:
        pass

    def predictors(self, finished: Finished) -> Iterator[None]:
        yield None
