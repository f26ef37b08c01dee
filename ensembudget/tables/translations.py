"""BLEU and chrF of ensembles' translations, by greedy and by beam search."""

from collections.abc import Sequence

from ..analysis import Analysis
from ..analysis.translations import Translations
from ._base import Column, Table
from ._setting import NAMES, setting_columns


def searched(one: Translations) -> str:
    return one.search if one.beam == 1 else f"{one.search} of {one.beam}"


def records(analysis: Analysis) -> Sequence[Translations]:
    return analysis.translations


def notes(analysis: Analysis) -> list[str]:
    """What the largest ensembles of every pool say of a few sentences."""
    largest: dict[tuple[str, int], Translations] = {}
    for one in analysis.translations:
        place = one.setting.label, one.planned.cell.width
        if place not in largest or one.members > largest[place].members:
            largest[place] = one
    return [
        f"{' '.join(filter(None, (label, f'width {width}, n = {one.members}')))}:"
        f" «{said['source']}» (reference: «{said['reference']}»): greedy «{said['greedy']}»,"
        f" beam «{said['beam']}»."
        for (label, width), one in largest.items()
        for said in one.examples
    ]


table = Table(
    "translations",
    "Translations: BLEU and chrF of ensembles",
    (
        *setting_columns(),
        Column("budget", "budget", ",d", optional=True),
        Column("width", "width", "d", get="planned.cell.width"),
        Column("members", "n", "d"),
        Column("search", "search", get=searched),
        Column("bleu", "BLEU", ".2f", interval=True),
        Column("chrf", "chrF", ".2f", interval=True),
        Column("sentences", "sentences", ",d"),
        Column("groups", "groups", "d", get=lambda one: len(one.found)),
    ),
    rules=(
        "At every step the members' probabilities are averaged, and the next token is chosen by the mean."
        " Beam: so many hypotheses are kept, and compared by their mean log-probability per token. BLEU"
        " (13a, of text) and chrF (chrF2) by sacrebleu, 0 to 100, on the first test sentences of a fixed"
        " random order; references are their own tokens, decoded. Mean over disjoint groups of n members.",
        "Intervals are 95%, over sentences by sacrebleu's bootstrap (1,000 draws, its seed), about the"
        " score itself; where there are several groups, Student's over these too.",
    ),
    records=records,
    notes=notes,
    order=57,
    summary=(*NAMES, "width", "members", "search", "bleu", "chrf", "budget"),
)
