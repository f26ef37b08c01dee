"""What each word of the command line does: calls one verb, prints what came of it."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import recipes, studies
from .budgets._base import parse_budget
from .catalog import BUDGETS, DATASETS, EXECUTORS, FAMILIES, LAWS, MODES, Catalog
from .datasets._base import task_of
from .errors import FitError, PlanError, ScoreError, did_you_mean
from .evaluate import evaluate, read_logits
from .laws._base import fit_points
from .plan import split
from .predict import plane_budget, predict, study_budget, study_plane
from .prediction.law import fit_plane
from .prediction.plane import read_plane
from .progress import duration, shown
from .records import Plan, Split, SteppingChoice
from .report.figures import predictions_figure
from .report.render import from_csv, render, to_csv
from .report.write import notes_of, open_folder, report, write_figure, write_table
from .run import (
    arrange,
    plan_study,
    run,
    seconds_left,
    status,
    stored_plan,
    training_flops,
)
from .scoring.ensembles import score_pool
from .search import Step, look, search, space_of, spend_of
from .store import Store
from .tables import arms, memory_split, power_laws, predictions, rounds, scores, sizes, steppings
from .tables._base import Column, Layout, Row
from .trial import Arrangement

CATALOGS: dict[str, Catalog[Any]] = {
    "families": FAMILIES,
    "datasets": DATASETS,
    "modes": MODES,
    "budgets": BUDGETS,
    "laws": LAWS,
    "executors": EXECUTORS,
}

SPLITS = Layout(
    "plan",
    "Splits",
    (
        Column("arm", "arm"),
        Column("budget_kind", "of"),
        Column("budget", "budget", ",d"),
        Column("members", "members", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.2f"),
        Column("flops_per_sample", "FLOP/sample", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("activations_per_sample", "activations", ",d"),
    ),
)

STATUS = Layout(
    "status",
    "Members",
    (
        Column("arm", "arm"),
        Column("family", "family"),
        Column("width", "width", "d"),
        Column("hyperparameters", "hyperparameters"),
        Column("planned", "planned", "d"),
        Column("done", "done", "d"),
        Column("diverged", "diverged", "d"),
        Column("failed", "failed", "d"),
        Column("seconds_each", "seconds each", ".1f"),
    ),
)


# What a screen shows of a table, and the sentences that say it in words.
SHORT = {"memory_split": memory_split.summary}
VERDICTS = {"memory_split": memory_split.verdicts, "arms": arms.verdicts}


def quickstart_command(args: argparse.Namespace) -> int:
    out = open_folder(args.out)
    planned, store = plan_study(studies.load("digits")), Store(out / "store")
    print(render(SPLITS, [_split_row(s) for s in planned.splits], "txt"))
    failed = _train(planned, store, arrange(planned, store), "processes")
    _print_report(planned, store, out / "report", None, allow_partial=False)
    return failed


def ls_command(args: argparse.Namespace) -> int:
    if args.what == "studies":
        lines = [(name, studies.load(name).description) for name in studies.names()]
    elif args.what == "recipes":
        lines = [(name, recipes.source(name)) for name in recipes.names()]
    else:
        catalog = CATALOGS[args.what]
        lines = [(name, catalog.summary(name)) for name in catalog]
    longest = max(len(name) for name, _ in lines)
    for name, about in lines:
        print(f"{name:{longest}}  {about}")
    return 0


def plan_command(args: argparse.Namespace) -> int:
    options = {
        name.removeprefix("option_"): value
        for name, value in vars(args).items()
        if name.startswith("option_") and value is not None
    }
    FAMILIES[args.family]
    if args.budget_kind is not None:
        BUDGETS[args.budget_kind]
    members = [_whole(text, "--members") for text in args.members.split(",")]
    budgets = [parse_budget(text, args.budget_kind) for text in args.budget.split(",")]
    task = task_of(args.dataset)
    chosen = {"options": options, "multiple_of": args.multiple_of, "dtype": args.dtype}
    found = [split(args.family, task, budget, n, kind, **chosen) for budget, kind in budgets for n in members]
    rows = [_split_row(one) for one in found]
    _print_rows(SPLITS, rows, args.format)
    off = [one for one in found if abs(one.error_percent) > 1]
    if off and args.format == "table":
        print(
            f"{len(off)} of {len(found)} splits are more than 1% off their budget: widths are whole numbers."
        )
    return 0


def run_command(args: argparse.Namespace) -> int:
    planned, store = plan_study(studies.load(args.study)), Store(_store_path(args))
    given = SteppingChoice() if args.stepping is None else parse_stepping(args.stepping)
    # Every fault of the request, before a store is made.
    arrangement = arrange(
        planned,
        store,
        executor=args.executor,
        workers=args.workers,
        threads=args.threads,
        device=args.device,
        stepping=given,
    )
    if not args.dry_run:
        return _train(planned, store, arrangement, args.executor)
    runs = [run for run in planned.runs if run.key not in store]
    print(render(SPLITS, [_split_row(s) for s in planned.splits], "txt"))
    if runs:
        print(render(steppings.layout, steppings.rows(planned, arrangement), "txt"))
    left = seconds_left(status(planned, store), planned)
    print(
        f"{len(planned.runs)} members planned, {len(planned.runs) - len(runs)} in the store,"
        f" {len(runs)} to train: {training_flops(planned, runs):.3g} FLOP"
        + (f", about {duration(left)} one after another" if left is not None else "")
        + ". Nothing was trained."
    )
    return 0


def parse_stepping(text: str) -> SteppingChoice:
    """What `--stepping` says, like `pack=8,compiled=no`.

    >>> parse_stepping("pack=8,compiled=no").fixed
    {'pack': 8, 'compiled': False}
    """
    try:
        pairs = [part.split("=", 1) for part in text.split(",")]
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a field twice")
        return SteppingChoice.model_validate_strings(dict(pairs))
    except ValueError:
        raise PlanError(
            f"--stepping {text!r} cannot be read. Write what is to be fixed of pack=8,way=grouped,"
            "layout=channels_last,compiled=no,captured=no,threads=1; way is grouped, separate or vmap, layout"
            " channels_last or contiguous."
        ) from None


def _train(planned: Plan, store: Store, arrangement: Arrangement, executor: str) -> int:
    name = planned.study.name
    with shown(name) as on_progress:
        outcomes = run(planned, store, executor=executor, arrangement=arrangement, on_progress=on_progress)
    failed = [one for one in outcomes if one.status == "failed"]
    diverged = sum(one.status == "diverged" for one in outcomes)
    done = f"{len(outcomes) - len(failed)} members done now" if outcomes else "nothing was missing"
    print(
        f"{name}: {done}"
        + (f", {diverged} of them diverged" if diverged else "")
        + (f"; {len(failed)} failed" if failed else "")
        + f". {len(planned.runs)} planned.",
        file=sys.stderr,
    )
    for reason in sorted({one.reason or "" for one in failed}):
        print(f"ensembudget: {sum(one.reason == reason for one in failed)} failed: {reason}", file=sys.stderr)
    return 1 if failed else 0


def status_command(args: argparse.Namespace) -> int:
    study, store = studies.load(args.study), _existing_store(args)
    planned = stored_plan(study, store)
    rows = status(planned, store)
    print(render(STATUS, [
        {
            "arm": row.planned.arm or None,
            "family": row.planned.cell.family,
            "width": row.planned.cell.width,
            "hyperparameters": row.planned.origin,
            "planned": row.planned.members,
            "done": row.done,
            "diverged": row.diverged,
            "failed": row.failed,
            "seconds_each": row.seconds_each,
        }
        for row in rows
    ], "txt"))  # fmt: skip
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {reason}")
    left, missing = seconds_left(rows, planned), sum(row.missing for row in rows)
    when = "unknown, nothing is trained yet" if left is None else f"about {duration(left)} one after another"
    print(f"{missing} of {len(planned.runs)} members to train; time left: {when if missing else 'none'}.")
    return 0


def report_command(args: argparse.Namespace) -> int:
    study, store = studies.load(args.study), _existing_store(args)
    planned = stored_plan(study, store)
    out = Path(args.out) if args.out else Path("report") / study.name
    _print_report(planned, store, out, args.costs, allow_partial=args.allow_partial)
    return 0


def _print_report(planned: Plan, store: Store, out: Path, costs: str | None, *, allow_partial: bool) -> None:
    results = evaluate(planned, store, allow_partial=allow_partial)
    tables = report(results, out, read_costs(costs) if costs else None)
    for name, table in tables.items():
        # As a CSV has it: what is printed is what was written.
        rows = from_csv((out / f"{name}.csv").read_text())
        print(render(SHORT.get(name, table.layout), rows, "txt"))
        if name in VERDICTS:
            print(*VERDICTS[name](rows), sep="\n", end="\n\n")
    if results.partial:
        print(*notes_of(results), sep="\n", end="\n\n")
    print(f"Tables, figures and manifest are in {out}.")


def evaluate_command(args: argparse.Namespace) -> int:
    logits, labels = read_logits(args.logits)
    folder = open_folder(args.out) if args.out else None
    scored = score_pool(logits, labels)
    rows = sizes.rows(logits, labels, scored)
    if folder:
        write_table(folder, scores.layout, [scores.score_row(score) for score in scored.scores], [])
        write_table(folder, sizes.layout, rows, [])
    _print_rows(sizes.layout, rows, args.format)
    return 0


def fit_command(args: argparse.Namespace) -> int:
    x, y = _columns(args.points, args.x, args.y)
    LAWS[args.law]
    fitted = fit_points(x, y, args.law, args.objective)
    if args.format == "json":
        print(json.dumps(fitted.model_dump(mode="json"), indent=1))
        return 0
    print(render(power_laws.layout, [power_laws.fit_row(args.x, args.y, fitted)], "txt"))
    if fitted.status != "ok":
        print(f"No law: {fitted.status}.")
    return 0


def predict_command(args: argparse.Namespace) -> int:
    members = None if args.members is None else [_whole(one, "--members") for one in args.members.split(",")]
    written = args.budget.split(",")
    if args.source.endswith(".csv"):
        plane = read_plane(args.source, args.arm)
        budgets = [plane_budget(plane, one, members) for one in written]
    else:
        study, store = studies.load(args.source), _existing_store(args)
        plane, arm = study_plane(stored_plan(study, store), store, args.arm)
        budgets = [study_budget(study, plane, one, arm, members) for one in written]
    folder = open_folder(args.out) if args.out else None
    posterior = fit_plane(plane)
    found = predict(posterior, budgets)
    rows, said = predictions.rows(found), [*predictions.verdicts(found), predictions.law_note(posterior)]
    if folder:
        write_table(folder, predictions.layout, rows, said)
        write_figure(folder, "predictions", predictions_figure(rows, plane.measured))
    if args.format == "json":
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return 0
    _print_rows(predictions.layout, rows, args.format)
    if args.format == "table":
        print(*said, sep="\n")
    return 0


def search_command(args: argparse.Namespace) -> int:
    study, store = studies.load(args.study), Store(_store_path(args))
    space = space_of(study, args.budget, args.arm)
    spend = spend_of(args.spend, space.grid)
    bounds = {"tolerance": args.tolerance, "confidence": args.confidence}

    def say(step: Step) -> None:
        print(rounds.sentence(step, space, spend), file=sys.stderr, flush=True)

    EXECUTORS[args.executor]
    if args.dry_run:
        say(look(space, store, spend, **bounds))
        print("Nothing was trained.", file=sys.stderr)
        return 0
    found = search(space, store, spend, **bounds, executor=args.executor, device=args.device, on_step=say)
    failed = [one for one in found.outcomes if one.status == "failed"]
    for reason in sorted({one.reason or "" for one in failed}):
        print(f"ensembudget: {len(failed)} failed: {reason}", file=sys.stderr)
    if args.format == "json":
        print(json.dumps(rounds.document(found, space), indent=1))
        return 1 if failed else 0
    known = [found.prediction] if found.prediction else []
    print(render(rounds.layout, rounds.rows(found.step, space), "txt"))
    print(render(predictions.layout, predictions.rows(known), "txt"))
    print(*predictions.verdicts(known), sep="\n")
    return 1 if failed else 0


def _columns(path: str, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise FitError(f"points {path!r} cannot be read as CSV: {str(error).strip()}.") from None
    for flag, column in (("--x", x), ("--y", y)):
        if column not in frame:
            raise FitError(
                f"{flag} {column!r} is no column of {path!r}.{did_you_mean(column, frame.columns)}"
                f" It has {', '.join(map(str, frame.columns))}."
            )
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise FitError(f"{flag} {column!r} of {path!r} is not a column of numbers.")
    return frame[x].to_numpy(np.float64), frame[y].to_numpy(np.float64)


def read_costs(path: str) -> dict[memory_split.Place, Row]:
    """Costs by (arm, budget, members), as the benchmarks write them."""
    try:
        rows = from_csv(Path(path).read_text())
        if not rows:
            raise ValueError("it has no rows")
        return {
            memory_split.place_of(row): {
                k: v for k, v in row.items() if k not in ("arm", "budget", "members")
            }
            for row in rows
        }
    except (OSError, KeyError, ValueError) as error:
        raise ScoreError(f"costs {path!r} cannot be read: {error}.") from None


def _print_rows(layout: Layout, rows: Sequence[Row], kind: str) -> None:
    if kind == "json":
        print(json.dumps(rows, indent=1))
    elif kind == "csv":
        print(to_csv(layout, rows), end="")
    else:
        print(render(layout, rows, "txt"))


def _split_row(one: Split) -> Row:
    return {"arm": one.arm, **one.model_dump()} if one.arm else one.model_dump(exclude={"arm"})


def _whole(text: str, flag: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise PlanError(f"{flag} {text!r} is not a whole number. Write it like 1,2,4,8.") from None
    if not np.isfinite(number) or number != int(number) or number < 1:
        raise PlanError(f"{flag} {text!r} must be a whole number of at least 1.")
    return int(number)


def _store_path(args: argparse.Namespace) -> Path:
    return Path(args.store or os.environ.get("ENSEMBUDGET_STORE") or "store")


def _existing_store(args: argparse.Namespace) -> Store:
    """The store, for verbs that only read: asking must not make one."""
    path = _store_path(args)
    if not (path / "store.json").exists():
        raise PlanError(f"no store at {str(path)!r}. Train with `run` first, or name one with --store.")
    return Store(path)
