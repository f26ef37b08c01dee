"""A grid of learning rate and weight decay: destabilisations, periods, what presumption holds, the law."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ..dynamics.periods import LEAST, PERIODIC, Course, course, log_slopes
from ..records import Interval
from ..scoring.pools import Pool, Results
from ._base import Column, Row, Table, spread_out

table = Table(
    "periods",
    "Periods of training with batch norm and weight decay",
    (
        Column("dataset"),
        Column("family"),
        Column("width", "width", "d"),
        Column("learning_rate", "learning rate", "g"),
        Column("weight_decay", "weight decay", "g"),
        Column("product", "product", ".3g"),
        Column("members", "runs", "d"),
        Column("kind", "kind"),
        Column("destabilisations", "destabilisations a run", ".1f"),
        Column("periods", "periods", "d"),
        Column("period", "period, steps", ",.0f", interval=True),
        Column("period_of_product", "period x product", ".2f"),
        Column("decay", "norm's fall", ".2f"),
        Column("norm_before", "norm before", ".3g"),
        Column("norm_after", "norm after", ".3g"),
        Column("loss_before", "loss before", ".1e"),
        Column("loss_peak", "loss at peak", ".1e"),
        Column("balance", "balance, median", ".2f"),
        Column("balance_mean", "balance, mean", ".2f"),
        Column("test_error", "test error", ".3f"),
    ),
    rules=(
        "A destabilisation: the training loss has risen to 10 times its lowest since the last one ended; it"
        " ends when the loss has fallen to a tenth of its peak. A period: from one rise to the next, steps;"
        " the geometric mean over all periods of all runs, with its 95% interval over them (Student's t of"
        " the logarithm). Loss and norm before and after: geometric means.",
        "Norm's fall: between destabilisations, as a multiple of its fall without gradients, log(1 - r d) a"
        " step for learning rate r and weight decay d.",
        "Balance: effective learning rate times effective gradient norm over sqrt(2 r d), its median and root"
        " mean square over the second half. Kind: 'equilibrium' where the median is within [1/2, 2];"
        f" 'periodic' where it is below 1/2 with at least {LEAST} destabilisations; 'settling' otherwise;"
        " the most frequent over runs, with its share where they disagree.",
        "Test error: mean over the second half, over runs.",
    ),
)

law_table = Table(
    "period_laws",
    "How the period goes with learning rate and weight decay",
    (
        Column("dataset"),
        Column("family"),
        Column("width", "width", "d"),
        Column("along", "along"),
        Column("slope", "slope", "+.3f", interval=True),
        Column("predicted", "theory", "+.0f"),
        Column("points", "points", "d"),
        Column("verdict", "theory's -1 is"),
    ),
    rules=(
        "Slope of log period against the logarithm, by least squares over the periodic points of the grid;"
        " along learning rate and weight decay in one regression on both. 95% intervals, Student's t.",
        "Theory: without gradients the norm falls as (1 - r d)^t, so a period goes as 1 / (r d).",
    ),
)


class Point(NamedTuple):
    """One pair of learning rate and weight decay: its pool, runs, and mean test errors."""

    pool: Pool
    courses: list[Course]
    errors: list[float]


def grids(results: Results) -> dict[tuple[str, str, int], list[Point]]:
    """Conventional runs with a history, by dataset, family and width."""
    found: dict[tuple[str, str, int], list[Point]] = {}
    for pool in results.pools:
        cell = pool.planned.cell
        recipe = cell.recipe
        if cell.record is None or cell.mode != "bn_wd" or recipe.schedule != "constant":
            continue
        if recipe.momentum or not recipe.weight_decay:
            continue
        courses, errors = [], []
        for one in pool.stored:
            history = pool.histories.get(one.member.run.seed)
            if history is None or one.member.status != "done":
                continue
            names = ("step", "train_loss", "norm", "relative_gradient_norm")
            steps, losses, norms, relative = (history[name].to_numpy() for name in names)
            courses.append(
                course(
                    steps, losses, norms, relative,
                    learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay,
                )
            )  # fmt: skip
            if "test_error" in history:
                errors.append(float(history["test_error"][len(history) // 2 :].mean()))
        if courses:
            found.setdefault((cell.dataset, cell.family, cell.width), []).append(Point(pool, courses, errors))
    return found


def rows(results: Results) -> list[Row]:
    return [
        _row(*point)
        for grid in grids(results).values()
        for point in sorted(grid, key=lambda p: _product(p.pool))
    ]


def _row(pool: Pool, courses: Sequence[Course], errors: Sequence[float]) -> Row:
    cell = pool.planned.cell
    events = [event for one in courses for event in one.destabilisations]
    kinds = [one.kind for one in courses]
    period, product = _period(courses), _product(pool)
    falls = [one.decay for one in courses if one.decay is not None]
    return {
        "dataset": cell.dataset,
        "family": cell.family,
        "width": cell.width,
        "learning_rate": cell.recipe.learning_rate,
        "weight_decay": cell.recipe.weight_decay,
        "product": product,
        "members": len(courses),
        "kind": _kind(kinds) + _share(kinds),
        "destabilisations": len(events) / len(courses),
        "periods": sum(len(one.periods) for one in courses),
        **spread_out("period", period),
        "period_of_product": period.value * product if period else None,
        "decay": float(np.mean(falls)) if falls else None,
        **{
            name: _geometric([getattr(event, name) for event in events])
            for name in ("norm_before", "norm_after", "loss_before", "loss_peak")
        },
        "balance": float(np.mean([one.balance for one in courses])),
        "balance_mean": float(np.mean([one.balance_mean for one in courses])),
        "test_error": float(np.mean(errors)) if errors else None,
    }


def law_rows(results: Results) -> list[Row]:
    found: list[Row] = []
    for (dataset, family, width), grid in grids(results).items():
        points = [
            (point.pool.planned.cell.recipe, period.value)
            for point in grid
            if _kind([one.kind for one in point.courses]) == PERIODIC and (period := _period(point.courses))
        ]
        rates, decays, periods = (
            np.array(column)
            for column in (
                [recipe.learning_rate for recipe, _ in points],
                [recipe.weight_decay for recipe, _ in points],
                [period for _, period in points],
            )
        )
        for law in log_slopes(rates, decays, periods):
            low, high = law.slope.low or 0.0, law.slope.high or 0.0
            found.append(
                {
                    "dataset": dataset,
                    "family": family,
                    "width": width,
                    "along": law.along,
                    **spread_out("slope", law.slope),
                    "predicted": law.predicted,
                    "points": law.points,
                    "verdict": "inside the interval" if low <= law.predicted <= high else "outside it",
                }
            )
    return found


def _product(pool: Pool) -> float:
    return pool.planned.cell.recipe.learning_rate * pool.planned.cell.recipe.weight_decay


def _kind(kinds: Sequence[str]) -> str:
    return max(sorted(set(kinds)), key=kinds.count)


def _share(kinds: Sequence[str]) -> str:
    """How many runs are of the kind, where not all are."""
    count = kinds.count(_kind(kinds))
    return f" ({count} of {len(kinds)})" if count < len(kinds) else ""


def _period(courses: Sequence[Course]) -> Interval | None:
    """Geometric mean over all periods, with its interval; None where there are fewer than 2."""
    logs = np.log(np.concatenate([one.periods for one in courses]))
    if len(logs) < 2:
        return None
    reach = stdtrit(len(logs) - 1, 0.975) * logs.std(ddof=1) / len(logs) ** 0.5
    low, value, high = np.exp(logs.mean() + reach * np.array([-1, 0, 1]))
    return Interval(value=float(value), low=float(low), high=float(high))


def _geometric(values: Sequence[float]) -> float | None:
    return float(np.exp(np.mean(np.log(values)))) if values else None
