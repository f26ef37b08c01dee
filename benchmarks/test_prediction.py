"""Whether predictions hold: forms of the law on held-out cells, coverage, and what a search picks.

Command: pytest benchmarks/test_prediction.py -m slow -s [--plane FILE.csv]... [--replay STUDY=STORE]...
Needs the members of studies `digits_plane` and `digits_reference` in --store, and trains what is missing:
20 minutes on two cores; without that 15. A search is replayed: the members that it asks for are taken from
those that are trained, in another order for each seed. Writes its tables to --out (default:
tables/prediction). Expect intervals of 90% to cover 85 to 97% and the search to pick a split within 1% of the
best in 8 of 10 seeds at least.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from benchmarks.forms import AVERAGED, FORMS, PAPERS, one_at_a_time
from benchmarks.publishing import publish
from ensembudget import Policy, Replay, Store, load_study, plan_study, run, search, space_of
from ensembudget.budgets._parse import parse_budget
from ensembudget.errors import IncompleteError
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import Plane, WidthCurve, checked
from ensembudget.prediction.pools import curves_of
from ensembudget.prediction.read import read_plane
from ensembudget.prediction.replay import taken_from
from ensembudget.prediction.search import SearchState
from ensembudget.prediction.space import Space
from ensembudget.records.search import CONFIDENCE, TOLERANCE
from ensembudget.scoring.covariance import scored_pool
from ensembudget.scoring.ensembles import size_losses
from ensembudget.scoring.pools import Pool, pools_of
from ensembudget.tables import _base
from ensembudget.tables._base import Row, Table

pytestmark = pytest.mark.slow

OUT = "tables/prediction"

LARGEST_TRAINED = 4  # members of the largest ensemble that a law is fitted to
SIZES = (1, 2, 4, 8, 16)
READ = 0.005  # nats: how exactly the reference plane was read off its figure
OFF = 0.1  # a measured split misses a budget by less than this fraction
EACH = 8  # members a width that a plane is drawn with
REPEATS = 20
SEEDS = 10
ENOUGH = 8  # of them
SPEND = 0.25  # of the grid
NEAR = 0.01  # of the best CNLL

FORM_TABLE = Table(
    "forms",
    "Forms of the joint law, cells held out",
    (
        _base.Column("plane", "plane"),
        _base.Column("form", "form"),
        _base.Column("cells", "cells fitted", "d"),
        _base.Column("held_out", "held out", "d"),
        _base.Column("answered", "answered", "d"),
        _base.Column("rmse", "RMSE, nats", ".4f"),
        _base.Column("relative", "RMSE, % of CNLL", ".1f"),
        _base.Column("covered", "covered by 90%", ".2f"),
        _base.Column("reach", "mean half-width", ".4f"),
        _base.Column("budgets", "budgets judged", "d"),
        _base.Column("right", "best right or tied", "d"),
        _base.Column("regret", "worst regret, nats", ".4f"),
    ),
    rules=(
        f"Fitted to ensembles of up to {LARGEST_TRAINED} of all widths but the two widest (one where there"
        f" are fewer than five); held out: sizes {', '.join(map(str, SIZES))} of these, and above"
        f" {LARGEST_TRAINED} of every width.",
        f"Best split: among the measured splits within {OFF:.0%} of a budget, at least one held out; tied:"
        f" within {READ} nats of the lowest. Answered: cells for which a law was not refused.",
        f"'{AVERAGED}' is what `predict` does: over forms, each as likely as the data make it. Covered: the"
        " measured value, whose own standard error is added to the interval; of a plane read off a figure it"
        f" is {READ} nats.",
        f"'{PAPERS}' is the papers' way: a law along n for each width, then along width; it has no joint"
        " interval.",
    ),
)
COVERAGE_TABLE = Table(
    "coverage",
    "Coverage of 90% intervals",
    (
        _base.Column("width", "width", "d"),
        _base.Column("members", "n", "d"),
        _base.Column("planes", "planes", "d"),
        _base.Column("covered", "all other members", ".2f"),
        _base.Column("covered_again", "members of the plane", ".2f"),
        _base.Column("error", "mean error", "+.4f"),
        _base.Column("rmse", "RMSE", ".4f"),
        _base.Column("reach", "mean half-width", ".4f"),
    ),
    rules=(
        f"Study digits_plane: {REPEATS} planes of {EACH} members a width drawn out of 64, fitted to the four"
        f" narrowest widths and n below {EACH}. Covered: the mean CNLL of all members that were not drawn;"
        " and, beside it, of the plane's own, one ensemble or few, whose error no interval here contains.",
    ),
)
SEARCH_TABLE = Table(
    "search",
    "What a search picks",
    (
        _base.Column("study", "study"),
        _base.Column("budget", "budget", ",d"),
        _base.Column("seed", "seed", "d"),
        _base.Column("members", "picks n", "d"),
        _base.Column("regret_percent", "above the best, %", ".2f"),
        _base.Column("grid_regret_percent", "full grid's pick, %", ".2f"),
        _base.Column("share", "of the grid's FLOP", ".3f"),
        _base.Column("trained", "members", "d"),
        _base.Column("rounds", "rounds", "d"),
        _base.Column("confidence", "confidence", ".2f"),
        _base.Column("stopped", "stops for"),
    ),
    rules=(
        f"The full grid is what the study trains for that budget; the spend is {SPEND:.0%} of it, tolerance"
        f" {TOLERANCE:.0%}, confidence {CONFIDENCE}. A seed is an order of the members of each width. The"
        " best is judged by the mean CNLL over all members in the store: on digits 256 of each width, of"
        " which a search takes few; on cifar10-jpeg the very members that the search draws from.",
        "Full grid's pick: the split with the lowest CNLL where all that the study trains for the budget is"
        " trained, members in the same order; where that is all that there are it is the best by definition.",
    ),
)


# Forms.


def planes(request: pytest.FixtureRequest) -> Iterator[tuple[str, Plane]]:
    """Every published plane, arm by arm, and those that are given."""
    for path in [*sorted(Path("tables").glob("*/plane.csv")), *request.config.getoption("--plane")]:
        frame = pd.read_csv(path)
        name = Path(path).parent.name if Path(path).name == "plane.csv" else Path(path).stem
        for arm in frame["arm"].dropna().unique() if "arm" in frame else [None]:
            stated = None if "stderr" in frame else READ
            yield f"{name}, {arm}" if arm else name, read_plane(str(path), arm, stderr=stated)


class Split(NamedTuple):
    """A plane in two: what a law is fitted to, and cells that it is judged by.

    Their columns are members, parameters, cnll and its standard error, that of the judge.
    """

    fitted: Plane
    held: np.ndarray


def held_out(plane: Plane) -> Split:
    most = len(plane.curves) - (2 if len(plane.curves) > 4 else 1)
    fitted = [_smaller(curve) for curve in plane.curves[:most]]
    cells = [
        (size, float(curve.parameters), value, variance**0.5)
        for number, curve in enumerate(plane.curves)
        for size, value, variance in zip(curve.sizes, curve.cnll, np.diag(curve.covariance), strict=True)
        if size in SIZES and (number >= most or size > LARGEST_TRAINED)
    ]
    return Split(checked(fitted, "plane"), np.array(cells))


def _smaller(curve: WidthCurve, largest: float = LARGEST_TRAINED) -> WidthCurve:
    """The ensembles of a curve up to a size."""
    some = curve.sizes <= largest
    return curve._replace(
        sizes=curve.sizes[some], cnll=curve.cnll[some], covariance=curve.covariance[np.ix_(some, some)]
    )


def judged(plane: Plane, split: Split, predicted: np.ndarray) -> tuple[int, int, float]:
    """Budgets that measured cells can judge, in how many the best is right or tied, and the worst regret."""
    held = {(n, each): value for (n, each, *_), value in zip(split.held, predicted, strict=True)}
    measured = {
        (size, float(c.parameters)): value
        for c in plane.curves
        for size, value in zip(c.sizes, c.cnll, strict=True)
        if size in SIZES
    }
    regrets = []
    for budget in {curve.parameters * size for curve in plane.curves for size in (1, 2, 4, 8)}:
        cells = [cell for cell in measured if abs(cell[0] * cell[1] / budget - 1) < OFF]
        if len(cells) > 1 and any(cell in held for cell in cells):
            guess = min(cells, key=lambda cell: held.get(cell, measured[cell]))
            regrets.append(measured[guess] - min(measured[cell] for cell in cells))
    return len(regrets), sum(regret <= READ for regret in regrets), max(regrets, default=float("nan"))


def test_forms_on_held_out_cells(request: pytest.FixtureRequest, out: Path) -> None:
    rows, rng = list[Row](), np.random.default_rng(0)
    for name, plane in planes(request):
        split = held_out(plane)
        members, parameters, cnll, stderr = split.held.T
        for form in [*FORMS, PAPERS]:
            low = high = np.full(len(cnll), np.nan)
            if form == PAPERS:
                value = one_at_a_time(split.fitted, members, parameters)
            else:
                drawn = fit_plane(split.fitted, FORMS[form]).draws(members, parameters)
                value = drawn.mean(1)
                judge = stderr[:, None] * rng.standard_normal(drawn.shape)
                low, high = np.quantile(drawn + judge, [0.05, 0.95], axis=1)
            some, error = np.isfinite(value), value - cnll
            budgets, right, regret = judged(plane, split, value) if some.all() else (None, None, None)
            rows.append({
                "plane": name, "form": form, "cells": len(split.fitted.cnll), "held_out": len(cnll),
                "answered": int(some.sum()),
                "rmse": float(np.sqrt((error[some] ** 2).mean())) if some.any() else None,
                "relative": 100 * float(np.sqrt(((error / cnll)[some] ** 2).mean())) if some.any() else None,
                "covered": None if form == PAPERS else float(((low <= cnll) & (cnll <= high)).mean()),
                "reach": None if form == PAPERS else float((high - low).mean() / 2),
                "budgets": budgets, "right": right, "regret": regret,
            })  # fmt: skip
    table = pd.DataFrame(rows)
    table = table[table["form"] != PAPERS]
    mean = table.groupby("form")["relative"].mean().sort_values()
    covered = table.groupby("form")["covered"].mean()
    notes = [
        f"{form}: mean RMSE {value:.2f}% of CNLL over {table['plane'].nunique()} planes, covered"
        f" {covered[form]:.2f}"
        for form, value in mean.items()
    ]
    publish(out, FORM_TABLE, rows, notes)
    kept = table[table["form"] == AVERAGED]
    assert mean[AVERAGED] <= 1.1 * mean.min()  # else another form should be kept
    assert covered[AVERAGED] >= 0.85
    assert (kept["right"].sum() / kept["budgets"].sum()) > 0.8


# Coverage.


@pytest.fixture(scope="module")
def drawn_from(request: pytest.FixtureRequest) -> list[Pool]:
    """Pools of 64 at six widths."""
    return trained("digits_plane", request.config.getoption("--store"))


def trained(study: str, store: str) -> list[Pool]:
    planned = plan_study(load_study(study))
    assert not [one for one in run(planned, Store(store)) if one.status == "failed"]
    return pools_of(planned, Store(store))


def test_intervals_cover_what_they_should(drawn_from: list[Pool], out: Path) -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(REPEATS):
        orders = [rng.permutation(len(pool.trained)) for pool in drawn_from]
        drawn = [taken_from(pool, order[:EACH]) for pool, order in zip(drawn_from, orders, strict=True)]
        others = [taken_from(pool, order[EACH:]) for pool, order in zip(drawn_from, orders, strict=True)]
        curves = curves_of([scored_pool(pool) for pool in drawn])
        posterior = fit_plane(checked([_smaller(c, EACH - 1) for c in curves[:4]], "plane"))
        for number, (curve, pool, rest) in enumerate(zip(curves, drawn, others, strict=True)):
            sizes = [size for size in SIZES if size <= EACH and (number >= 4 or size == EACH)]
            draws = posterior.draws(np.array(sizes, float), np.full(len(sizes), float(curve.parameters)))
            truth, own = (size_losses(p.logits, p.labels, sizes)[0] for p in (rest, pool))
            for size, row in zip(sizes, draws, strict=True):
                low, high = np.quantile(row, [0.05, 0.95])
                true, again = (float(losses[size].mean()) for losses in (truth, own))
                hits = [low <= value <= high for value in (true, again)]
                found.append((curve.width, size, *hits, row.mean() - true, (high - low) / 2))
    frame = pd.DataFrame(found, columns=["width", "members", "covered", "covered_again", "error", "reach"])
    cells = frame.groupby(["width", "members"])
    table = cells.mean().assign(
        planes=REPEATS, rmse=cells["error"].agg(lambda error: np.sqrt((error**2).mean()))
    )
    covered, again = frame["covered"].mean(), frame["covered_again"].mean()
    notes = [
        f"Of {len(frame)} held-out cells over {REPEATS} planes {covered:.1%} are covered; by the plane's own"
        f" members {again:.1%}."
    ]
    publish(out, COVERAGE_TABLE, table.reset_index().to_dict("records"), notes)
    assert 0.80 <= covered <= 0.98


# Search.


def replays(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[Pool], str]]:
    """Studies whose members are there, budget by budget; digits out of larger pools."""
    asked = [("digits", request.config.getoption("--store"))]
    asked += [tuple(one.split("=", 1)) for one in request.config.getoption("--replay")]
    for name, store in asked:
        study = load_study(name)
        pools = trained("digits_reference" if name == "digits" else name, store)
        for budget in study.budgets:
            widths = {split.width for split in plan_study(study).splits if split.budget == _number(budget)}
            if len(widths) > 2:
                yield name, pools, str(budget)


def _number(budget: str | int) -> int:
    return parse_budget(budget)[0]


def of_sizes(space: Space, cells: Mapping[int, Pool]) -> dict[int, float]:
    """Mean CNLL of every candidate by its members, from pools by width."""
    found = {}
    for one in space.budget.candidates:
        pool = cells[one.width]
        losses, _ = size_losses(pool.logits, pool.labels, [one.members])
        found[one.members] = float(losses[one.members].mean())
    return found


def replayed(space: Space, cells: Mapping[int, Pool], orders: Mapping[int, Sequence[int]]) -> SearchState:
    """The last state of a search that takes its members from pools, in these orders."""
    states: list[SearchState] = []
    try:
        policy = Policy(space.budget, SPEND * space.grid, space.grid)
        search(policy, Replay(space, cells, orders), on_state=states.append)
    except IncompleteError:  # the spend is gone before there is a law: it picks nothing
        pass
    return states[-1]


def picked(space: Space, cells: Mapping[int, Pool], seed: int) -> tuple[Row, int | None, int]:
    """What a search and the full grid pick where members come in an order of this seed's."""
    rng = np.random.default_rng(seed)
    orders = {width: rng.permutation(len(pool.trained)).tolist() for width, pool in cells.items()}
    grid = {w: taken_from(cells[w], orders[w][: cell.members]) for w, cell in space.cells.items()}
    measured, state = of_sizes(space, grid), replayed(space, cells, orders)
    best = state.decision.best.members if state.decision.best else None
    row: Row = {
        "study": space.search.study.name, "budget": space.budget.budget, "seed": seed, "members": best,
        "share": state.spent / space.grid, "trained": sum(len(one.seeds) for one in state.rounds),
        "rounds": len(state.rounds), "confidence": state.decision.confidence,
        "stopped": state.decision.reason,
    }  # fmt: skip
    return row, best, min(measured, key=lambda n: measured[n])


def test_a_search_picks_well_for_a_quarter_of_the_grid(request: pytest.FixtureRequest, out: Path) -> None:
    rows, notes, missed = list[Row](), list[str](), list[str]()
    for name, pools, budget in replays(request):
        space = space_of(load_study(name), budget)
        cells = {pool.planned.cell.width: pool for pool in pools if pool.planned.cell.width in space.cells}
        measured = of_sizes(space, cells)
        lowest = min(measured.values())
        for seed in range(SEEDS):
            row, best, full = picked(space, cells, seed)
            row["regret_percent"] = 100 * (measured[best] / lowest - 1) if best else None
            row["grid_regret_percent"] = 100 * (measured[full] / lowest - 1)
            rows.append(row)
        some = rows[-SEEDS:]
        near, full_near = (
            sum(row[column] is not None and float(str(row[column])) <= 100 * NEAR for row in some)
            for column in ("regret_percent", "grid_regret_percent")
        )
        shares = [float(row["share"] or 0) for row in some]
        notes.append(
            f"{rows[-1]['study']} at {rows[-1]['budget']:,}: within {NEAR:.0%} of the best in {near} of"
            f" {SEEDS} seeds, for {min(shares):.1%} to {max(shares):.1%} of the grid; the full grid in"
            f" {full_near}. Measured: " + ", ".join(f"n = {n}: {value:.4f}" for n, value in measured.items())
        )
        print(notes[-1], flush=True)
        missed += notes[-1:] if near < ENOUGH else []
    publish(out, SEARCH_TABLE, rows, notes)
    assert all(float(row["share"] or 0) <= SPEND + 1e-9 for row in rows)
    assert not missed


# Time.


def test_a_prediction_takes_seconds(drawn_from: list[Pool], request: pytest.FixtureRequest) -> None:
    """The whole command, its start included, beside a command that only starts."""
    store = str(request.config.getoption("--store"))

    def seconds(*arguments: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ensembudget", *arguments], check=True, capture_output=True)
        return time.perf_counter() - began

    rounds = [
        (
            seconds("ls", "modes"),
            seconds("predict", "digits", "--budget", "250k", "--store", store),
            seconds("predict", "digits_plane", "--budget", "250k", "--store", store),
        )
        for _ in range(5)
    ]
    start, small, large = np.median(rounds, axis=0)
    print(f"\nstart {start:.1f} s; predict from 144 members {small:.1f} s, from 384 members {large:.1f} s")
    assert small <= 10
