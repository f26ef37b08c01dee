"""A member is the networks at the ends of the last epochs, kept as they are"""

from collections.abc import Iterator

from torch import Tensor, nn

from ensembudget.methods._base import Finished, Method, Option, Unit
from ensembudget.records import MethodOptions, Recipe


class LastEpochs:
    def __init__(self, recipe: Recipe, options: MethodOptions) -> None:
        self.first = recipe.epochs - int(options["predictors"])
        self.kept: list[dict[str, Tensor]] = []

    def keep(self, epoch: int, network: nn.Module) -> None:
        if epoch >= self.first:
            self.kept.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    def state(self) -> dict[str, Tensor]:
        return {f"{i}/{name}": one for i, state in enumerate(self.kept) for name, one in state.items()}

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        self.kept = [{} for _ in {place.partition("/")[0] for place in state}]
        for place, one in state.items():
            number, _, name = place.partition("/")
            self.kept[int(number)][name] = one

    def predictors(self, finished: Finished) -> Iterator[None]:
        for state in self.kept:
            finished.network.load_state_dict(state)
            yield None


def fault(recipe: Recipe, options: MethodOptions) -> str | None:
    if int(options["predictors"]) <= recipe.epochs:
        return None
    return f"there are {recipe.epochs} epochs. Set method_options.predictors to at most that."


method = Method(
    collect=LastEpochs,
    unit=lambda options: Unit(int(options["predictors"]), int(options["predictors"])),
    options={"predictors": Option(2, 1, 100)},
    fault=fault,
)
