"""Destabilisations and periods over a grid of learning rate and weight decay."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..analysis import Analysis
from ..analysis.periods import PeriodGrid, PeriodPoint
from ..dynamics.periods import LEAST
from ._base import Column, Table, Value


class PeriodLine(NamedTuple):
    """One pair of learning rate and weight decay of a grid."""

    grid: PeriodGrid
    at: PeriodPoint


def grid_columns(grid_of: Callable[[Any], PeriodGrid]) -> tuple[Column, ...]:
    """What tells grids apart."""
    return (
        Column("dataset", get=lambda one: grid_of(one).cell.dataset),
        Column("family", get=lambda one: grid_of(one).cell.family),
        Column("arm", "arm", get=lambda one: grid_of(one).arm or None, optional=True),
        Column("width", "width", "d", get=lambda one: grid_of(one).cell.width),
    )


def records(analysis: Analysis) -> list[PeriodLine]:
    return [PeriodLine(grid, at) for grid in analysis.grids for at in grid.by_product]


def kind(line: PeriodLine) -> str:
    """Of most runs, with their share where runs disagree."""
    runs, agreeing = len(line.at.courses), line.at.agreeing
    return line.at.kind + (f" ({agreeing} of {runs})" if agreeing < runs else "")


def period_of_product(line: PeriodLine) -> Value:
    return line.at.period.value * line.at.product if line.at.period else None


def decay(line: PeriodLine) -> Value:
    falls = [one.decay for one in line.at.courses if one.decay is not None]
    return float(np.mean(falls)) if falls else None


def geometric_mean(name: str) -> Callable[[PeriodLine], Value]:
    """Over the destabilisations of all runs."""

    def read(line: PeriodLine) -> Value:
        values = [getattr(event, name) for event in line.at.events]
        return float(np.exp(np.mean(np.log(values)))) if values else None

    return read


def mean(name: str) -> Callable[[PeriodLine], Value]:
    """Over runs."""
    return lambda line: float(np.mean([getattr(one, name) for one in line.at.courses]))


def test_error(line: PeriodLine) -> Value:
    return float(np.mean(line.at.test_errors)) if line.at.test_errors else None


table = Table(
    "periods",
    "Periods of training with batch norm and weight decay",
    (
        *grid_columns(lambda line: line.grid),
        Column("learning_rate", "learning rate", "g", get="at.learning_rate"),
        Column("weight_decay", "weight decay", "g", get="at.weight_decay"),
        Column("product", "product", ".3g", get="at.product"),
        Column("members", "runs", "d", get=lambda line: len(line.at.courses)),
        Column("kind", "kind", get=kind),
        Column(
            "destabilisations",
            "destabilisations a run",
            ".1f",
            get=lambda line: len(line.at.events) / len(line.at.courses),
        ),
        Column("periods", "periods", "d", get=lambda line: sum(len(one.periods) for one in line.at.courses)),
        Column("cut_off", "cut off", "d", get=lambda line: len(line.at.cut_off)),
        Column("period", "period, steps", ",.0f", interval=True, get="at.period"),
        Column("period_of_product", "period x product", ".2f", get=period_of_product),
        Column("decay", "norm's decay", ".2f", get=decay),
        Column("norm_before", "norm before", ".3g", get=geometric_mean("norm_before")),
        Column("norm_after", "norm after", ".3g", get=geometric_mean("norm_after")),
        Column("loss_before", "loss before", ".1e", get=geometric_mean("loss_before")),
        Column("loss_peak", "loss at peak", ".1e", get=geometric_mean("loss_peak")),
        Column("balance", "balance, median", ".2f", get=mean("balance")),
        Column("balance_mean", "balance, RMS", ".2f", get=mean("balance_mean")),
        Column("test_error", "test error", ".3f", get=test_error),
    ),
    rules=(
        "Destabilisation: the training loss has risen to 10 times its lowest since the last one ended; it"
        " ends when the loss has fallen to a tenth of its peak. Where noise alone would reach further, what"
        " it would reach takes the place of 10: 2 s sqrt(ln(n m)) decades, with noise of s decades in each of"
        " n records, and m records between one destabilisation and the next.",
        "Period: from one rise to the next, steps; the geometric mean over the periods of all runs, which are"
        " taken as alike. What the end of a run cuts off counts as at least as long: log-normal periods by"
        " maximum likelihood, 95% interval by profile likelihood with Student's limit. There is none where"
        " fewer than two periods are whole. The time before the first rise of a run is no period. Loss and"
        " norm before and after: geometric means.",
        "Norm's decay: how fast the norm falls between destabilisations, as a multiple of its fall without"
        " gradients, log(1 - r d) a step for learning rate r and weight decay d.",
        "Balance: effective learning rate times effective gradient norm over sqrt(2 r d); its median and"
        " its root mean square over the second half. Kind: 'equilibrium' where the median is within [1/2,"
        f" 2]; 'periodic' where it is below 1/2 with at least {LEAST} destabilisations; 'settling'"
        " otherwise. Where runs disagree, the most frequent kind stands with its share.",
        "Test error: mean over the second half, over runs.",
    ),
    records=records,
    order=50,
    summary=(
        "arm",
        "width",
        "learning_rate",
        "weight_decay",
        "kind",
        "period",
        "periods",
        "destabilisations",
        "decay",
    ),
)
