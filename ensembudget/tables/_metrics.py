"""Columns of metrics: all of the catalogue, in one order, wherever a table shows how good ensembles are."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..catalog import METRICS
from ..metrics._base import Metric
from ..records import Interval
from ..scoring.standard_errors import WITH_ERRORS
from ._base import Column, Value

Reader = Callable[[Any, str], Value | Interval]

CALIBRATED = 25  # metrics of a lower order stand before the calibrated NLL, all others after it


class MetricColumns(NamedTuple):
    """Those that stand before the calibrated NLL, and those after it."""

    before: tuple[Column, ...]
    after: tuple[Column, ...]


def metrics() -> dict[str, Metric]:
    """Every metric by name, in the order of its columns."""
    return dict(sorted(METRICS.usable().items(), key=lambda part: (part[1].order, part[0])))


def metric_columns(
    read: Reader,
    *,
    chosen: Callable[[Metric], bool] = lambda metric: True,
    heading: Callable[[Metric], str] = lambda metric: metric.heading,
    intervals: bool = False,
) -> MetricColumns:
    """A column for every metric; those of some tasks alone are left out where no record has a value.

    Args:
        read: A record's value, or interval, under a metric's name.
        chosen: Which metrics the table has.
        heading: What people read.
        intervals: Whether metrics whose spread is known have columns for the ends of their intervals.
    """
    before: list[Column] = []
    after: list[Column] = []
    for name, metric in metrics().items():
        if chosen(metric):
            ends = intervals and name in WITH_ERRORS
            column = Column(
                name,
                heading(metric),
                metric.form,
                interval=ends,
                get=partial(_read, read, name),
                optional=metric.tasks is not None,
            )
            (before if metric.order < CALIBRATED else after).append(column)
    return MetricColumns(tuple(before), tuple(after))


def metric_rules() -> str:
    """What the metrics mean, in one line."""
    return " ".join(metric.rule for metric in metrics().values() if metric.rule)


def _read(read: Reader, name: str, record: Any) -> Value | Interval:
    return read(record, name)
