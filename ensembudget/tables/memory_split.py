"""The answer: for every budget, each split against the wide network, with intervals and a verdict."""

from typing import Any

from ..analysis import Analysis
from ..analysis.splits import BudgetResult, SplitResult
from ..records import Interval, SplitCost
from ..scoring.comparison import Verdict
from ._base import Column, Table, Value
from ._metrics import metric_columns
from ._setting import NAMES, setting_columns


def of_ratio(name: str) -> Any:
    return lambda one: one.cost_ratio.get(name)


def verdict(one: SplitResult) -> Value:
    """Against the wide network, or why there is none."""
    if one.score is None:
        return f"{len(one.pool.trained)} members only"
    return one.score.compared.verdict


def predictors(one: SplitResult) -> Value:
    """How many predictions a split averages, where a member is a unit of several."""
    return one.split.predictors if one.split.predictors_per_member > 1 else None


def embeddings(one: SplitResult) -> Value:
    """How many parameters of a member are embeddings, where its task has tokens."""
    return one.split.embeddings_per_member or None


# Measured for each split by the benchmarks. People see ratios: times are one machine's on one day.
COSTS = tuple(Column(name, get=f"cost.{name}", optional=True) for name in SplitCost.model_fields)
RATIOS = tuple(
    Column(name, heading, ".2f", get=of_ratio(of), optional=True)
    for name, heading, of in (
        ("train_step_ratio", "training step, x wide", "train_step_ms"),
        ("evaluate_ratio", "evaluation, x wide", "evaluate_ms_per_sample"),
        ("inference_1_ratio", "inference of 1, x wide", "inference_ms_batch_1"),
        ("inference_128_ratio", "inference of 128, x wide", "inference_ms_batch_128"),
        ("peak_memory_ratio", "peak memory, x wide", "peak_memory_bytes"),
    )
)
COST_RULE = (
    "x wide: time or memory of all n members divided by that of the wide network, medians of one run, members"
    " stepped as they were trained. Peak memory: live tensors and weights during a training step."
)


UNIT_RULE = (
    "Where predictors are given, n counts units: what one training run gives, several predictors whose"
    " probabilities are averaged. The wide network is then the ensemble of one unit."
)


def records(analysis: Analysis) -> list[SplitResult]:
    return [one for budget in analysis.budgets for one in budget.splits]


def notes(analysis: Analysis) -> list[str]:
    """What each budget and arm comes to, what can be resolved there, and the rule of costs."""
    said = [
        line for one in analysis.budgets for line in (sentence(one), resolved(one), unjudged(one)) if line
    ]
    units = any(predictors(one) for one in records(analysis))
    costs = any(one.cost for one in records(analysis))
    return [*said, *([UNIT_RULE] if units else []), *([COST_RULE] if costs else [])]


def sentence(one: BudgetResult) -> str:
    """Which split of a budget is best, by how much, and what ties with it."""
    best = one.best
    if best is None or best.score is None:
        return f"{_at(one)}: nothing to compare yet."
    text = (
        f"{_at(one)} the lowest CNLL is that of n = {best.split.members}"
        f" (width {best.split.width}): {best.score.cnll.value:.4f}"
    )
    if (difference := best.score.compared.difference) is not None:
        text += f", {signed(difference)} from the wide network: {_WORDS[best.score.compared.verdict]}"
    ties = ", ".join(str(tie.split.members) for tie in one.ties)
    if any(other.score and other.score.compared.best == Verdict.NOT_JUDGED for other in one.splits):
        return f"{text}.{f' Tied with it: n = {ties}.' if ties else ''}"
    return f"{text}. {f'Tied with it: n = {ties}' if ties else 'Nothing ties with it'}."


def resolved(one: BudgetResult) -> str:
    """The smallest gap to the wide network that this test set and these pools can tell from none."""
    gaps = [
        (found.difference.high - found.difference.value, found.parts)
        for found in (split.score.compared for split in one.splits if split.score)
        if found.parts and found.difference and found.difference.high is not None
    ]
    if not gaps:
        return ""
    reach, parts = min(gaps)
    share = parts.samples / max(parts.samples + parts.members, 1e-300)
    return (
        f"{_at(one)} these pools and this test set resolve gaps to the wide network of {reach:.4f} nats at"
        f" best: {share:.0%} of the variance comes from test samples, {1 - share:.0%} from members."
    )


def unjudged(one: BudgetResult) -> str:
    """Which splits have no interval, and why."""
    lone = sorted(
        {split.split.members for split in one.splits if split.score and not split.score.losses.errors}
    )
    if not lone:
        return ""
    return (
        f"{_at(one)} n = {', '.join(map(str, lone))} {'is' if len(lone) == 1 else 'are'} not judged: a pool"
        " of one member does not show how members vary."
    )


def _at(one: BudgetResult) -> str:
    label = one.setting.label
    return f"{f'{label}: at' if label else 'At'} {one.budget:,} {one.budget_kind}"


def signed(interval: Interval) -> str:
    """A difference, with its interval where there is one."""
    if interval.low is None:
        return f"{interval.value:+.4f}"
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


_WORDS: dict[Verdict | None, str] = {
    Verdict.BETTER: "a memory split advantage",
    Verdict.TIE: "a tie",
    Verdict.NOT_JUDGED: "not judged",
}


METRICS = metric_columns(
    lambda one, name: one.score and one.score.metrics.get(name),
    heading=lambda metric: "" if metric.csv_only else metric.heading,
    intervals=True,
)

table = Table(
    "memory_split",
    "Memory split",
    (
        Column("dataset", get="pool.planned.cell.dataset"),
        Column("family", get="pool.planned.cell.family"),
        *setting_columns("split.setting"),
        Column("budget_kind", get="split.budget_kind"),
        Column("budget", "budget", ",d", get="split.budget"),
        Column("members", "n", "d", get="split.members"),
        Column("predictors", "predictors", "d", get=predictors, optional=True),
        Column("width", "width", "d", get="split.width"),
        Column("parameters_per_member", get="split.parameters_per_member"),
        Column("embeddings_per_member", "embeddings each", ",d", get=embeddings, optional=True),
        Column("parameters_total", "parameters", ",d", get="split.parameters_total"),
        Column("error_percent", "off budget, %", "+.1f", get="split.error_percent"),
        Column("groups", "disjoint ensembles", "d", get="score.ensembles"),
        *METRICS.before,
        Column("cnll", "CNLL", ".4f", interval=True, get="score.cnll"),
        Column("difference", "CNLL minus wide", "+.4f", interval=True, get="score.compared.difference"),
        Column("verdict", "vs wide (n=1)", get=verdict),
        Column("best", "vs best", get="score.compared.best"),
        Column("frequency_best", "share best", ".2f", get="score.compared.frequency_best"),
        Column("temperature", get="score.temperature"),
        *METRICS.after,
        Column("deep_ensemble_equivalent", "deep-ensemble equivalent", ".1f", get="score.equivalent"),
        Column("flops_per_sample", get="split.flops_per_sample"),
        Column("activations_per_sample", get="split.activations_per_sample"),
        Column("bytes_total", get="split.bytes_total"),
        Column("hyperparameters", get="pool.planned.hyperparameters"),
        *COSTS,
        *RATIOS,
    ),
    rules=(
        "CNLL: negative log-likelihood of the averaged probabilities, nats per sample, at a temperature"
        " applied after averaging. The temperature is fitted on one half of the test samples and scored on"
        " the other, both ways, over 5 random halvings. Values are means over the disjoint ensembles of a"
        " pool.",
        "Intervals are 95%, Student's. Those of accuracy, NLL and CNLL are over members at these test"
        " samples: from the spread of the ensembles where n = 1 or a pool holds 8 or more, else from each"
        " member's influence on its ensemble. Those of CNLL minus wide are over members and test samples,"
        " and all of one budget hold at once; better and worse are outside them.",
        "★ marks the lowest CNLL at a budget, selected on the test set as in the papers. Worse than best:"
        " were all splits equal, none would be called so in 95% of cases, though the best is the luckiest of"
        " them. Share best: how often a split is lowest in draws of all these errors.",
        "Deep-ensemble equivalent: how many wide networks, averaged, have that CNLL.",
    ),
    marked="members",
    records=records,
    notes=notes,
    summary=(*NAMES, "budget", "members", "difference", "best", "cnll", "width", "verdict", "accuracy"),
    summary_title="Memory split: calibrated NLL of n members at one budget",
    order=10,
)
