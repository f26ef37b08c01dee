"""Every claim beside what its studies measured."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ensembudget.records import Interval
from ensembudget.tables._base import Column, Row, Table

from .measured import Measured
from .records import Claim, Claims, Source, Verdict
from .reports import Tables
from .selecting import NoRowError, UnreadableError, each, select
from .statistics import STATISTICS

SETTING = ("arm", "tuned", "train_size", "budget")


class Line(NamedTuple):
    """One claim in one setting."""

    claim: Claim
    study: str
    setting: str
    seen: bool
    found: Measured | None
    reason: str

    @property
    def verdict(self) -> Verdict:
        """By the claim's rule; undecided without an interval."""
        if self.found is None or self.found.ends is None:
            return Verdict.UNDECIDED
        return self.claim.supported.verdict(*self.found.ends)

    @property
    def measured(self) -> Interval | None:
        """The value and its ends."""
        if self.found is None:
            return None
        low, high = self.found.ends or (None, None)
        return Interval(value=self.found.value, low=low, high=high)

    @property
    def interval(self) -> str | None:
        """What the interval is, where there is one."""
        if self.found is None or self.found.ends is None:
            return None
        return self.claim.interval or STATISTICS[self.claim.statistic].interval


def ledger(claims: Claims, tables: Tables) -> list[Line]:
    """Every claim in every setting that its studies have, in the order of the file."""
    return [
        line
        for claim in claims.claims
        for study in claim.studies
        for line in _lines(claim, study, claims.studies[study], tables)
    ]


def _lines(claim: Claim, study: str, source: Source, tables: Tables) -> Iterator[Line]:
    setting = source.setting or tables.setting(study)
    if setting and source.note:
        setting += f" ({source.note})"
    try:
        parts = _parts(claim, tables.rows(study, claim.table))
    except UnreadableError as error:
        yield Line(claim, study, setting, source.seen, None, str(error))
        return
    for rows in parts:
        where = "; ".join([setting, *_shared(claim, rows)])
        yield Line(claim, study, where, source.seen, *_measured(claim, rows))


def _parts(claim: Claim, rows: Sequence[Row]) -> list[list[Row]]:
    """The rows that a claim is about, those of each setting that it is asked in together.

    Raises:
        UnreadableError: There is none.
    """
    parts: list[list[Row]] = []
    none = NoRowError("the table is empty")
    for some in each(rows, claim.each):
        try:
            parts.append(select(some, claim.where))
        except NoRowError as error:
            none = error
    if not parts:
        raise none
    return parts


def _measured(claim: Claim, rows: Sequence[Row]) -> tuple[Measured | None, str]:
    try:
        found = STATISTICS[claim.statistic].read(rows, claim)
    except UnreadableError as error:
        return None, str(error)
    if claim.no_interval:
        return Measured(found.value), claim.no_interval
    return found, found.reason


def _shared(claim: Claim, rows: Sequence[Row]) -> list[str]:
    """What the rows of one setting have in common, of what they were asked for by."""
    asked = dict.fromkeys([*(name for name in SETTING if name in claim.where), *claim.each])
    values = {name: {row.get(name) for row in rows} for name in asked}
    return [_words(name, *found) for name, found in values.items() if len(found) == 1 and None not in found]


def _words(column: str, value: object) -> str:
    return f"{column.replace('_', ' ')} {value:,}" if isinstance(value, int | float) else f"{column} {value}"


def notes(lines: Sequence[Line]) -> list[str]:
    """How many rows came to which verdict, and what that does and does not say."""
    counts = Counter(line.verdict for line in lines)
    judged = sum(line.interval is not None for line in lines)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return [
        f"{len(lines)} rows of {len({line.claim.id for line in lines})} claims: {said}; {judged} have an"
        " interval.",
    ]


TABLE = Table(
    "claims",
    "What papers claim, and what was measured here",
    (
        Column("id", get="claim.id"),
        Column("claim", "claim", get="claim.claim"),
        Column("source", "source", get="claim.source"),
        Column("study", "study"),
        Column("setting", "setting", get=lambda line: line.setting or None),
        Column("quantity", "what is read", get="claim.quantity"),
        Column("value", "value", ".4g", interval=True, get="measured"),
        Column("interval", "interval"),
        Column("rule", "supported if", get=lambda line: str(line.claim.supported)),
        Column("rule_fixed", "rule fixed", get=lambda line: "after" if line.seen else "before"),
        Column("verdict", "verdict"),
        Column("reason", "reason", get=lambda line: line.reason or None),
    ),
    rules=(
        "Supported: the whole interval lies on the side that the rule names. Not supported: the whole"
        " interval lies on the other. Undecided: it lies on both, or there is none, and the reason says why.",
        "A verdict is of the setting of its row, which is smaller than the papers', and of nothing else. Each"
        " is a statement for itself: of many at 95%, some are wrong.",
        "Source: [R] read in the paper or its code, [F] read off a published figure, [D] derived from these,"
        " [X] recalled. Rule fixed: before or after the results of the study were known.",
    ),
    records=lambda lines: list(lines),
    notes=notes,
    about="claims",
    summary=("claim", "value", "verdict", "study", "setting", "interval", "source"),
)
