"""When does a split win? One row a budget and setting: the best ensemble against the wide network."""

from ..analysis import Analysis
from ..analysis.advantages import Advantage
from ..scoring.comparison import Verdict
from ._base import Column, Table
from ._setting import NAMES, setting_columns
from .memory_split import signed

UNDERFIT = 0.5  # of the test NLL: a training loss above it is named


def ties(one: Advantage) -> str | None:
    """The n of splits that cannot be told from the best one."""
    return ", ".join(str(tie.split.members) for tie in one.budget.ties) or None


def compared(one: Advantage) -> str:
    """The n among which the ensemble was chosen."""
    return ", ".join(str(rival.split.members) for rival in one.rivals)


def least_nll(one: Advantage) -> float:
    """The least test NLL of the budget's single members."""
    scores = [split.pool.scores for split in (one.wide, *one.rivals)]
    return min(score.mean(1, "nll") for score in scores if score is not None)


def notes(analysis: Analysis) -> list[str]:
    """How many cells each side wins, the largest advantage, and what to be wary of."""
    found = analysis.advantages
    return [*_counts(found), *_at_the_edge(found), *_underfit(found)]


def _counts(found: tuple[Advantage, ...]) -> list[str]:
    if not found:
        return []
    wins = [one for one in found if one.verdict == Verdict.BETTER]
    count = {verdict: sum(one.verdict == verdict for one in found) for verdict in Verdict}
    said = (
        f"Of {len(found)} cells a split wins {len(wins)}, the wide network wins {count[Verdict.WORSE]},"
        f" {count[Verdict.TIE]} are ties"
    )
    if unjudged := count[Verdict.NOT_JUDGED]:
        said += f", and {unjudged} are not judged: a pool of one member does not show how members vary"
    if not wins:
        return [f"{said}."]
    best = min(wins, key=lambda one: one.value.value)
    return [
        f"{said}. A split wins by most at {best.budget.budget:,} {best.budget.budget_kind}"
        f"{f' ({best.setting.label})' if best.setting.label else ''}: {signed(best.value)} with n ="
        f" {best.split.split.members}."
    ]


def _at_the_edge(found: tuple[Advantage, ...]) -> list[str]:
    edge = [one for one in found if one.best is not one.wide and one.best is one.budget.splits[-1]]
    if not edge:
        return []
    return [
        f"In {len(edge)} of {len(found)} cells the best n is the largest that was tried: more networks may be"
        " better still."
    ]


def _underfit(found: tuple[Advantage, ...]) -> list[str]:
    under = [one for one in found if one.greatest_loss > UNDERFIT * least_nll(one)]
    if not under:
        return []
    worst = max(under, key=lambda one: one.greatest_loss)
    return [
        f"{len(under)} of {len(found)} cells have a pool whose training loss is above half the least test"
        f" NLL, at most {worst.greatest_loss:.2f} nats at {worst.budget.budget:,} {worst.budget.budget_kind}"
        f"{f' ({worst.setting.label})' if worst.setting.label else ''}: these networks may be underfit."
    ]


table = Table(
    "map",
    "When does a split win? The best ensemble of each budget against one wide network",
    (
        Column("dataset", get="wide.pool.planned.cell.dataset"),
        Column("family", get="wide.pool.planned.cell.family"),
        *setting_columns(),
        Column("budget_kind", get="budget.budget_kind"),
        Column("budget", "budget", ",d", get="budget.budget"),
        Column("members", "n", "d", get="split.split.members"),
        Column("width", "width", "d", get="split.split.width"),
        Column("wide_width", "wide", "d", get="wide.split.width"),
        Column("advantage", "CNLL minus wide", "+.4f", interval=True, get="value"),
        Column("verdict", "split vs wide"),
        Column("best_members", "best n of all", "d", get="best.split.members"),
        Column("compared", get=compared),
        Column("ties", "tied with it", get=ties),
        Column("cnll", "CNLL", ".4f", get="split.score.cnll.value"),
        Column("wide_cnll", "CNLL, wide", ".4f", get="wide.score.cnll.value"),
        Column("least_train_loss", "least training loss", ".3f", get="least_loss"),
        Column("greatest_train_loss", "greatest training loss", ".3f", get="greatest_loss"),
    ),
    rules=(
        "n: of the ensemble of at least two with the lowest CNLL at that budget, selected on the test set."
        " CNLL minus wide: below zero where it beats the wide network, nats per sample. Its 95% interval,"
        " over members and test samples, knows of the selection: the intervals of all n hold at once, and"
        " this one goes from the lowest of their lower ends to the lowest of their upper ends.",
        "Best n of all: the lowest CNLL, the wide network (n = 1) included; tied with it are those that"
        " cannot be told from it.",
        "Training loss: of the last epoch, nats per sample, the least and the greatest mean over a pool of"
        " that budget. Where it is near the test loss, networks are underfit.",
    ),
    records=lambda analysis: analysis.advantages,
    notes=notes,
    order=5,
    summary=(
        *NAMES,
        "budget",
        "members",
        "advantage",
        "verdict",
        "greatest_train_loss",
        "width",
        "wide_width",
    ),
)
