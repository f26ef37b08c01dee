"""Answers of one sample are not independent: folds, errors and intervals are over samples."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import ScoreError
from ensembudget.scoring.calibration import calibrated_nll, halvings
from ensembudget.scoring.clusters import clusters_of, covariance_of_means, variances_of_means
from ensembudget.scoring.comparison import joint_of, minus, split_losses
from ensembudget.scoring.covariance import PoolNoise
from ensembudget.scoring.differences import differences, intervals_at_once, measured
from ensembudget.scoring.drawing import Ensembles, drawn_errors
from ensembudget.scoring.ensembles import score_pool, size_losses
from ensembudget.scoring.joint import sample_covariance
from ensembudget.scoring.standard_errors import member_errors

from . import oracle

CLASSES = 5


def texts(seed, count=40, longest=8):
    """Which text each token is of, ascending, of texts of several lengths."""
    lengths = np.random.default_rng(seed).integers(1, longest + 1, count)
    return np.repeat(np.arange(count), lengths)


def pool_of(seed, samples, members=6, signal=2.0):
    """Logits whose difficulty is shared by the tokens of a text, and labels."""
    rng = np.random.default_rng([seed, 1])
    labels = rng.integers(CLASSES, size=len(samples))
    difficulty = np.random.default_rng([9, 9]).normal(size=(samples.max() + 1, 1))[samples]
    own = rng.normal(size=(members, len(samples), CLASSES))
    shared = rng.normal(size=(len(samples), CLASSES))
    return torch.from_numpy(own + shared + (signal + difficulty) * np.eye(CLASSES)[labels]), labels


def labelled(seed, samples, labels, members=6):
    rng = np.random.default_rng([seed, 2])
    logits = rng.normal(size=(members, len(samples), CLASSES)) + 2 * np.eye(CLASSES)[labels]
    return torch.from_numpy(logits)


# What is summed.


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 5))
def test_the_covariance_of_means_is_that_of_brute_force_over_samples(seed, count, rows):
    rng = np.random.default_rng(seed)
    samples = rng.permutation(texts(seed, count, 4))
    values = rng.normal(size=(rows, len(samples)))
    clusters = clusters_of(samples, len(samples))
    centred = values - values.mean(1, keepdims=True)
    off = np.zeros((count, rows))
    for row in range(rows):
        for answer, sample in enumerate(samples):
            off[sample, row] += values[row, answer] - values[row].mean()
    expected = sum(np.outer(one, one) for one in off) * count / (count - 1) / len(samples) ** 2
    np.testing.assert_allclose(covariance_of_means(centred, clusters), expected, atol=1e-12)
    np.testing.assert_allclose(variances_of_means(values, clusters), np.diag(expected), atol=1e-12)


def test_the_variance_over_samples_is_that_of_a_bootstrap_of_whole_samples():
    samples, rng = texts(0, 300), np.random.default_rng(1)
    values = rng.normal(size=300)[samples] + 0.3 * rng.normal(size=len(samples))
    sums, counts = (np.bincount(samples, weights=one) for one in (values, np.ones(len(values))))
    chosen = rng.integers(300, size=(20_000, 300))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    found = variances_of_means(values[None], clusters_of(samples, len(samples)))[0]
    assert found**0.5 == pytest.approx(means.std(), rel=0.03)
    alone = variances_of_means(values[None])[0]
    assert found > 2 * alone  # tokens of a text are alike


def test_samples_are_numbered_in_order_and_distinct_ones_make_no_clusters():
    found = clusters_of(np.array([5, 2, 5, 9], np.uint8), 4)
    assert found.of.tolist() == [0, 1, 0, 2]
    assert found.number == 3
    assert clusters_of([4, 1, 2], 3) is None
    assert clusters_of(None, 3) is None


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([0, 1], r"samples are int64 of shape \(2,\); needed are integers, \(3,\)"),
        ([0.0, 1.0, 1.0], "samples are float64"),
        ([[0], [1], [1]], r"shape \(3, 1\)"),
        ([1, 1, 1], "all 3 answers are of one sample"),
    ],
)
def test_samples_that_do_not_fit_the_answers_are_refused(samples, words):
    with pytest.raises(ScoreError, match=words):
        clusters_of(np.array(samples), 3)


# Folds.


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_halvings_halve_samples_and_keep_the_answers_of_one_together(seed, count):
    samples = np.random.default_rng(seed).permutation(texts(seed, count, 4))
    clusters = clusters_of(samples, len(samples))
    for fold in halvings(len(samples), 2, seed, clusters=clusters):
        fit, score = (set(samples[some].tolist()) for some in (fold.fit, fold.score))
        assert not fit & score
        assert abs(len(fit) - len(score)) <= 1
        assert sorted([*fold.fit, *fold.score]) == list(range(len(samples)))
    if clusters is not None:
        order = np.random.default_rng([seed, 0]).permutation(count)
        first = {int(one) for one in order[: (count + 1) // 2]}
        fold = halvings(len(samples), 2, seed, clusters=clusters)[0]
        assert {int(one) for one in clusters.of[fold.fit]} == first


def test_calibrated_losses_are_those_of_an_independent_fit_on_halves_of_the_samples():
    samples = texts(3, 20)
    logits, labels = pool_of(3, samples)
    average = oracle.average(oracle.log_softmax(logits.numpy()))[None]
    on_grid, total = oracle.grid_losses(average, labels), np.zeros(len(labels))
    for first, second in oracle.halves(20):  # of the texts
        fit, score = (np.flatnonzero(np.isin(samples, some)) for some in (first, second))
        inverse = 1 / oracle.temperature(average, labels, fit, on_grid)
        total[score] += oracle.tempered_losses(average[:, score], labels[score], inverse)
    found = calibrated_nll(logits, labels, samples=samples)
    assert found.nll == pytest.approx((total / 5).mean(), abs=1e-8)
    assert found.nll != calibrated_nll(logits, labels).nll


# Errors and intervals.


def scored(seed, samples, labels, members=6):
    logits = labelled(seed, samples, labels, members)
    return logits, score_pool(logits, labels, samples=samples)


def both(size_one=1, size_other=2, seed=0, members=6):
    samples = texts(seed, 60)
    labels = pool_of(seed, samples)[1]
    found = []
    for number, size in enumerate((size_one, size_other)):
        logits, scores = scored(10 * seed + number, samples, labels, members)
        found.append((logits, scores, size))
    return samples, torch.from_numpy(labels), found


def test_differences_of_splits_err_over_samples_as_a_bootstrap_of_samples_says():
    """Members are as good as all alike here, so that what is left is over samples."""
    samples = texts(5, 200)
    rng = np.random.default_rng(5)
    labels = rng.integers(CLASSES, size=len(samples))
    losses = []
    for size in (1, 2):
        shift = rng.normal(size=200)[samples][:, None]  # what a text is harder by for this network
        base = rng.normal(size=(len(samples), CLASSES)) + (2 + shift) * np.eye(CLASSES)[labels]
        logits = torch.from_numpy(base + 1e-6 * rng.normal(size=(4, len(samples), CLASSES)))
        scores = score_pool(logits, labels, samples=samples)
        losses.append(split_losses(logits, torch.from_numpy(labels), scores, size))
    joint = joint_of(losses)
    off = losses[0].losses - losses[1].losses
    sums, counts = (np.bincount(samples, weights=one) for one in (off, np.ones(len(off))))
    chosen = rng.integers(200, size=(20_000, 200))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    assert joint.parts(0, 1).samples ** 0.5 == pytest.approx(means.std(), rel=0.03)
    assert joint.count == 200
    tokens = joint_of([one.__class__(one.members, one.losses, one.errors) for one in losses])
    assert joint.parts(0, 1).samples > 1.5 * tokens.parts(0, 1).samples
    wide, narrow = minus(*losses), minus(*(one.__class__(1, one.losses, one.errors) for one in losses))
    assert wide.high - wide.low > narrow.high - narrow.low


def test_the_interaction_of_members_and_samples_is_taken_off_by_sample():
    """Members that are good at different texts: what all splits have over texts is then nothing."""
    rng, spread = np.random.default_rng(0), []
    samples = texts(0, 50)
    clusters = clusters_of(samples, len(samples))
    for _ in range(300):
        members = rng.normal(size=(2, 8, 50))[:, :, samples]  # of two splits, by text alone
        losses = members.mean(1)
        centred = members - members.mean(1, keepdims=True)
        interactions = np.array([variances_of_means(one, clusters).sum() / (8 * 7) for one in centred])
        differing = losses - losses.mean(0)
        differing -= differing.mean(1, keepdims=True)
        project = np.eye(2) - 0.5
        own = covariance_of_means(differing, clusters) - project @ np.diag(interactions) @ project
        spread.append((own[0, 0] + own[1, 1] - 2 * own[0, 1], covariance_of_means(differing, clusters)[0, 0]))
        assert np.linalg.eigvalsh(sample_covariance(losses, interactions, clusters)).min() > -1e-15
    left, before = np.array(spread).mean(0)
    assert abs(left) < 0.1 * before


def test_all_distinct_samples_are_the_same_as_none_to_the_bit():
    labels = np.random.default_rng(0).integers(CLASSES, size=90)
    logits = labelled(0, labels, labels)
    order = np.random.default_rng(1).permutation(90)
    one, other = score_pool(logits, labels), score_pool(logits, labels, samples=order)
    assert one.scores == other.scores
    assert other.clusters is None
    assert calibrated_nll(logits, labels) == calibrated_nll(logits, labels, samples=order)
    for size in (1, 2, 3):
        true = torch.from_numpy(labels)
        assert member_errors(logits, true, one, size) == member_errors(logits, true, other, size)
        assert torch.equal(one.losses[size], other.losses[size])
    alone, given = (size_losses(logits, true, [1, 2], samples=some) for some in (None, order))
    assert all(torch.equal(alone[0][size], given[0][size]) for size in (1, 2))
    assert alone[1] == given[1]


def test_the_grouping_of_answers_matters_and_the_names_of_samples_do_not():
    samples, labels, [(logits, scores, _), _] = both()
    renamed = score_pool(logits, labels, samples=1000 - samples)
    assert renamed.scores == scores.scores
    errors = member_errors(logits, labels, scores, 2)
    assert errors == member_errors(logits, labels, renamed, 2)
    alone = member_errors(logits, labels, score_pool(logits, labels), 1)
    grouped = member_errors(logits, labels, scores, 1)
    assert alone.nll == grouped.nll
    assert alone.interaction != grouped.interaction


def test_two_results_are_compared_over_samples():
    samples, labels, [(logits, scores, _), (second, other, _)] = both(seed=3)
    sides = [measured(*one, 2) for one in ((logits, labels, scores), (second, labels, other))]
    found = differences(*sides)
    assert all(one.clusters is not None and one.clusters.number == 60 for one in found)
    (cnll,) = intervals_at_once(found[-1:])
    split = minus(*(split_losses(*one, 2) for one in ((logits, labels, scores), (second, labels, other))))
    assert (cnll.value, cnll.low, cnll.high) == pytest.approx((split.value, split.low, split.high), abs=1e-12)
    assert len(samples) > 60


def test_draws_of_all_splits_together_have_the_spread_over_samples():
    samples, labels, [(logits, scores, _), (second, other, _)] = both(seed=4)
    losses = [split_losses(one, labels, its, 1) for one, its in ((logits, scores), (second, other))]
    noise = PoolNoise(6, np.array([1.0]), np.eye(1), 5.0)
    drawn = drawn_errors([Ensembles(name, one, noise) for name, one in zip("ab", losses, strict=True)])
    joint = joint_of(losses)
    parts = joint.parts(0, 1)
    freedom = min(one.errors.cnll.freedom for one in losses)
    expected = parts.samples + parts.members * freedom / (freedom - 2)
    assert (drawn[0] - drawn[1]).var() == pytest.approx(expected, rel=0.05)
    assert len(samples) > joint.count == 60
