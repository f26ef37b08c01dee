"""A sweep over effective learning rates: the regime of every rate, and the two boundaries."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..dynamics.regimes import REGIMES, Classified, boundaries, classify
from ..records import Interval
from ..scoring.pools import Pool, Results
from ._base import Column, Row, Table, spread_out

table = Table(
    "regimes",
    "Regimes of training on the sphere",
    (
        Column("dataset"),
        Column("family"),
        Column("mode"),
        Column("width", "width", "d"),
        Column("effective_learning_rate", "effective learning rate", "g"),
        Column("members", "runs", "d"),
        Column("regime", "regime"),
        *(Column(regime.replace(" ", "_")) for regime in REGIMES),
        Column("train_loss", "train loss", ".3g", interval=True),
        Column("slope", "slope", "+.2f", interval=True),
        Column("effective_gradient_norm", "effective gradient", ".3g", interval=True),
        Column("test_error", "test error", ".3f", interval=True),
        Column("cosine_to_last", "cosine to last", ".3f", interval=True),
    ),
    rules=(
        "Regime, by the training loss in the second half of a run: divergence where its mean is not below"
        " ln C; convergence where its median is below a hundredth of ln C, or where it falls at least as fast"
        " as t^(-1/2), by least squares in log-log through its medians over ten parts, and that line explains"
        " at least 7/10 of their variance; chaotic equilibrium otherwise. Where runs disagree the most"
        " frequent, with its share.",
        "Slope: of that line, log training loss against log epoch. Values are means over runs of means"
        " over that half, brackets the smallest and the largest run. Effective gradient: mean minibatch"
        " gradient norm times the weights' norm, along the epoch. Cosine to last: of the weights with"
        " those of the record before.",
    ),
)

boundary_table = Table(
    "regime_boundaries",
    "Boundaries between the regimes",
    (
        Column("dataset"),
        Column("family"),
        Column("mode"),
        Column("width", "width", "d"),
        Column("between", "between"),
        Column("effective_learning_rate", "effective learning rate", ".3g", interval=True),
        Column("status", "status"),
    ),
    rules=(
        "From the largest rate up to which all runs are below a boundary to the smallest from which all are"
        " above it; the value is the geometric mean of the neighbours between which most runs change.",
    ),
)

COLUMNS = ["epoch", "train_loss", "effective_gradient_norm", "test_error", "cosine_to_last"]


class Run(NamedTuple):
    """One classified run, with means over its second half."""

    rate: float
    classified: Classified
    means: dict[str, float]


def sweeps(results: Results) -> Iterator[tuple[Pool, list[Run]]]:
    """Every sweep of runs on the sphere at constant rates, with one pool that stands for the rest."""
    found: dict[str, tuple[Pool, list[Run]]] = {}
    for pool in results.pools:
        cell = pool.planned.cell
        rate = cell.recipe.effective_learning_rate
        if rate is None or cell.record is None or cell.recipe.schedule != "constant":
            continue
        rest = cell.model_copy(
            update={"recipe": cell.recipe.model_copy(update={"effective_learning_rate": None})}
        )
        runs = found.setdefault(rest.to_json(), (pool, []))[1]
        runs += _runs(pool, rate)
    yield from (sweep for sweep in found.values() if sweep[1])


def _runs(pool: Pool, rate: float) -> Iterator[Run]:
    for one in pool.stored:
        history = pool.histories.get(one.member.run.seed)
        if history is None:
            continue
        classes = one.test_logits.shape[1]
        epochs, losses = history["epoch"].to_numpy(), history["train_loss"].to_numpy()
        if (classified := classify(epochs, losses, classes)) is None:
            continue
        late = history[len(history) // 2 :]
        yield Run(rate, classified, {name: float(late[name].mean()) for name in COLUMNS[2:] if name in late})


def rows(results: Results) -> list[Row]:
    return [row for pool, runs in sweeps(results) for row in _of_sweep(pool, runs)]


def _of_sweep(pool: Pool, runs: list[Run]) -> Iterator[Row]:
    for rate in sorted({run.rate for run in runs}):
        its = [run for run in runs if run.rate == rate]
        counts = {regime: sum(run.classified.regime == regime for run in its) for regime in REGIMES}
        regime = max(REGIMES, key=lambda name: counts[name])
        share = f" ({counts[regime]} of {len(its)})" if counts[regime] < len(its) else ""
        row: Row = {
            **_who(pool),
            "effective_learning_rate": rate,
            "members": len(its),
            "regime": regime + share,
            **{name.replace(" ", "_"): count for name, count in counts.items()},
            **spread_out("train_loss", _spread([run.classified.train_loss for run in its])),
            **spread_out("slope", _spread([run.classified.slope for run in its])),
        }
        for name in COLUMNS[2:]:
            row |= spread_out(name, _spread([run.means[name] for run in its if name in run.means]))
        yield row


def boundary_rows(results: Results) -> list[Row]:
    return [
        {
            **_who(pool),
            "between": found.between,
            **spread_out("effective_learning_rate", found.rate),
            "status": found.status,
        }
        for pool, runs in sweeps(results)
        for found in boundaries(_by_rate(runs))
    ]


def _by_rate(runs: list[Run]) -> dict[float, list[str]]:
    rates = sorted({run.rate for run in runs})
    return {rate: [run.classified.regime for run in runs if run.rate == rate] for rate in rates}


def _who(pool: Pool) -> Row:
    cell = pool.planned.cell
    return {"dataset": cell.dataset, "family": cell.family, "mode": cell.mode, "width": cell.width}


def _spread(values: list[float]) -> Interval | None:
    """Mean, smallest and largest of what is finite; None where nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return None
    if len(finite) == 1:
        return Interval(value=finite[0])
    return Interval(value=float(np.mean(finite)), low=min(finite), high=max(finite))
