"""The published tables of training dynamics and of arms: to the byte what their CSV says, and their law."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import linregress, t

from ensembudget.dynamics.regimes import REGIMES, VERDICTS
from ensembudget.rendering.render import from_csv, render
from ensembudget.tables import arms, period_laws, periods, regime_boundaries, regimes

TABLES = Path(__file__).parents[1] / "tables"
LAYOUTS = {
    one.name: one
    for one in (regimes.table, regime_boundaries.table, periods.table, period_laws.table, arms.table)
}
BESIDE = {"regime_boundaries": "regimes", "period_laws": "periods"}  # written only with the other
NEEDED = {
    "regimes": {"epoch", "train_loss", "effective_gradient_norm", "effective_learning_rate", "mode", "width"},
    "periods": {
        "epoch", "train_loss", "norm", "effective_learning_rate", "effective_gradient_norm",
        "learning_rate", "weight_decay", "mode", "width",
    },
}  # fmt: skip


def folders(name: str) -> list[Path]:
    """Those that have this table: it is published, so there is one."""
    found = sorted(path.parent for path in TABLES.glob(f"*/{name}.csv"))
    assert found, f"no folder of {TABLES.name}/ has a {name}.csv"
    return found


def rows_of(folder: Path, name: str) -> list[dict]:
    path = folder / f"{name}.csv"
    return from_csv(path.read_text()) if path.exists() else []


def close(values) -> object:
    return pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_published_table_renders_from_its_csv_and_manifest_again(name, kind):
    for folder in folders(name):
        manifest = json.loads((folder / "manifest.json").read_text())
        notes, study = manifest["notes"][name], manifest["study"]["name"]
        rows = rows_of(folder, name)
        assert rows, folder
        again = render(LAYOUTS[name], rows, kind, notes, study)
        assert again == (folder / f"{name}.{kind}").read_text(), folder


@pytest.mark.parametrize("name", BESIDE)
def test_no_table_is_left_behind_by_another_report(name):
    """Laws and boundaries are of the runs beside them, and in the manifest."""
    for folder in folders(name):
        assert rows_of(folder, BESIDE[name]), folder
        notes = json.loads((folder / "manifest.json").read_text())["notes"]
        assert {name, BESIDE[name]} <= set(notes), folder


@pytest.mark.parametrize("name", NEEDED)
def test_a_published_table_has_its_figures_and_a_history_to_draw_them_from(name):
    for folder in folders(name):
        with (folder / "history.csv").open(newline="") as file:
            reader = csv.DictReader(file)
            assert NEEDED[name] <= set(reader.fieldnames or ()), folder
            count = sum(1 for _ in reader)
        assert count >= 20 * len(rows_of(folder, name)), folder
        for figure in (name, f"{name}_phase"):
            assert (folder / f"{figure}.svg").stat().st_size > 1000
            assert (folder / f"{figure}.png").stat().st_size > 1000
        if rows_of(folder, "period_laws"):
            assert (folder / "period_laws.svg").exists()


def counts_of(row) -> dict[str, int]:
    """How many runs each verdict is on."""
    return {name: row.get(name.replace(" ", "_"), 0) for name in VERDICTS}


def test_published_regimes_have_many_rates_and_all_three():
    for folder in folders("regimes"):
        rows = rows_of(folder, "regimes")
        assert len({row["effective_learning_rate"] for row in rows}) >= 8, folder
        names = {str(row["regime"]).split(" (")[0] for row in rows}
        assert {*REGIMES} <= names <= {*VERDICTS}, folder
        for row in rows:
            counts = counts_of(row)
            assert sum(counts.values()) == row["members"]
            assert max(counts.values()) == counts[str(row["regime"]).split(" (")[0]]


def test_published_boundaries_have_no_known_run_on_the_wrong_side():
    for folder in folders("regime_boundaries"):
        rows = rows_of(folder, "regimes")
        for one in rows_of(folder, "regime_boundaries"):
            if one["status"] != "ok":
                continue
            upper = 1 + [" and divergence" in str(one["between"])].count(True)
            lower = REGIMES[:1] if upper == 1 else [name for name in VERDICTS if name != "divergence"]
            same = [r for r in rows if all(r[n] == one[n] for n in ("dataset", "family", "mode", "width"))]
            for row in same:
                above = sum(counts_of(row)[name] for name in REGIMES[upper:])
                below = sum(counts_of(row)[name] for name in lower)
                if row["effective_learning_rate"] <= one["effective_learning_rate_low"]:
                    assert above == 0, (folder, row)
                if row["effective_learning_rate"] >= one["effective_learning_rate_high"]:
                    assert below == 0, (folder, row)
                if row["effective_learning_rate"] == one["effective_learning_rate_low"]:
                    assert below == row["members"], (folder, row)
                if row["effective_learning_rate"] == one["effective_learning_rate_high"]:
                    assert above == row["members"], (folder, row)


def test_the_published_law_is_the_regression_over_the_periodic_rows():
    for folder in folders("period_laws"):
        for law in rows_of(folder, "period_laws"):
            rows = [
                row
                for row in rows_of(folder, "periods")
                if row["kind"] == "periodic" and row["period"] is not None
                and all(row[n] == law[n] for n in ("dataset", "family", "width"))
            ]  # fmt: skip
            rates, decays, found = (
                np.log([row[n] for row in rows]) for n in ("learning_rate", "weight_decay", "period")
            )
            assert law["points"] == len(rows)
            if law["along"] == "learning rate x weight decay":
                line = linregress(rates + decays, found)
                slope, error, freedom = line.slope, line.stderr, len(rows) - 2
            else:
                place = 1 + (law["along"] == "weight decay")
                best, covariance = curve_fit(
                    lambda x, a, b, c: a + b * x[0] + c * x[1], np.stack([rates, decays]), found, (0, -1, -1)
                )
                slope, error, freedom = best[place], math.sqrt(covariance[place, place]), len(rows) - 3
            reach = t.ppf(0.975, freedom) * error
            ends = [law["slope"], law["slope_low"], law["slope_high"]]
            assert ends == pytest.approx([slope, slope - reach, slope + reach], abs=1e-4), (folder, law)
            inside = law["slope_low"] <= law["predicted"] <= law["slope_high"]
            assert law["verdict"] == ("inside the interval" if inside else "outside it")


def test_published_periods_agree_with_themselves():
    for folder in folders("periods"):
        for row in rows_of(folder, "periods"):
            assert row["product"] == close(row["learning_rate"] * row["weight_decay"])
            assert row["kind"] in ("periodic", "equilibrium", "settling")
            if row["period"] is not None:
                assert row["periods"] >= 2
                assert row["period_low"] <= row["period"] <= row["period_high"]
                assert row["period_of_product"] == close(row["period"] * row["product"])
            if row["loss_before"] is not None:
                assert row["loss_peak"] >= 10 * row["loss_before"]
            assert row["balance"] >= 0


def test_published_arms_agree_with_themselves():
    for folder in folders("arms"):
        rows = rows_of(folder, "arms")
        for budget in {row["budget"] for row in rows}:
            head, *others = [row for row in rows if row["budget"] == budget]
            assert head["difference"] is None, folder
            assert others, folder
            for row in others:
                assert row["difference"] == close(row["cnll"] - head["cnll"])
                low, high = row["difference_low"], row["difference_high"]
                assert row["verdict"] == ("better" if high < 0 else "worse" if low > 0 else "tie")
                assert (row["split"] == "same") == (row["members"] == head["members"])
                if row.get("carried") is not None:
                    assert row["split"] == ("changed" if row["carried_low"] > 0 else "not told apart")
                    assert row["carried"] >= 0
