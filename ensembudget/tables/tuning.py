"""One row a combination of values that was tried: how single members did on the validation images."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ..analysis import Analysis
from ..planning.tuning import Edge, edges
from ..records import Plan, Recipe, Trial, Tuning, said
from ..scoring.comparison import Verdict, verdict
from ._base import Column, Table
from ._base import Value as Shown


class TrialLine(NamedTuple):
    """One combination, and the choice that it was tried for."""

    tuning: Tuning
    number: int
    trial: Trial

    @property
    def chosen(self) -> bool:
        return self.tuning.choice is not None and self.number == self.tuning.choice.chosen


def records(subject: Analysis | Plan) -> list[TrialLine]:
    """Those of an analysis or of a plan, for the choices that are made."""
    plan = subject.results.plan if isinstance(subject, Analysis) else subject
    return [
        TrialLine(tuning, number, trial)
        for tuning in plan.tuning
        if tuning.choice
        for number, trial in enumerate(tuning.choice.trials)
    ]


def standing(line: TrialLine) -> Shown:
    """How a combination compares with the chosen one, or why it does not."""
    trial = line.trial
    if line.chosen:
        return Verdict.BEST
    if trial.diverged:
        return "diverged"
    return "left out early" if trial.above is None else verdict(trial.above)


def own(line: TrialLine) -> Shown:
    return "yes" if line.number == line.tuning.own else "no"


def value(field: str, line: TrialLine) -> Shown:
    found = line.trial.values.get(field)
    return str(found) if isinstance(found, bool) else found


def notes(subject: Analysis | Plan) -> list[str]:
    """What was chosen at the edge of its values, what diverged, and what tuning cost."""
    plan = subject.results.plan if isinstance(subject, Analysis) else subject
    return [*_edges(plan), *_diverged(plan), *_cost(plan)]


def _edges(plan: Plan) -> Iterator[str]:
    where: dict[Edge, list[Tuning]] = {}
    for tuning in plan.tuning:
        for edge in edges(tuning):
            where.setdefault(edge, []).append(tuning)
    for edge, its in where.items():
        yield (
            f"{said({edge.field: edge.value})}, the {edge.side} value that was tried, was chosen at"
            f" {_places(plan, its)}: a better one may lie beyond."
        )


def _diverged(plan: Plan) -> Iterator[str]:
    its = [one for one in plan.tuning if one.choice and all(trial.diverged for trial in one.choice.trials)]
    if its:
        yield f"Every combination diverged at {_places(plan, its)}: nothing speaks for the one chosen."


def _cost(plan: Plan) -> Iterator[str]:
    choices = [tuning.choice for tuning in plan.tuning if tuning.choice]
    if not choices:
        return
    spent, scored = sum(choice.flops for choice in choices), plan.trained.training_flops(plan.trained.runs)
    members = sum(trial.members for choice in choices for trial in choice.trials)
    yield (
        f"Tuning took {members} members and {spent:.3g} FLOP of training, {spent / scored:.0%} of the"
        f" {scored:.3g} FLOP of the {len(plan.runs)} members that are scored."
    )


def _places(plan: Plan, some: Sequence[Tuning]) -> str:
    """Widths, with the data size and the arm where the plan has several."""
    several = len({one.images for one in plan.tuning}) > 1
    widths: dict[str, list[str]] = {}
    for one in some:
        words = [f"with {one.images:,} images" if several else "", f"in {one.arm}" if one.arm else ""]
        widths.setdefault(" ".join(filter(None, words)), []).append(str(one.width))
    return "; ".join(
        f"width{'s' * (len(its) > 1)} {', '.join(its)}{f' {where}' if where else ''}"
        for where, its in widths.items()
    )


table = Table(
    "tuning",
    "Tuning: single members on the validation images",
    (
        Column("arm", "arm", get=lambda line: line.tuning.arm or None, optional=True),
        Column("train_size", "training images", ",d", get="tuning.images"),
        Column("validation_size", get="tuning.validation_size"),
        Column("width", "width", "d", get="tuning.width"),
        *(
            Column(field, field.replace("_", " "), "g", get=partial(value, field), optional=True)
            for field in Recipe.model_fields
        ),
        Column("own", "the study's own", get=own),
        Column("members", "members", "d", get="trial.members"),
        Column("diverged", get="trial.diverged"),
        Column("nll", "NLL", ".4f", interval=True, get="trial.nll"),
        Column("cnll", "CNLL", ".4f", interval=True, get="trial.cnll"),
        Column("above", "CNLL minus chosen", "+.4f", interval=True, get="trial.above"),
        Column("best", "vs chosen", get=standing),
        Column("flops", "FLOP", ".2g", get="trial.flops"),
    ),
    rules=(
        "Each arm, data size and width has a choice of its own (★): the combination with the lowest CNLL on"
        " the validation images, mean over single members that choose and are never scored. Of equals it is"
        " the study's own, else the first listed. One choice serves every n, and every subset of training"
        " images: it is made on the first.",
        "CNLL: at a temperature fitted on one half of the validation images and scored on the other, as test"
        " images are scored; NLL: at temperature 1; nats per sample. Intervals are 95%, Student's, over"
        " members; those of CNLL minus chosen are over members and validation images, and know that the"
        " chosen one is the luckiest. One member shows no spread and has none.",
        "Left out early: by successive halving, with the members that are said. FLOP: of training, a backward"
        " pass counted as two forward passes.",
    ),
    marked="cnll",
    records=records,
    notes=notes,
    order=40,
    summary=("arm", "train_size", "width", *Recipe.model_fields, "best", "cnll", "above", "members"),
)
