"""The table of predictions against predictions that are made up."""

from dataclasses import replace

import numpy as np
import pytest

from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import WidthCurve, checked
from ensembudget.records import Extrapolation, Interval, PredictedSplit, Prediction
from ensembudget.rendering.render import from_csv, render, to_csv
from ensembudget.tables import predictions


def split(members: int, cnll: float, share: float) -> PredictedSplit:
    return PredictedSplit(
        members=members,
        width=64 // members,
        parameters_total=1000 + members,
        cnll=Interval(value=cnll, low=cnll - 0.1, high=cnll + 0.2),
        probability_best=share,
        gain=Interval(value=1 - cnll, low=0.9 - cnll, high=1.2 - cnll),
        extrapolation=Extrapolation(width=4.5 / members, members=1.0, budget=2.25),
    )


def prediction(best: int, status: str = "ok", budget: int = 1000) -> Prediction:
    splits = [split(1, 1.0, 0.25), split(2, 0.75, 0.625), split(4, 0.8125, 0.125)]
    return Prediction(budget=budget, budget_kind="bytes", best=best, status=status, splits=splits)


def test_every_split_of_every_budget_is_a_row():
    rows = predictions.table.rows([prediction(2), prediction(1, "no law", budget=2000)])
    assert [(row["budget"], row["members"]) for row in rows] == [
        (b, n) for b in (1000, 2000) for n in (1, 2, 4)
    ]
    assert [row["best"] for row in rows] == ["", "best", "", "best", "", ""]
    assert [row["status"] for row in rows] == ["ok"] * 3 + ["no law"] * 3
    one = rows[1]
    assert (one["width"], one["parameters_total"], one["budget_kind"]) == (32, 1002, "bytes")
    assert (one["cnll"], one["cnll_low"], one["cnll_high"]) == pytest.approx((0.75, 0.65, 0.95))
    assert (one["gain"], one["gain_low"], one["gain_high"]) == pytest.approx((0.25, 0.15, 0.45))
    assert (one["beyond_width"], one["beyond_members"], one["beyond_budget"]) == (2.25, 1.0, 2.25)
    assert one["probability_best"] == 0.625


def test_a_table_survives_its_csv_and_marks_the_best_alone():
    rows = predictions.table.rows([prediction(2)])
    again = from_csv(to_csv(predictions.table, rows))
    assert [{**row, "best": row["best"] or ""} for row in again] == rows
    for kind in ("md", "html"):
        marked = [line for line in render(predictions.table, rows, kind).splitlines() if "2 ★" in line]
        assert len(marked) == 1
        assert "0.7500" in render(predictions.table, rows, kind)
    text = render(predictions.table, rows, "md")
    assert "+0.2500 [+0.1500, +0.4500]" in text
    assert "0.62" in text


def test_a_verdict_says_the_best_its_interval_and_its_gain():
    (said,) = predictions.verdicts([prediction(2)])
    assert said.startswith("At 1,000 bytes the best split is expected to be n = 2 (width 32)")
    assert "CNLL 0.7500 [0.6500, 0.9500], best with probability 0.62" in said
    assert "+0.2500 [+0.1500, +0.4500] better than the wide network" in said
    assert "But" not in said


def test_a_verdict_for_the_wide_network_has_no_gain_and_says_what_is_not_carried():
    first, second = predictions.verdicts([prediction(1), prediction(1, "not carried by the data: so")])
    assert "better than" not in first
    assert second == first.removesuffix(".") + ". But not carried by the data: so."


def test_the_law_in_numbers_gives_the_measured_cells_back():
    sizes = np.array([1.0, 2, 4, 8])

    def curve(k):
        return WidthCurve(k, 1000 * k * k, sizes, 0.5 + 0.3 * sizes**-0.75 + 0.6 * 4 / k, np.zeros((4, 4)))

    plane = checked([curve(k) for k in (4, 6, 8, 12)], "plane")
    note = predictions.law_note(fit_plane(plane))
    formula, rest = note.removeprefix("Law: CNLL = ").split(", q the parameters of a member over ")
    assert rest.startswith("16,000; from 16 cells of 4 widths, which lie ")
    for n, parameters, cnll in zip(plane.members, plane.parameters, plane.cnll, strict=True):
        total = 0.0
        for term in formula.split(" + "):
            number, *powers = term.split()
            for power in powers:
                base, exponent = power.split("^-")
                number = float(number) * {"n": n, "q": parameters / 16_000}[base] ** -float(exponent)
            total += float(number)
        assert total == pytest.approx(cnll, abs=0.02)


@pytest.mark.parametrize(("doubted", "said"), [((), None), ((6,), "width 6"), ((4, 12), "width 4, 12")])
def test_the_law_in_numbers_names_the_widths_that_count_less(doubted, said):
    sizes = np.array([1.0, 2])
    curves = [
        WidthCurve(k, k * k, sizes, 0.5 + 0.3 / sizes + 1 / k, 1e-4 * (0.75 + 0.25 * np.eye(2)))
        for k in (4, 6, 8, 12)
    ]
    posterior = fit_plane(checked(curves, "plane"))
    more = np.isin(posterior.plane.parameters, np.square(doubted))
    note = predictions.law_note(replace(posterior, noise=posterior.noise + np.diag(0.01 * more)))
    assert ("counted less" in note) == bool(doubted)
    if said:
        assert note.endswith(f"counted less: {said}.")
