"""The answer: for every budget, each split beside the wide network, with intervals and a verdict."""

from collections.abc import Mapping, Sequence

from ..records import Split
from ..scoring.bootstrap import interval
from ..scoring.comparison import Compared, SplitLosses, compare
from ..scoring.ensembles import deep_ensemble_equivalent
from ..scoring.pools import Pool, Results
from ._base import Column, Row, Table, arm_cell, spread_out

# Measured per split by the benchmarks. Only ratios are shown: times are one machine's on one day.
COSTS = (
    Column("train_step_ms"),
    Column("evaluate_ms_per_sample"),
    Column("inference_ms_batch_1"),
    Column("inference_ms_batch_128"),
    Column("peak_memory_bytes"),
)
RATIOS = (
    Column("train_step_ratio", "train step, x wide", ".2f"),
    Column("evaluate_ratio", "evaluation, x wide", ".2f"),
    Column("inference_1_ratio", "inference of 1, x wide", ".2f"),
    Column("inference_128_ratio", "inference of 128, x wide", ".2f"),
    Column("peak_memory_ratio", "peak memory, x wide", ".2f"),
)
COST_RULE = (
    "x wide: time or memory of all n members over that of the wide network, medians of one run, members"
    " packed as they were trained. Peak memory is a training step's, in live tensors and weights."
)

Place = tuple[str, int, int]  # arm ("" where there is but one), budget, members

table = Table(
    "memory_split",
    "Memory split",
    (
        Column("dataset"),
        Column("family"),
        Column("arm", "arm"),
        Column("budget_kind"),
        Column("budget", "budget", ",d"),
        Column("members", "n", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member"),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.1f"),
        Column("groups", "groups", "d"),
        Column("accuracy", "accuracy", ".4f", interval=True),
        Column("nll", "NLL", ".4f", interval=True),
        Column("cnll", "CNLL", ".4f", interval=True),
        Column("difference", "CNLL minus wide", "+.4f", interval=True),
        Column("verdict", "beside wide"),
        Column("best", "beside best"),
        Column("frequency_best", "share best", ".2f"),
        Column("temperature"),
        Column("brier"),
        Column("ece", "ECE", ".4f"),
        Column("disagreement", "disagreement", ".3f"),
        Column("deep_ensemble_equivalent", "wide nets worth", ".1f"),
        Column("flops_per_sample"),
        Column("activations_per_sample"),
        Column("bytes_total"),
        Column("hyperparameters"),
        *COSTS,
        *RATIOS,
    ),
    rules=(
        "CNLL: negative log-likelihood of the averaged probabilities, nats per sample, at a temperature"
        " applied after averaging, fitted on one half of the test samples and scored on the other,"
        " both ways, 5 random halvings. Values are means over the disjoint groups of a pool.",
        "Intervals are 95%: of accuracy, NLL and CNLL over members (500 bootstrap draws: of whole groups"
        " where there are 8, else of members by their influence on their group); of the difference over"
        " members and, paired, over test samples.",
        "★ marks the lowest CNLL at a budget, selected on the test set as in the papers; a tie cannot"
        " be told from it by such an interval. Share best: in how many of the draws it is lowest.",
        "Wide nets worth: how many members of the wide network have that CNLL (deep-ensemble equivalent).",
    ),
    marked="members",
)

# What fits on a screen and in a README.
summary = Table(
    "summary",
    "Memory split: calibrated NLL of n members at one budget",
    tuple(
        column
        for column in table.columns
        if column.name
        in ("arm", "budget", "members", "width", "accuracy", "cnll", "difference", "verdict", "best")
    ),
    marked="members",
)


def rows(results: Results) -> list[Row]:
    found: list[Row] = []
    for place in dict.fromkeys((split.budget, split.arm) for split in results.plan.splits):
        splits = [s for s in results.plan.splits if (s.budget, s.arm) == place]
        found += _of_budget(sorted(splits, key=lambda s: s.members), results)
    return sorted(found, key=lambda row: int(row["budget"] or 0))  # arms of a budget side by side


def with_costs(table: Sequence[Row], costs: Mapping[Place, Row]) -> list[Row]:
    """The table with what each split costs, and how many times what the wide network does.

    Args:
        table: As `rows` gives it.
        costs: By (arm, budget, members), under the names of `COSTS`.
    """
    return [
        row | costs.get(place, {}) | _ratios(costs.get(place), costs.get((*place[:2], 1)))
        for row in table
        for place in [place_of(row)]
    ]


def place_of(row: Row) -> Place:
    return str(row.get("arm") or ""), int(row["budget"] or 0), int(row["members"] or 0)


def _ratios(split: Row | None, wide: Row | None) -> Row:
    if not split or not wide:
        return {}
    return {
        ratio.name: float(split[cost.name] or 0) / float(wide[cost.name] or 1)
        for cost, ratio in zip(COSTS, RATIOS, strict=True)
        if cost.name in split and cost.name in wide
    }


def verdicts(table: Sequence[Row]) -> list[str]:
    """One sentence a budget and arm: which split is best, by how much, and what it is tied with."""
    return [
        _verdict([row for row in table if place_of(row)[:2] == place])
        for place in dict.fromkeys(place_of(row)[:2] for row in table)
    ]


def _of_budget(splits: list[Split], results: Results) -> list[Row]:
    pools = [results.pool_of(split) for split in splits]
    losses = [pool.split_losses(s.members) for s, pool in zip(splits, pools, strict=True)]
    there = [one for one in losses if one is not None]
    compared = dict(zip([c.members for c in there], compare(there) if there else [], strict=True))
    wide = pools[0].scores
    curve = {size: float(losses.mean()) for size, losses in wide.losses.items()} if wide else {}
    return [
        _row(split, pool, one, compared.get(split.members), curve if splits[0].members == 1 else {})
        for split, pool, one in zip(splits, pools, losses, strict=True)
    ]


def _row(
    split: Split, pool: Pool, one: SplitLosses | None, compared: Compared | None, curve: dict[int, float]
) -> Row:
    row: Row = {
        "dataset": pool.planned.cell.dataset,
        "family": pool.planned.cell.family,
        "hyperparameters": pool.planned.origin,
        **split.model_dump(exclude={"arm", "budget_kind"}),
        **arm_cell(split.arm),
        "budget_kind": split.budget_kind,
    }
    scores, size = pool.scores, split.members
    if one is None or compared is None or scores is None:
        return row | {"verdict": f"{len(pool.trained)} members only"}
    cnll = float(one.losses.mean())
    for metric, value in (
        ("accuracy", scores.mean(size, "accuracy")),
        ("nll", scores.mean(size, "nll")),
        ("cnll", cnll),
    ):
        row |= spread_out(metric, interval(value, one.spread and getattr(one.spread, metric)))
    return (
        row
        | spread_out("difference", compared.difference)
        | {
            "groups": len(scores.losses[size]),
            "verdict": compared.verdict,
            "best": compared.best,
            "frequency_best": compared.frequency_best,
            "temperature": scores.temperatures[size],
            "brier": scores.mean(size, "brier"),
            "ece": scores.mean(size, "ece"),
            "disagreement": scores.mean(size, "disagreement") if size > 1 else None,
            "deep_ensemble_equivalent": deep_ensemble_equivalent(cnll, curve) if curve else None,
        }
    )


def _verdict(rows: list[Row]) -> str:
    scored = [row for row in rows if row.get("cnll") is not None]
    at = f"{rows[0]['arm']}: at" if rows[0].get("arm") else "At"
    if not scored:
        return f"{at} {rows[0]['budget']:,} {rows[0]['budget_kind']}: nothing to compare yet."
    best = next(row for row in scored if row["best"] == "best")
    ties = [str(row["members"]) for row in scored if row["best"] == "tie"]
    text = (
        f"{at} {best['budget']:,} {best['budget_kind']} the lowest CNLL is that of n = {best['members']}"
        f" (width {best['width']}): {best['cnll']:.4f}"
    )
    if best.get("difference") is not None:
        text += (
            f", {best['difference']:+.4f} [{best['difference_low']:+.4f}, {best['difference_high']:+.4f}]"
            " from the wide network:"
            f" {'a memory split advantage' if best['verdict'] == 'better' else 'a tie'}"
        )
    return f"{text}. {'Tied with it: n = ' + ', '.join(ties) if ties else 'Nothing ties with it'}."
