"""What probes come to: barriers, shares, trends and thresholds, from numbers made by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ensembudget.analysis import Analysis
from ensembudget.analysis.connectors import connections
from ensembudget.analysis.cuts import cuts
from ensembudget.analysis.means import difference_of, mean_of
from ensembudget.analysis.tunnels import direction, trends, tunnels
from ensembudget.catalog import PROBES
from ensembudget.records import Interval, Plan, PlannedCell, Point, Probed, ProbeSubject, Study
from ensembudget.scoring.pools import FoundProbe, Results
from ensembudget.tables import connectors, tunnel_trends
from helpers import CELL

NUMBERS = st.lists(st.floats(-100, 100), min_size=2, max_size=8).filter(lambda some: np.ptp(some) > 1e-3)


def planned(width=4, arm="", **recipe):
    cell = CELL.model_copy(update={"width": width, "recipe": CELL.recipe.model_copy(update=recipe)})
    return PlannedCell(arm=arm, cell=cell, members=8, origin="default", flops_per_sample=1)


def point(at, loss):
    return Point(at=at, train_loss=loss, train_error=0.1, test_nll=2 * loss, test_error=0.2)


def found(kind, members, losses, places=None, facts=None, pool=None, **options):
    """A probe with these training losses, at even places where none are given."""
    places = places or [i / (len(losses) - 1) for i in range(len(losses))]
    subject = ProbeSubject(kind=kind, options={**PROBES[kind].options, **options}, members=members)
    points = [point(at, loss) for at, loss in zip(places, losses, strict=True)]
    return FoundProbe(
        pool or planned(), Probed(subject=subject, points=points, facts=facts or {}, seconds=0.0)
    )


def results(*probes):
    study = Study(name="s", description="d", family="wide_resnet", dataset="digits", widths=[4])
    plan = Plan(study=study, splits=[], cells=[one.planned for one in probes])
    return Results(plan, (), tuple(probes))


@given(NUMBERS)
def test_a_mean_has_the_interval_of_a_t_test(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    mean = mean_of(values)
    assert (mean.low, mean.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)
    assert mean.value == pytest.approx(np.mean(values))


@given(NUMBERS, NUMBERS)
def test_a_difference_has_the_interval_of_welchs_test(ones, others):
    expected = stats.ttest_ind(others, ones, equal_var=False).confidence_interval(0.95)
    difference = difference_of(ones, others)
    assert (difference.low, difference.high) == pytest.approx(
        (expected.low, expected.high), rel=1e-6, abs=1e-9
    )


def test_one_measurement_has_no_ends_and_a_missing_one_leaves_no_mean():
    assert mean_of([2.0]) == Interval(value=2.0)
    assert mean_of([]) is None
    assert mean_of([1.0, None]) is None
    assert difference_of([1.0], [2.0, 3.0]) == Interval(value=1.5)


def test_bounds_cut_an_interval():
    wide = mean_of([0.0, 1.0], (0.0, math.inf))
    assert (wide.low, wide.value) == (0.0, 0.5)


def test_a_connection_is_a_share_of_the_unaligned_line_between_the_same_members():
    probes = [
        found("line", ["a", "b"], [0.0, 2.0, 0.0]),
        found("line", ["c", "d"], [0.0, 4.0, 0.0]),
        found("line", ["a", "b"], [0.0, 1.0, 0.0], aligned=True),
        found("line", ["c", "d"], [0.0, 3.0, 0.0], aligned=True),
        found("planes", ["a", "b"], [0.0, 0.5, 0.0], aligned=True),
        found("planes", ["c", "d"], [0.0, 0.2, 0.0], aligned=True),
    ]
    line, aligned, planes = connections(results(*probes))
    assert (line.path, line.aligned, line.joined) == ("line", False, 2)
    assert line.train.value == line.straight.value == line.unaligned.value == 3.0
    assert line.share == Interval(value=1.0, low=1.0, high=1.0)
    assert (aligned.train.value, aligned.unaligned.value) == (2.0, 3.0)
    assert aligned.share.value == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert planes.train.value == pytest.approx(0.35)
    assert planes.straight.value == 2.0  # of the aligned line
    assert planes.share.value == pytest.approx((0.25 + 0.05) / 2)
    assert planes.test.value == pytest.approx(0.7)
    assert planes.error.value == 0.0
    assert planes.train.low >= 0


def test_without_lines_there_is_nothing_to_compare_with():
    (planes,) = connections(results(found("planes", ["a", "b"], [0.0, 0.5, 0.0])))
    assert (planes.straight, planes.unaligned, planes.share) == (None, None, None)


def test_a_hull_is_compared_with_its_centre_before_it_moved():
    hull = found("hull", ["a", "b", "c"], [3.0, 0.2, 0.1, 0.1, 0.4], [0.0, 1.0, 2.0, 2.0, 2.0])
    (one,) = connections(results(hull))
    assert (one.joined, one.aligned) == (3, None)
    assert one.train.value == pytest.approx(0.0)
    assert one.straight.value == pytest.approx(2.8)


def test_pools_and_options_have_rows_of_their_own():
    probes = [
        found("line", ["a", "b"], [0.0, 2.0, 0.0]),
        found("line", ["e", "f"], [0.0, 2.0, 0.0], pool=planned(8)),
        found("curve", ["a", "b"], [0.0, 0.1, 0.0], shape="chain"),
        found("curve", ["a", "b"], [0.0, 0.1, 0.0]),
    ]
    assert [(one.width, one.path) for one in connections(results(*probes))] == [
        (4, "line"), (8, "line"), (4, "chain"), (4, "bezier"),
    ]  # fmt: skip


def tunnel(member, radius, norm=10.0, pool=None):
    return found("tunnel", [member], [0.1], [0.0], {"radius": radius, "norm": norm}, pool)


def test_a_trend_compares_the_lowest_with_the_highest_value_all_else_equal():
    slow, middle, fast = (planned(arm=f"rate {rate}", learning_rate=rate) for rate in (0.01, 0.05, 0.1))
    decayed = planned(arm="decay", learning_rate=0.1, weight_decay=1e-2)
    probes = [
        *(tunnel(f"f{i}", radius, pool=fast) for i, radius in enumerate((6.0, 6.2, 6.1))),
        *(tunnel(f"s{i}", radius, pool=slow) for i, radius in enumerate((5.0, 5.1, 5.2))),
        *(tunnel(f"m{i}", radius, pool=middle) for i, radius in enumerate((5.6, 5.5, 5.4))),
        *(tunnel(f"d{i}", radius, 20.0, pool=decayed) for i, radius in enumerate((6.1, 6.0, 6.3))),
    ]
    measured = tunnels(results(*probes))
    rate, decay = trends(measured)
    assert (rate.field, rate.values) == ("learning_rate", (0.01, 0.05, 0.1))
    assert rate.difference.value == pytest.approx(1.0)
    assert rate.direction == rate.relative_direction == "rises"
    assert rate.relative.value == pytest.approx(0.1)
    assert (decay.field, decay.values) == ("weight_decay", (CELL.recipe.weight_decay, 1e-2))
    assert decay.direction == "undecided"
    assert decay.relative_direction == "falls"


def test_an_open_tunnel_has_no_mean_radius_and_is_left_out_of_trends():
    narrow, wide = planned(4), planned(8)
    probes = [tunnel("a", None, pool=narrow), tunnel("b", 5.0, pool=narrow), tunnel("c", None, pool=wide)]
    measured = tunnels(results(*probes))
    assert [one.radius for one in measured] == [None, None]
    assert measured[0].radii == [5.0]
    assert list(trends(measured)) == []


def test_of_points_that_all_started_on_the_line_a_table_says_nothing_more():
    first = results(found("planes", ["a", "b"], [0.0, 1.0, 0.0]))
    assert connectors.table.notes(Analysis(first, connections=connections(first))) == ()


def test_a_direction_needs_ends():
    assert direction(Interval(value=-1.0, low=-2.0, high=-0.5)) == "falls"
    assert direction(Interval(value=1.0, low=-2.0, high=3.0)) == "undecided"


def cut(member, dimension, error, whole=0.05):
    subject = ProbeSubject(
        kind="cut", options={**PROBES["cut"].options, "dimension": dimension}, members=[member]
    )
    points = [
        Point(at=at, train_loss=1.0, train_error=one, test_nll=1.0, test_error=one)
        for at, one in ((float(dimension), error), (5018.0, whole))
    ]
    return FoundProbe(planned(), Probed(subject=subject, points=points, facts={}, seconds=0.0))


def test_a_cut_succeeds_at_nine_tenths_of_the_whole_networks_accuracy():
    """0.9 x 0.95 = 0.855: an error of 0.144 succeeds, one of 0.146 does not."""
    found = cuts(results(cut("a", 300, 0.144), cut("b", 300, 0.146), cut("a", 10, 0.9), cut("b", 10, 0.8)))
    assert [(one.dimension, one.successes, one.parameters) for one in found] == [
        (10, 0, 5018),
        (300, 1, 5018),
    ]
    assert found[1].error.value == pytest.approx(0.145)


def test_a_trend_names_what_both_ends_share():
    one, other = planned(arm="slow", learning_rate=0.01), planned(arm="fast", learning_rate=0.1)
    wide = planned(8, arm="slow", learning_rate=0.01)
    probes = [tunnel("a", 5.0, pool=one), tunnel("b", 6.0, pool=other), tunnel("c", 7.0, pool=wide)]
    width, rate = trends(tunnels(results(*probes)))
    assert (width.setting.arm, rate.setting.arm) == ("slow", "")
    rows = tunnel_trends.table.rows(Analysis(results(*probes), tunnel_trends=(width, rate)))
    assert [(row["field"], row["at_width"], row["learning_rate"]) for row in rows] == [
        ("width", None, 0.01), ("learning rate", 4, None),
    ]  # fmt: skip
