"""Verdicts of claims, the rows they are about, and every statistic beside scipy or a known truth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binomtest, linregress, t, ttest_1samp, ttest_ind

from benchmarks.claims.records import Claim, Claims, Rule, Verdict
from benchmarks.claims.selecting import UnreadableError, each, select
from benchmarks.claims.statistics import STATISTICS
from ensembudget.scoring.ensembles import score_pool

NUMBERS = st.floats(-100, 100)
INTERVALS = st.tuples(NUMBERS, NUMBERS).map(sorted)
SIDES = st.sampled_from(["above", "at_least", "below", "at_most"])
RULES = st.one_of(
    st.builds(lambda side, end: Rule(**{side: end}), SIDES, NUMBERS),
    INTERVALS.filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Rule(between=ends)),
)
OPPOSITE = {"above": "at_most", "at_least": "below", "below": "at_least", "at_most": "above"}
OTHER = {
    Verdict.SUPPORTED: Verdict.NOT_SUPPORTED,
    Verdict.NOT_SUPPORTED: Verdict.SUPPORTED,
    Verdict.UNDECIDED: Verdict.UNDECIDED,
}


def claim(statistic: str, column: str = "y", **fields) -> Claim:
    fixed = {"id": "x", "claim": "x", "source": "x", "studies": ["x"], "quantity": "x", "table": "x"}
    return Claim(**fixed, statistic=statistic, column=column, supported={"above": 0}, **fields)


def measure(rows, statistic: str, column: str = "y", **fields):
    return STATISTICS[statistic].read(rows, claim(statistic, column, **fields))


def interval_row(value: float, reach: float, **columns):
    return {"y": value, "y_low": value - reach, "y_high": value + reach, **columns}


# Verdicts.


@given(SIDES, NUMBERS, INTERVALS)
def test_a_rule_and_its_opposite_say_the_opposite(side, threshold, ends):
    opposite = Rule(**{OPPOSITE[side]: threshold}).verdict(*ends)
    assert OTHER[Rule(**{side: threshold}).verdict(*ends)] == opposite


@given(RULES, INTERVALS, st.floats(0, 1), st.floats(0, 1))
def test_a_narrower_interval_never_takes_a_verdict_back(rule, ends, one, other):
    low, high = ends
    inner = sorted(min(max(low + share * (high - low), low), high) for share in (one, other))
    if (wide := rule.verdict(low, high)) != Verdict.UNDECIDED:
        assert rule.verdict(*inner) == wide


@given(RULES, INTERVALS)
def test_a_verdict_holds_for_every_value_in_the_interval(rule, ends):
    alone = {rule.verdict(value, value) for value in (*ends, *np.clip(np.linspace(*ends, 7), *ends))}
    verdict = rule.verdict(*ends)
    if verdict == Verdict.UNDECIDED:
        return
    assert alone == {verdict}


@given(RULES, NUMBERS)
def test_a_single_value_is_always_decided(rule, value):
    assert rule.verdict(value, value) != Verdict.UNDECIDED


def test_touching_zero_is_not_above_it():
    assert Rule(above=0).verdict(0, 1) == Verdict.UNDECIDED
    assert Rule(at_least=0).verdict(0, 1) == Verdict.SUPPORTED
    assert Rule(above=0).verdict(-1, 0) == Verdict.NOT_SUPPORTED


def test_an_interval_wider_than_a_range_is_undecided():
    assert Rule(between=(-1, 1)).verdict(-2, 2) == Verdict.UNDECIDED


@pytest.mark.parametrize("sides", [{}, {"above": 0, "below": 1}, {"between": [1, 1]}, {"over": 0}])
def test_a_rule_names_one_side(sides):
    with pytest.raises(ValidationError):
        Rule(**sides)


# The file.


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ([claim("value"), claim("value")], "claims listed twice: x"),
        ([claim("value").model_copy(update={"studies": ("y",)})], "studies that are not listed: y"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(claims, says):
    with pytest.raises(ValidationError, match=says):
        Claims(studies={"x": {"seen": True}}, claims=[one.model_dump(exclude_unset=True) for one in claims])


# Rows.


def test_rows_are_looked_up_among_those_left():
    rows = [{"n": n, "b": b} for b, sizes in ((5, (1, 2)), (9, (1, 2, 4))) for n in sizes]
    assert select(rows, {"b": "largest", "n": "> 1"}) == [{"n": 2, "b": 9}, {"n": 4, "b": 9}]
    assert select(rows, {"n": "largest", "b": "smallest"}) == [{"n": 4, "b": 9}]
    assert select(rows, {"n": [1, 4], "b": 9}) == [{"n": 1, "b": 9}, {"n": 4, "b": 9}]
    assert select(rows, {"n": "last", "m?": 3}) == [{"n": 4, "b": 9}]
    assert select([{"n": None}, {"n": 0}], {"n": "known"}) == [{"n": 0}]


@pytest.mark.parametrize(
    ("where", "says"), [({"m": 1}, "no column 'm'"), ({"n": 3}, "no row with n 3"), ({"n": "> 9"}, "no row")]
)
def test_rows_that_are_not_there_are_named(where, says):
    with pytest.raises(UnreadableError, match=says):
        select([{"n": 1}, {"n": 2}], where)


def test_columns_that_a_table_lacks_make_no_settings():
    rows = [{"b": 1}, {"b": 2}, {"b": 1}]
    assert each(rows, ["arm", "b"]) == [[{"b": 1}, {"b": 1}], [{"b": 2}]]
    assert each(rows, ["arm"]) == [rows]


# Statistics of rows that have intervals.


def test_a_value_is_that_of_one_row_over_another_column():
    assert measure([interval_row(2, 1, z=2)], "value", over="z")[:2] == (1, (0.5, 1.5))
    with pytest.raises(UnreadableError, match="2 rows"):
        measure([interval_row(2, 1)] * 2, "value")


def test_a_value_without_ends_gets_the_reason_of_its_table():
    row = {"y": 1.0, "y_low": None, "y_high": None, "no_interval": "one member"}
    assert measure([row], "value") == (1.0, None, "one member")
    assert measure([{"y": 1.0, "status": "ok"}], "value").reason == "the table gives no interval there"
    with pytest.raises(UnreadableError, match="refused"):
        measure([{"y": None, "status": "refused"}], "value")


def test_the_lowest_of_rows_lies_between_the_lowest_ends():
    rows = [interval_row(0, 1), interval_row(0.5, 5), interval_row(2, 0.1)]
    assert measure(rows, "lowest")[:2] == (0, (-4.5, 1))


@pytest.mark.parametrize("correlation", [-0.99, 0.0, 0.99])
def test_a_difference_covers_the_truth_whatever_the_dependence(correlation):
    spread, draws = np.array([1.0, 2.0]), 2000
    covariance = np.outer(spread, spread) * np.array([[1, correlation], [correlation, 1]])
    seen = np.random.default_rng(0).multivariate_normal([0, 0], covariance, draws)
    covered = 0
    for one, other in seen:
        rows = [interval_row(one, 1.96, side=1), interval_row(other, 2 * 1.96, side=2)]
        low, high = measure(rows, "difference", first={"side": 1}, second={"side": 2}).ends
        covered += low <= 0 <= high
    assert covered / draws >= 0.94


def test_a_side_compared_with_itself_is_refused():
    with pytest.raises(UnreadableError, match="one setting"):
        measure([interval_row(1, 1, n=1)], "difference", first={"n": "largest"}, second={"n": "smallest"})


def test_a_lowest_difference_takes_the_lowest_of_each_side():
    rows = [interval_row(y, 1, b=b) for b, y in ((1, 5), (1, 4), (2, 1), (2, 2))]
    found = measure(rows, "lowest_difference", first={"b": "largest"}, second={"b": "smallest"})
    assert found[:2] == (-3, (-5, -1))


def test_a_ratio_has_the_ratios_of_opposite_ends():
    rows = [interval_row(4, 2, b=1), interval_row(2, 1, b=2)]
    found = measure(rows, "ratio", first={"b": 1}, second={"b": 2})
    assert found.value == 2
    assert found.ends == pytest.approx((2 / 3, 6))


def test_a_mean_of_independent_rows_has_the_interval_of_a_mean_of_normals():
    rows = [interval_row(y, 1.96) for y in (0, 1, 2, 5)]
    assert measure(rows, "mean").ends == pytest.approx((2 - 1.96 / 2, 2 + 1.96 / 2))


def splits(budget: int, shares: dict[int, float]):
    return [{"budget": budget, "members": n, "frequency_best": share} for n, share in shares.items()]


def test_the_best_n_may_rise_by_as_much_as_the_draws_say():
    rows = [*splits(1, {1: 0.6, 2: 0.39, 4: 0.01}), *splits(9, {1: 0.0, 2: 0.3, 4: 0.7})]
    assert measure(rows, "octaves", "budget")[:2] == (2, (0, 2))


def test_a_best_n_at_the_end_of_a_smaller_grid_gives_no_interval():
    rows = [*splits(1, {1: 0.1, 2: 0.9}), *splits(9, {1: 0.0, 2: 0.3, 4: 0.7})]
    found = measure(rows, "octaves", "budget")
    assert found.ends is None
    assert "no n above 2 was offered" in found.reason


def test_a_best_n_that_is_below_the_end_of_a_smaller_grid_gives_an_interval():
    rows = [*splits(1, {1: 1.0, 2: 0.0}), *splits(9, {1: 0.0, 2: 0.3, 4: 0.7})]
    assert measure(rows, "octaves", "budget")[:2] == (2, (1, 2))


# Statistics of samples.

SAMPLE = [0.1, 0.4, -0.3, 0.9, 0.35]


def test_a_sample_mean_has_students_interval():
    found = measure([{"y": y} for y in SAMPLE], "sample_mean")
    assert found.ends == pytest.approx(ttest_1samp(SAMPLE, 0).confidence_interval(0.95))
    assert measure([{"y": 1.0}], "sample_mean").ends is None


@pytest.mark.parametrize(("found", "of"), [(0, 4), (3, 5), (7, 7)])
def test_a_share_has_the_exact_interval(found, of):
    rows = [{"y": "ok" if i < found else "refused"} for i in range(of)]
    expected = binomtest(found, of).proportion_ci(0.95, "exact")
    assert measure(rows, "share", equals="ok").ends == pytest.approx(tuple(expected))


def test_a_root_mean_square_covers_the_spread():
    draws = np.random.default_rng(1).normal(0, 3, (2000, 5))
    ends = np.array([measure([{"y": y} for y in some], "rms").ends for some in draws])
    assert np.mean((ends[:, 0] <= 3) & (3 <= ends[:, 1])) == pytest.approx(0.95, abs=0.015)


def test_ensembles_are_compared_as_welch_does():
    other = [1.0, 1.1, 0.7]
    rows = [{"y": y, "n": 1} for y in SAMPLE] + [{"y": y, "n": 2} for y in other]
    found = measure(rows, "welch", first={"n": 1}, second={"n": 2})
    expected = ttest_ind(SAMPLE, other, equal_var=False)
    assert found.ends == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert measure(rows[:6], "welch", first={"n": 1}, second={"n": 2}).ends is None


def scores(members: int, seed: int, cell: str = "a"):
    made = torch.Generator().manual_seed(seed)
    logits = torch.randn(members, 60, 3, generator=made)
    return [
        {"cell": cell, "members": one.members, "replicate": one.replicate, **one.metrics}
        for one in score_pool(logits, torch.arange(60) % 3).scores
    ]


def test_a_doubling_is_of_the_same_members_so_that_nll_falls_in_every_pair():
    """By Jensen's inequality it does for every two ensembles whose members are together in the larger."""
    rows = scores(16, 0)
    nll = {(row["members"], row["replicate"]): row["nll"] for row in rows}
    pairs = {
        n: [nll[2 * n, j] - (nll[n, 2 * j] + nll[n, 2 * j + 1]) / 2 for j in range(8 // n)] for n in (1, 2)
    }
    assert all(change <= 0 for some in pairs.values() for change in some)
    found = measure(rows, "doublings", "nll")
    assert found.value == pytest.approx(max(np.mean(some) for some in pairs.values()))
    high = max(ttest_1samp(some, 0).confidence_interval(0.95).high for some in pairs.values())
    low = max(ttest_1samp(some, 0).confidence_interval(0.975).low for some in pairs.values())
    assert found.ends == pytest.approx((low, high))


def test_a_pool_of_few_members_shows_no_doubling():
    with pytest.raises(UnreadableError, match="4 disjoint ensembles"):
        measure(scores(4, 0), "doublings", "nll")


def test_improvement_is_the_slope_over_pools():
    rows = [row for pool in range(6) for row in scores(8, pool, str(pool))]
    x, y = [], []
    for pool in range(6):
        mine = [row for row in rows if row["cell"] == str(pool)]
        single = 1 - np.mean([row["accuracy"] for row in mine if row["members"] == 1])
        four = [row for row in mine if row["members"] == 4]
        x.append(np.mean([row["disagreement"] for row in four]) / single)
        y.append(1 - (1 - np.mean([row["accuracy"] for row in four])) / single)
    line = linregress(x, y)
    found = measure(rows, "improvement", "accuracy")
    reach = t.isf(0.025, 4) * line.stderr
    assert found.ends == pytest.approx((line.slope - reach, line.slope + reach))
    with pytest.raises(UnreadableError, match="2 pools"):
        measure([row for row in rows if row["cell"] in ("0", "1")], "improvement", "accuracy")
