"""What a search trains next and when it stops, on members of a planted plane."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ensembudget.errors import ArgumentError
from ensembudget.prediction.policy import START

from .worlds import (
    CANDIDATES,
    GRID,
    KINDS,
    MOST,
    SHARP,
    WIDTHS,
    asked,
    policy,
    widths_of,
    world,
)

FIRST = (4, 4, 6, 6, 8, 8)  # two members of each of the three cheapest


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


# What is trained first.


def test_a_search_begins_with_the_cheapest_widths_and_the_wide_network():
    trained, found = dict.fromkeys(WIDTHS, 0), []
    for _ in range(START * 3 + 1):
        decision = asked(trained)
        assert (decision.best, decision.confidence, decision.posterior) == (None, 0, None)
        assert decision.number == 1
        assert decision.reason
        found.append(decision.width)
        trained[decision.width] += 1
    assert found == [*FIRST, 16]


def test_the_cheapest_widths_are_cheapest_by_operations_not_by_width():
    flops = {4: 9.0, 6: 8.0, 8: 7.0, 11: 1.0, 16: 2.0}
    some = [one._replace(flops=flops[one.width]) for one in widths_of()]
    found = []
    for _ in range(6):
        decision = policy(100.0).decide([], some, spent=0.0)
        found.append(decision.width)
        some = [one._replace(trained=one.trained + 1) if one.width == decision.width else one for one in some]
    assert found == [11, 11, 16, 16, 8, 8]


def test_what_is_there_already_is_not_asked_for_again():
    assert asked({4: 2, 6: 5, 8: 1, 11: 0, 16: 0}).width == 8
    assert asked({4: 2, 6: 5, 8: 2, 11: 0, 16: 0}).width == 16
    assert asked({4: 1, 6: 5, 8: 2, 11: 0, 16: 0}).width == 4


@pytest.mark.parametrize("many", range(6))
def test_a_spend_that_cannot_pay_for_a_law_ends_with_a_reason(many):
    """It stops before the member that costs more than what is left, whichever that is."""
    trained = {k: FIRST[:many].count(k) for k in WIDTHS}
    cost = float(FIRST[many] ** 2)
    assert asked(trained, left=cost).width == FIRST[many]
    stopped = asked(trained, left=cost - 1e-6)
    assert (stopped.width, stopped.number, stopped.best, stopped.posterior) == (None, 0, None, None)
    assert "spend" in stopped.reason


@pytest.mark.parametrize("most", [0, 1])
def test_a_width_of_fewer_than_two_members_carries_no_law(most):
    trained, found = dict.fromkeys(WIDTHS, 0), []
    for _ in range(START * 3 + 1):
        found.append(asked(trained, most={**MOST, 4: most}).width)
        trained[found[-1]] += 1
    assert found == [6, 6, 8, 8, 11, 11, 16]


def test_too_few_widths_that_can_have_two_members_are_told():
    decision = asked(dict.fromkeys(WIDTHS, 0), most={4: 1, 6: 16, 8: 8, 11: 0, 16: 1})
    assert (decision.width, decision.number, decision.best, decision.posterior) == (None, 0, None, None)
    assert "3 widths" in decision.reason
    assert "diverge" in decision.reason
    assert "spend" not in decision.reason


def test_a_wide_network_that_always_diverges_is_done_without():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 0}
    known = world(*KINDS["nearly even"]).known(trained)
    decision = asked(trained, known, most={**MOST, 16: 0}, **SHARP)
    assert decision.posterior is not None
    assert decision.width in (4, 6, 8, 11)


def test_a_wide_network_that_cannot_be_paid_is_done_without():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 0}
    here = world(*KINDS["nearly even"])
    assert asked(trained, here.known(trained), left=256.0).width == 16
    decision = asked(trained, here.known(trained), left=255.0, confidence=0.999)
    assert decision.posterior is not None
    assert decision.width not in (None, 16)


# When it stops.


def test_a_search_stops_when_all_is_trained():
    here = world(*KINDS["nearly even"])
    decision = asked(MOST, here.known(MOST), **SHARP)
    assert (decision.width, decision.number) == (None, 0)
    assert "every member" in decision.reason
    assert decision.best in CANDIDATES


def test_a_search_stops_when_nothing_more_can_be_paid():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    assert asked(trained, known, left=16.0, **SHARP)[3:5] == (4, 1)  # the width, and how many
    decision = asked(trained, known, left=15.9, **SHARP)
    assert decision.width is None
    assert "spend" in decision.reason


def test_a_search_that_has_spent_more_than_it_may_stops():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    decision = asked(trained, known, left=-100.0, **SHARP)
    assert (decision.width, decision.number) == (None, 0)
    assert "spend" in decision.reason


def test_what_may_still_be_spent_changes_nothing_of_what_is_known():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    sharp = {"tolerance": 1e-3, "confidence": 1 - 1e-9}
    several = [asked(trained, known, left=left, **sharp) for left in (-100.0, 0.0, 40.0, 300.0, GRID)]
    assert len({(one.best, one.confidence, one.loss) for one in several}) == 1
    assert [one.width is None for one in several] == [True, True, False, False, False]


def test_confidence_and_loss_are_those_of_the_draws_and_decide_whether_to_stop():
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    first = asked(trained, known, confidence=0.999, draws=1000)
    members = np.array([float(one.members) for one in CANDIDATES])
    parameters = np.array([float(one.parameters) for one in CANDIDATES])
    values = first.posterior.draws(members, parameters, count=4000, seed=5)
    place = CANDIDATES.index(first.best)
    for tolerance in (0.001, 0.02, 0.3):
        one = asked(trained, known, draws=1000, tolerance=tolerance, confidence=0.999)
        assert one.best == first.best
        near = (values[place] <= (1 + tolerance) * values.min(0)).mean()
        # Of 1000 draws against 4000; three standard deviations.
        assert one.confidence == pytest.approx(near, abs=3 * (0.25 / 1000 + 0.25 / 4000) ** 0.5)
        assert one.loss == pytest.approx((values[place] - values.min(0)).mean(), rel=0.5)
        below = asked(trained, known, draws=1000, tolerance=tolerance, confidence=one.confidence - 1e-9)
        assert (below.width, below.number) == (None, 0)
        assert "probability" in below.reason
        if one.confidence < 0.99:
            assert asked(
                trained, known, draws=1000, tolerance=tolerance, confidence=one.confidence + 1e-9
            ).width


@pytest.mark.parametrize("name", ["tolerance", "confidence"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_tolerance_or_confidence_that_cannot_be_is_refused(name, value):
    with pytest.raises(ArgumentError, match=f"--{name}"):
        policy(**{name: value})
