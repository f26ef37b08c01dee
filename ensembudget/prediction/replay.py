"""A source that trains nothing: members come from stored pools, in a given order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..records import Round
from ..scoring.covariance import ScoredPool, scored_pool
from ..scoring.pools import Pool
from .policy import Decision
from .proposals import TrainableWidth
from .search import Observed, round_of
from .space import Space


@dataclass
class Replay:
    """A search on trained members, to judge what it picks: each order of the members is another search.

    Attributes:
        space: What may be trained, and how many members of it.
        pools: Trained members by width, at least of every width of the space.
        orders: By width, the order in which members are taken: their places in `Pool.trained`.
    """

    space: Space
    pools: Mapping[int, Pool]
    orders: Mapping[int, Sequence[int]]
    _rounds: list[Round] = field(default_factory=list, init=False)
    _scored: dict[tuple[int, int], ScoredPool] = field(default_factory=dict, init=False)

    def observe(self) -> Observed:
        taken = self._taken()
        pools = [self._pool(width, count) for width, count in taken.items() if count]
        widths = [
            TrainableWidth(
                width=width,
                parameters=self.space.parameters[width],
                flops=cell.training_flops,
                trained=taken[width],
                most=min(cell.members, len(self.orders[width])),
            )
            for width, cell in self.space.cells.items()
        ]
        return Observed(pools, widths, tuple(self._rounds))

    def train(self, decision: Decision) -> list[str]:
        assert decision.width is not None
        first, pool = self._taken()[decision.width], self.pools[decision.width]
        places = self.orders[decision.width][first : first + decision.number]
        runs = [pool.trained[place].member.run for place in places]
        self._rounds.append(round_of(decision, runs, self.space.cells[decision.width].training_flops))
        return []

    def _taken(self) -> dict[int, int]:
        """Members of each width so far."""
        return {
            width: sum(len(one.seeds) for one in self._rounds if one.width == width)
            for width in self.space.cells
        }

    def _pool(self, width: int, count: int) -> ScoredPool:
        if (width, count) not in self._scored:
            self._scored[width, count] = scored_pool(
                taken_from(self.pools[width], self.orders[width][:count])
            )
        return self._scored[width, count]


def taken_from(pool: Pool, places: Sequence[int]) -> Pool:
    """A pool of some of the members that did not diverge, in this order."""
    trained = pool.trained
    return replace(pool, stored=tuple(trained[place] for place in places), scores=None)
