"""Whether intervals cover the truth, and how often verdicts are wrong: simulations whose truth is known.

Command: pytest benchmarks/test_coverage.py -s
Writes its tables to --out (default: tables/coverage). Needs no store and trains nothing.
"""

from pathlib import Path

from benchmarks.coverage import comparisons, dynamics, intervals, laws, maps, predictions
from benchmarks.publishing import publish

OUT = "tables/coverage"


def test_predictions_beyond_the_widest_width(out: Path) -> None:
    rows = [predictions.row_of(kind) for kind in predictions.TRUTHS]
    publish(out, predictions.TABLE, rows)
    assert all(float(str(row["covered_ok"])) >= 0.8 for row in rows if row["truth"] != predictions.UNBOUNDED)
    assert float(str(rows[0]["ok"])) >= 0.8  # where the law holds: a tool that never says ok is no use


def test_laws_from_one_pool_and_along_width(out: Path) -> None:
    rows = list(laws.rows())
    publish(out, laws.TABLE, rows)
    for row in rows[:-1]:
        assert all(float(str(row[name])) >= 0.92 for name in "abc"), row
    assert float(str(rows[-1]["ok"])) <= 0.05  # a logarithm has no asymptote


def test_verdicts_on_runs_on_the_sphere_are_rarely_false(out):
    rows = dynamics.verdicts()
    publish(out, dynamics.VERDICT_TABLE, rows)
    assert all(row["false"] <= dynamics.FALSE for row in rows)
    assert all(row["false"] == 0 for row in rows if row["noise"] == 0)
    assert all(row["covered"] >= dynamics.SLOPE_COVERED for row in rows if row["covered"] is not None)


def test_periods_are_as_long_as_they_are(out):
    rows = dynamics.periods()
    publish(out, dynamics.PERIOD_TABLE, rows)
    low, high = dynamics.COVERED
    assert all(low <= row["covered"] <= high for row in rows)
    assert all(abs(row["bias"]) <= dynamics.BIAS for row in rows if row["length"] >= dynamics.LONG_ENOUGH)
    assert all(0.9 <= row["found"] <= 1.05 for row in rows)


def test_slopes_of_periods_are_those_of_the_grid(out):
    rows = dynamics.slopes()
    publish(out, dynamics.SLOPE_TABLE, rows)
    for row in rows:
        if row["noise"] <= 0.1:
            assert abs(row["bias"]) <= dynamics.SLOPE_BIAS
            assert row["covered"] >= dynamics.COVERED[0]


def test_intervals_of_one_pool_cover(out: Path) -> None:
    rows = [row for kind in intervals.KINDS for row in intervals.pool_rows(kind)]
    publish(out, intervals.INTERVALS, rows)
    assert all(92 <= float(row[name]) <= 98 for row in rows for name in intervals.WITH_ERRORS)


def test_intervals_of_differences_cover(out: Path) -> None:
    rows = [row for kind in intervals.FEWER_KINDS for row in intervals.difference_rows(kind)]
    publish(out, intervals.DIFFERENCES, rows)
    assert all(92 <= float(row["covered"]) <= 98 for row in rows)


def test_verdicts_on_equal_splits_are_seldom_wrong(out: Path) -> None:
    rows = [intervals.family_row(kind, pool) for pool in intervals.DESIGNS for kind in intervals.FEWER_KINDS]
    publish(out, intervals.FAMILIES, rows)
    default = [row for row in rows if row["pool"] == intervals.DESIGNS[0]]
    assert all(float(row[name]) <= 6 for row in default for name in ("better", "below_best"))


def test_crossings_and_shares_of_a_map_cover(out: Path) -> None:
    rows = [maps.row_of(ties) for ties in maps.TIES]
    publish(out, maps.TABLE, rows)
    for row in rows:
        assert all(float(row[name]) >= 91 for name in ("crossing", "share", "shares", "difference"))
        assert float(row["false_change"]) <= 5


def test_equal_results_are_seldom_called_different(out: Path) -> None:
    rows = comparisons.rows()
    publish(out, comparisons.TABLE, rows)
    equal = [row for row in rows if row["case"] != comparisons.CASES[-1].name]
    assert all(float(str(row["different"])) <= 8 for row in equal)
    assert max(float(str(row["different"])) for row in rows if row not in equal) >= 60  # one can be seen
