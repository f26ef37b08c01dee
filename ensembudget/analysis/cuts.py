"""From which dimension on training inside a random subspace succeeds."""

from dataclasses import dataclass

from ..landscape.wedge_cuts import CutResult, cut_table
from ..records import Interval, Probed, Setting, Values
from ..scoring.pools import FoundProbe, Results
from .means import mean_of
from .probes import grouped

# A cut succeeds where its training accuracy is at least this share of the whole network's: the measure
# of Li et al. 2018, arXiv:1804.08838, for the intrinsic dimension.
SUCCESS = 0.9


@dataclass(frozen=True)
class TrainedCut:
    """Training in random subspaces of one dimension.

    Attributes:
        setting: Of the pool whose networks are cut.
        width: Of the pool.
        options: Of the probe.
        found: One a subspace, each with initial weights of its own.
        loss: Training loss that was reached, nats.
        error: Training error that was reached.
        whole: Training error of the whole networks.
        nll: Test NLL that was reached, nats.
        parameters: Of one network.
        successes: Subspaces in which the training accuracy is at least 90% of the whole network's.
    """

    setting: Setting
    width: int
    options: Values
    found: tuple[Probed, ...]
    loss: Interval | None
    error: Interval | None
    whole: Interval | None
    nll: Interval | None
    parameters: int
    successes: int

    @property
    def dimension(self) -> int:
        return int(self.options["dimension"])


def cuts(results: Results) -> tuple[TrainedCut, ...]:
    """Every dimension at every pool, ascending."""
    found = [_cut(group) for group in grouped(results, "cut")]
    return tuple(sorted(found, key=lambda one: (one.setting.label, one.width, one.dimension)))


def wedge_cuts() -> list[CutResult]:
    """What the wedge model says of random cuts, beside which those through networks are read."""
    return cut_table(30, (8, 15, 22), repeats=20, seed=0, reach=4)


def _cut(group: list[FoundProbe]) -> TrainedCut:
    found = tuple(one.probed for one in group)
    ends, members = zip(*(one.points for one in found), strict=True)
    return TrainedCut(
        setting=group[0].planned.setting,
        width=group[0].planned.cell.width,
        options=found[0].subject.options,
        found=found,
        loss=mean_of([end.train_loss for end in ends], (0, float("inf"))),
        error=mean_of([end.train_error for end in ends], (0, 1)),
        whole=mean_of([member.train_error for member in members], (0, 1)),
        nll=mean_of([end.test_nll for end in ends], (0, float("inf"))),
        parameters=round(members[0].at),
        successes=sum(
            1 - end.train_error >= SUCCESS * (1 - member.train_error)
            for end, member in zip(ends, members, strict=True)
        ),
    )
