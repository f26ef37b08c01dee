"""Learning curves with a known truth: what laws predict, how they rank, and what is not answered."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from analysis.curve_worlds import MODELS, crossing, curves, model, parallel
from ensembudget.analysis.curve_fits import judge
from ensembudget.analysis.curve_ranks import ALL, NO_LAW, OVER_BUDGETS, judged_ranks, spearman
from ensembudget.errors import FitError

BUDGETS = [("splits of 10,000 parameters", (0, 3, 5, 6)), ("splits of 20,000 parameters", (2, 5, 7, 8))]


def ranks_of(found, group=ALL):
    return {one.law: one for one in found.ranks if one.group == group}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
def test_the_rank_correlation_is_scipys_with_ties_too(pairs):
    one, other = np.array(pairs, float).T
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert spearman(one, other) == 0
    else:
        assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)


# What is drawn.


def test_draws_have_the_covariance_of_the_pools_and_students_tails():
    found = curves(parallel(), error=0.01, freedom=8.0)
    drawn = found.drawn - found.values
    expected = 1e-4 * 8 / 6
    assert np.cov(drawn[:, 0, 2], drawn[:, 1, 2]) == pytest.approx(
        expected * np.array([[1, 0.5], [0.5, 1]]), rel=0.3
    )
    assert abs(np.corrcoef(drawn[:, 0, 2], drawn[:, 2, 2])[0, 1]) < 0.1
    assert abs(np.corrcoef(drawn[:, 0, 2], drawn[:, 0, 3])[0, 1]) < 0.1


def test_the_interval_of_a_point_is_students():
    found = curves(parallel(), error=0.01, freedom=7.0)
    one = found.measured(3, 2)
    assert one.high - one.value == pytest.approx(2.3646 * 0.01, rel=1e-3)


# What is fitted, and where it is judged.


def test_an_eighth_of_the_largest_size_is_fitted():
    found = judge(curves(parallel()))
    assert (found.largest, found.at) == (1000, 8000)
    for fits in found.fits.values():
        assert [one.model for one in fits] == list(MODELS)
        assert {tuple(one.points.m) for one in fits} == {(125, 250, 500, 1000)}


def test_a_law_that_holds_predicts_the_largest_size_within_its_interval():
    held, count = 0, 0
    for seed in range(3):
        found = judge(curves(parallel(), error=0.004, seed=seed))
        truth = parallel()[:, -1]
        for one, true in zip(found.fits["log_log"], truth, strict=True):
            held += one.predicted.low <= true <= one.predicted.high
            count += one.error.low <= 0 <= one.error.high
            assert one.error.value == pytest.approx(one.predicted.value - one.measured.value)
    assert 0.88 <= held / (3 * len(MODELS)) <= 1
    assert 0.88 <= count / (3 * len(MODELS)) <= 1


def test_the_loss_is_fitted_as_a_share_of_its_ceiling():
    share = parallel()
    error = judge(curves(share))
    nats = curves(share)
    errors = tuple(one._replace(covariance=4 * one.covariance) for one in nats.errors)
    nats = replace(nats, metric="cnll", ceiling=2.0, values=2 * nats.values, errors=errors)
    for one, other in zip(error.fits["logit_log"], judge(nats).fits["logit_log"], strict=True):
        assert other.fit.a.value == pytest.approx(one.fit.a.value)
        assert other.predicted.value == pytest.approx(2 * one.predicted.value)
        assert other.predicted.high == pytest.approx(2 * one.predicted.high)


def test_nothing_is_predicted_below_zero():
    found = judge(curves(crossing() ** 3, error=0.0001), 500)
    for fits in found.fits.values():
        assert min(one.predicted.low for one in fits) > 0


# How laws rank.


def test_where_curves_cross_a_law_ranks_and_small_sizes_do_not():
    found = ranks_of(judged_ranks(curves(crossing(), error=0.001)))
    assert found[NO_LAW].spearman.value < 0.7
    assert found["log_log"].spearman.value > 0.95
    assert found["log_log"].verdict == "better"
    assert found["log_log"].over_no_law.low > 0
    assert found["log_log"].regret < found[NO_LAW].regret


def test_where_curves_are_parallel_no_law_ranks_better_than_small_sizes():
    found = ranks_of(judged_ranks(curves(parallel(), error=0.01)))
    assert {one.verdict for law, one in found.items() if law != NO_LAW} <= {"tie", "worse"}
    assert found[NO_LAW].spearman.value > 0.8
    assert found[NO_LAW].verdict is None
    assert found[NO_LAW].over_no_law is None


def test_the_numbers_of_a_ranking_are_those_of_its_predictions():
    found = judged_ranks(curves(crossing(), error=0.001, budgets=BUDGETS))
    measured = found.judged.curves.values[:, -1]
    for law, fits in found.judged.fits.items():
        predicted = np.array([one.predicted.value for one in fits])
        for name, rows in [(ALL, range(len(MODELS))), *BUDGETS]:
            one, own = ranks_of(found, name)[law], list(rows)
            assert one.spearman.value == pytest.approx(spearmanr(predicted[own], measured[own]).statistic)
            assert one.rmse.value == pytest.approx(np.sqrt(np.mean((predicted - measured)[own] ** 2)))
            best = own[predicted[own].argmin()]
            assert one.chosen == MODELS[best]
            assert one.regret == pytest.approx(measured[best] - measured[own].min())
        mean = ranks_of(found, OVER_BUDGETS)[law]
        each = [ranks_of(found, name)[law] for name, _ in BUDGETS]
        assert mean.spearman.value == pytest.approx(np.mean([one.spearman.value for one in each]))
        assert mean.regret == pytest.approx(np.mean([one.regret for one in each]))
        assert mean.chosen is None


def test_only_six_networks_or_more_get_an_interval_over_networks():
    values = crossing()
    whole = ranks_of(judged_ranks(curves(values)))
    assert whole["log_log"].over_models.low <= whole["log_log"].spearman.value
    few = ranks_of(judged_ranks(curves(values[:10], models=MODELS[:10])))
    assert {one.over_models for one in few.values()} == {None}


def test_refused_laws_are_counted_and_rank_all_the_same():
    rising = np.array(parallel())
    rising[0, :4] = np.linspace(0.4, 0.5, 4)
    found = ranks_of(judged_ranks(curves(rising, error=0.001)))
    assert found["log_log"].refused >= 1
    assert found["log_log"].models == len(MODELS)


# What is not answered.


def test_without_errors_there_are_numbers_and_no_intervals():
    known = curves(crossing(), budgets=BUDGETS)
    found = judged_ranks(replace(known, errors=(), unknown="pools have one member"))
    for one in found.ranks:
        assert (one.spearman.low, one.rmse.low) == (None, None)
        assert one.verdict in (None, "not judged")
    for one in found.judged.fits["log_log"]:
        assert (one.predicted.low, one.measured.low, one.error.low) == (None, None, None)
        assert one.fit.no_interval == "pools have one member"


@pytest.mark.parametrize(
    ("sizes", "limit", "words"),
    [
        ((1000,), None, ("there is 1,000.", "train_size = [62, 125, 1000]")),
        ((500, 1000), None, ("there are 500, 1,000.", "train_size = [62, 125, 500, 1000]")),
        ((500, 1000, 2000), None, ("at most 250 are none", "--from-at-most 1000")),
        ((500, 1000, 4000), None, ("at most 500 is 500", "--from-at-most 1000")),
        ((500, 1000, 4000), 600, ("at most 600 is 500", "--from-at-most 1000")),
    ],
)
def test_too_few_sizes_are_refused_with_what_there_is_and_what_is_needed(sizes, limit, words):
    with pytest.raises(FitError) as caught:
        judge(curves(parallel(sizes), sizes=sizes), limit)
    assert all(word in str(caught.value) for word in ("at least 2 numbers of training images", *words))


@pytest.mark.parametrize("sizes", [(10,), (100,), (100, 150), (1000,), (500, 1000)])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_sizes_that_are_proposed_are_enough_and_have_an_image_of_every_class(sizes, classes):
    there = tuple(size for size in sizes if size >= classes) or (classes,)
    with pytest.raises(FitError) as caught:
        judge(replace(curves(parallel(there), sizes=there), least=classes))
    proposed = json.loads(re.search(r"train_size = (\[.*?\])", str(caught.value))[1])
    assert set(there) <= set(proposed)
    assert min(proposed) >= classes
    assert judge(curves(parallel(proposed), sizes=proposed)).at == max(proposed)


def test_fewer_images_are_proposed_only_where_there_can_be_fewer():
    sizes = (100, 200, 400)
    for classes, can in ((100, False), (10, True)):
        with pytest.raises(FitError) as caught:
            judge(replace(curves(parallel(sizes), sizes=sizes), least=classes))
        assert ("or train at fewer images too" in str(caught.value)) == can


def test_a_report_fits_the_two_smallest_sizes_where_an_eighth_is_too_little():
    found = judge(curves(parallel((1000, 8000, 60000)), sizes=(1000, 8000, 60000)), strict=False)
    assert (found.largest, found.at) == (8000, 60000)


def test_models_are_judged_at_the_largest_size_that_all_families_have():
    models = (*MODELS[:4], *(one._replace(family="vgg") for one in MODELS[:4]))
    values = parallel(count=8)
    values[4:, -1] = np.nan
    values[1, 5] = np.nan
    found = judge(curves(values, models=models))
    assert found.at == 4000
    assert found.left_out == (models[1],)


def test_a_model_without_an_error_left_at_a_size_is_left_out_of_that_size():
    values = parallel()
    zero = curves(values, error=1e-6)
    zero.values[3, 2] = 0.0
    found = judge(zero)
    assert list(found.fits["log_log"][3].points.m) == [125, 250, 1000]


def test_a_model_says_what_it_is():
    assert str(model(7, 4)) == "wide_resnet (depth 10) of width 7, n = 4"
    assert str(model(7, 4, arm="sphere", tuned=True)).endswith("n = 4, sphere, tuned")
