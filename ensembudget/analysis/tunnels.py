"""How wide the tunnels around members are, and how the width follows from what trained them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..records import Interval, PlannedCell, Probed, Setting, Values
from ..scoring.comparison import Verdict, verdict
from ..scoring.pools import FoundProbe, Results
from .groups import without
from .means import difference_of, mean_of
from .probes import grouped

# What tunnels are measured against: fields of the recipe, and the width.
FIELDS = ("learning_rate", "effective_learning_rate", "weight_decay", "dropout", "batch_size")
POSITIVE = (0.0, float("inf"))


@dataclass(frozen=True)
class MeasuredTunnel:
    """The tunnels around the members of one pool, each the mean radius over random directions.

    Attributes:
        planned: The pool.
        options: Of the probe.
        found: One a member.
        radius: How far the training loss stays within the rise that the options say, in units of weights.
        relative: The same over the norm of the weights.
        norm: Of the weights.
        loss: Training loss at the members, nats.
        nll: Test NLL of single members, nats.
        short: About how many short directions a member has; None where it was not asked for.
    """

    planned: PlannedCell
    options: Values
    found: tuple[Probed, ...]
    radius: Interval | None
    relative: Interval | None
    norm: Interval | None
    loss: Interval | None
    nll: Interval | None
    short: Interval | None

    @property
    def setting(self) -> Setting:
        return self.planned.setting

    @property
    def radii(self) -> list[float]:
        """Of every member whose tunnel ends."""
        return [radius for one in self.found if (radius := one.facts["radius"]) is not None]

    @property
    def relative_radii(self) -> list[float]:
        return [
            radius / norm
            for one in self.found
            if (radius := one.facts["radius"]) is not None and (norm := one.facts["norm"])
        ]


@dataclass(frozen=True)
class TunnelTrend:
    """Tunnels at the lowest and at the highest value of one field, all else equal.

    Attributes:
        field: A field of the recipe, or `width`.
        values: All values that were measured, ascending.
        tunnels: At each of them.
        difference: Radius at the highest value minus that at the lowest, Welch's interval over members.
        relative: The same of radii over norms.
    """

    field: str
    values: tuple[float, ...]
    tunnels: tuple[MeasuredTunnel, ...]
    difference: Interval
    relative: Interval

    @property
    def setting(self) -> Setting:
        """What both ends share: no arm where they are of two."""
        low, high = self.low.setting, self.high.setting
        return low if low == high else low._replace(arm="")

    @property
    def low(self) -> MeasuredTunnel:
        """At the lowest value."""
        return self.tunnels[0]

    @property
    def high(self) -> MeasuredTunnel:
        """At the highest value."""
        return self.tunnels[-1]

    @property
    def direction(self) -> str:
        """Of the radius, as the function of this name says it."""
        return direction(self.difference)

    @property
    def relative_direction(self) -> str:
        return direction(self.relative)


def direction(difference: Interval) -> str:
    """Where a difference goes, by its interval.

    >>> direction(Interval(value=1.0, low=0.5, high=1.5)), direction(Interval(value=1.0))
    ('rises', 'not judged')
    """
    words = {Verdict.WORSE: "rises", Verdict.BETTER: "falls", Verdict.TIE: "undecided"}
    return words.get(verdict(difference), "not judged")


def tunnels(results: Results) -> tuple[MeasuredTunnel, ...]:
    """The tunnels of every pool that was probed, in the order of the study's probes."""
    return tuple(_tunnel(group) for group in grouped(results, "radius"))


def _tunnel(group: list[FoundProbe]) -> MeasuredTunnel:
    found = tuple(one.probed for one in group)
    radii = [one.facts["radius"] for one in found]
    norms = [one.facts["norm"] for one in found]
    relative = [r / n if r is not None and n else None for r, n in zip(radii, norms, strict=True)]
    return MeasuredTunnel(
        planned=group[0].planned,
        options=found[0].subject.options,
        found=found,
        radius=mean_of(radii, POSITIVE),
        relative=mean_of(relative, POSITIVE),
        norm=mean_of(norms, POSITIVE),
        loss=mean_of([one.points[0].train_loss for one in found], POSITIVE),
        nll=mean_of([one.points[0].test_nll for one in found], POSITIVE),
        short=mean_of([one.facts.get("short_end") for one in found], POSITIVE),
    )


def trends(found: tuple[MeasuredTunnel, ...]) -> Iterator[TunnelTrend]:
    """Each field that takes several values, at each combination of all others."""
    for field in ("width", *FIELDS):
        groups: dict[str, dict[float, MeasuredTunnel]] = {}
        for one in found:
            value = value_of(one.planned, field)
            if value is not None:
                groups.setdefault(_without(one, field), {})[value] = one
        for some in groups.values():
            values = tuple(sorted(some))
            low, high = some[values[0]], some[values[-1]]
            if len(values) > 1 and low.radii and high.radii:
                yield TunnelTrend(
                    field=field,
                    values=values,
                    tunnels=tuple(some[value] for value in values),
                    difference=difference_of(low.radii, high.radii),
                    relative=difference_of(low.relative_radii, high.relative_radii),
                )


def value_of(planned: PlannedCell, field: str) -> float | None:
    """The value of a field at a pool; None where it has none."""
    value = planned.cell.width if field == "width" else getattr(planned.cell.recipe, field)
    return None if value is None else float(value)


def _without(one: MeasuredTunnel, field: str) -> str:
    """What a tunnel is of and by what, but for one field."""
    cell, swept = one.planned.cell, {}
    if field == "width":
        cell = cell.model_copy(update={"width": 1})
    else:
        swept[field] = type(getattr(cell.recipe, field))()
    return f"{without(cell, swept)} {sorted(one.options.items())}"
