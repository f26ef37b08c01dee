"""The regime of training on the sphere at every effective learning rate."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..analysis import Analysis
from ..analysis.regimes import MEANS, RateResult, Sweep
from ..dynamics.regimes import VERDICTS
from ..records import Interval
from ._base import Column, Table


class RateLine(NamedTuple):
    """One rate of a sweep."""

    sweep: Sweep
    at: RateResult


def sweep_columns(sweep_of: Callable[[Any], Sweep]) -> tuple[Column, ...]:
    """What tells sweeps apart."""
    return (
        Column("dataset", get=lambda one: sweep_of(one).cell.dataset),
        Column("family", get=lambda one: sweep_of(one).cell.family),
        Column("arm", "arm", get=lambda one: sweep_of(one).arm or None, optional=True),
        Column("mode", get=lambda one: sweep_of(one).cell.mode),
        Column("width", "width", "d", get=lambda one: sweep_of(one).cell.width),
    )


def records(analysis: Analysis) -> list[RateLine]:
    return [RateLine(sweep, at) for sweep in analysis.sweeps for at in sweep.rates]


def regime(line: RateLine) -> str:
    """The most frequent verdict, with its share where runs disagree."""
    count, runs = line.at.counts[line.at.regime], len(line.at.runs)
    return line.at.regime + (f" ({count} of {runs})" if count < runs else "")


def counted(name: str) -> Callable[[RateLine], int]:
    return lambda line: line.at.counts[name]


def mean(name: str) -> Callable[[RateLine], Interval | None]:
    return lambda line: line.at.mean(name)


HEADINGS = {
    "effective_gradient_norm": ("effective gradient", ".3g"),
    "test_error": ("test error", ".3f"),
    "cosine_to_last": ("cosine to last", ".3f"),
}

table = Table(
    "regimes",
    "Regimes of training on the sphere",
    (
        *sweep_columns(lambda line: line.sweep),
        Column("effective_learning_rate", "effective learning rate", "g", get="at.rate"),
        Column("members", "runs", "d", get=lambda line: len(line.at.runs)),
        Column("regime", "regime", get=regime),
        *(Column(name.replace(" ", "_"), get=counted(name)) for name in VERDICTS),
        Column("train_loss", "train loss", ".3g", interval=True, get="at.train_loss"),
        Column("slope", "slope", "+.2f", interval=True, get="at.slope"),
        *(Column(name, *HEADINGS[name], interval=True, get=mean(name)) for name in MEANS),
    ),
    rules=(
        "Verdicts are on the training loss. Divergence: its mean over the second half is not below ln C."
        " Convergence: its median over that half is below 0.0069 nats (fewer than one training sample in a"
        " hundred is misclassified), or it falls at least as fast as t^(-1/2), and surely faster than"
        " t^(-1/5). Chaotic equilibrium: it surely does not fall as fast as t^(-1/5). Still falling: it"
        " surely falls, but slowly, or not surely fast. Undecided: noise hides whether it falls. The last two"
        " are no regimes: such a run may converge or be in equilibrium, and only longer training tells. Where"
        " runs disagree, the most frequent verdict stands with its share.",
        "Slope: of log training loss against log epoch over the last three quarters, by least squares; the"
        " mean over runs. Brackets hold the 90% interval of every run (Student's t; residuals are taken as"
        " AR(1) noise). 'Surely' means by the end of a run's interval: such a verdict is wrong in about one"
        " run in twenty.",
        "Other values are means over runs of means over the second half; brackets hold the smallest and the"
        " largest run. Effective gradient: mean minibatch gradient norm times the norm of the weights, along"
        " the epoch. Cosine to last: between the weights and those of the record before.",
    ),
    records=records,
    order=40,
    summary=("arm", "width", "effective_learning_rate", "regime", "train_loss", "slope", "members"),
)
