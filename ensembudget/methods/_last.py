"""The network as the last epoch leaves it."""

from collections.abc import Iterator

from torch import Tensor, nn

from ._base import Finished


class Last:
    """Keeps nothing: the one predictor is the network itself."""

    def keep(self, epoch: int, network: nn.Module) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        pass

    def predictors(self, finished: Finished) -> Iterator[Tensor | None]:
        yield None
