"""One row a change of sign: up to how many images, or from which budget on, a split wins."""

from ..analysis import Analysis
from ..analysis.crossings import Crossing
from ..analysis.laws import Along
from ..scoring.crossings import Side
from ._base import Column, Table
from ._setting import NAMES, setting_columns

WINNERS = {Side.BELOW: "split", Side.ABOVE: "wide", Side.OPEN: "not decided"}
SUBJECTS = {Side.BELOW: "a split wins", Side.ABOVE: "the wide network wins"}


def rounded(value: float) -> str:
    """A place to two digits.

    >>> rounded(1873.0), rounded(122_400.0)
    ('1,900', '120,000')
    """
    return f"{float(f'{value:.2g}'):,.0f}"


def written(one: Crossing) -> str | None:
    """The place with its interval; an end beyond the measured range is said to be so."""
    change = one.change
    if change.place is None and change.low is None and change.high is None:
        return None
    return f"{'' if change.place is None else rounded(change.place)} {_interval(one)}".strip()


def notes(analysis: Analysis) -> list[str]:
    """One sentence a change along data size; along budget the table says it."""
    return [sentence(one) for one in analysis.crossings if one.along == Along.TRAIN_SIZE]


def sentence(one: Crossing) -> str:
    """Who wins where, and where nothing is decided."""
    before, after = one.change.before, one.change.after
    if before == after:
        who = "nothing is decided" if before == Side.OPEN else SUBJECTS[before]
        said = f"{who} from {one.measured[0]:,} to {one.measured[-1]:,} {_unit(one)}"
    elif after == Side.OPEN:
        least = "at least " if one.change.place is None else ""
        said = f"{SUBJECTS[before]} up to {least}{_place(one)}; who wins beyond is not decided"
    elif before == Side.OPEN:
        latest = ", at the latest" if one.change.place is None else ""
        said = f"{SUBJECTS[after]} from {_place(one)} on{latest}; who wins below is not decided"
    else:
        said = f"{SUBJECTS[before]} up to {_place(one)} and {SUBJECTS[after]} beyond"
    kind, label = one.line[0].budget.budget_kind, one.setting.label
    at = f"At {one.budget:,} {kind}" if one.budget is not None else "Along budget"
    return f"{f'{at}, {label},' if label else at} {said}."


def _place(one: Crossing) -> str:
    """The place with its interval; the end of the interval that is known, where there is no place."""
    if one.change.place is not None:
        return f"about {rounded(one.change.place)} {_unit(one)} {_interval(one)}"
    end = one.change.low if one.change.high is None else one.change.high
    return f"{rounded(end or one.measured[0])} {_unit(one)}"


def _interval(one: Crossing) -> str:
    change, (least, *_, most) = one.change, one.measured
    low = f"below {least:,}" if change.low is None else rounded(change.low)
    high = f"above {most:,}" if change.high is None else rounded(change.high)
    return f"[{low}, {high}]"


def _unit(one: Crossing) -> str:
    return "images" if one.along == Along.TRAIN_SIZE else one.line[0].budget.budget_kind


table = Table(
    "crossings",
    "Where the advantage of a split changes sign",
    (
        *(column for column in setting_columns()),
        Column("along", "along"),
        Column("budget_kind", get=lambda one: one.line[0].budget.budget_kind),
        Column("budget", "budget", ",d"),
        Column("from", "from", ",d", get=lambda one: one.measured[0]),
        Column("to", "to", ",d", get=lambda one: one.measured[-1]),
        Column("points", "points", "d", get=lambda one: len(one.line)),
        Column("below", "wins below", get=lambda one: WINNERS[one.change.before]),
        Column("above", "wins above", get=lambda one: WINNERS[one.change.after]),
        Column("crossing", get="change.place"),
        Column("crossing_low", get="change.low"),
        Column("crossing_high", get="change.high"),
        Column("crossing_written", "sign changes at", get=written),
        Column("never", "draws without a change", ".2f"),
    ),
    rules=(
        "The advantage (CNLL of the best ensemble minus that of the wide network) is joined by straight"
        " lines in the logarithm of data size, or of budget; a split wins where it is below zero. Nothing is"
        " said beyond the measured range: an interval that does not end within it is open, and says so.",
        "Who wins below and above is decided at the measured points, all of one row at once: with"
        " probability 95% no side is wrong. The interval of the place holds the points at which zero lies in"
        " the advantage's own 95% interval (Fieller); where one side is not decided, it is that of a change"
        " to or from it, if there is one. Both are over members and test samples, drawn jointly with the"
        " choice of n, at the same training images.",
        "Draws without a change: share of the draws of all these errors in which no sign changes in the"
        " measured range.",
    ),
    records=lambda analysis: analysis.crossings,
    notes=notes,
    order=6,
    summary=(*NAMES, "along", "budget", "below", "above", "crossing_written", "from", "to"),
)
