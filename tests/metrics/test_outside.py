"""AUROC of uncertainties against scikit-learn, and its errors against other members and samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score

from ensembudget.metrics._outside import UNCERTAINTIES, auroc, detections, uncertainties

scores = st.lists(st.integers(0, 8).map(lambda one: one / 8), min_size=1, max_size=30).map(np.array)
INSIDE, OUTSIDE, CLASSES = 120, 40, 5


def of_sklearn(inside, outside):
    return roc_auc_score([0] * len(inside) + [1] * len(outside), np.concatenate([inside, outside]))


@settings(deadline=None, max_examples=40)
@given(scores, scores)
def test_auroc_is_that_of_scikit_learn_with_ties(inside, outside):
    assert auroc(inside, outside) == pytest.approx([of_sklearn(inside, outside)])


@settings(deadline=None, max_examples=20)
@given(scores, scores, st.integers(0, 99))
def test_counts_are_as_if_samples_were_there_so_often(inside, outside, seed):
    rng = np.random.default_rng(seed)
    counts = [rng.integers(0, 4, (3, len(some))) for some in (inside, outside)]
    for one in counts:
        one[:, 0] += 1
    found = auroc(inside, outside, *counts)
    for value, here, there in zip(found, *counts, strict=True):
        assert value == pytest.approx(of_sklearn(inside.repeat(here), outside.repeat(there)))


def members(count, seed=0, noise=1.5):
    """Probabilities of members that know something of samples inside, and nothing of those outside."""
    rng = np.random.default_rng(seed)
    shared = np.concatenate([rng.normal(scale=1.5, size=(INSIDE, CLASSES)), np.zeros((OUTSIDE, CLASSES))])
    logits = shared + noise * rng.normal(size=(count, INSIDE + OUTSIDE, CLASSES))
    probabilities = softmax(logits, -1)
    return probabilities[:, :INSIDE], probabilities[:, INSIDE:]


def drawn(draws=200, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.multinomial(n, np.full(n, 1 / n), draws) for n in (INSIDE, OUTSIDE))


def by_hand(probabilities):
    """Each uncertainty of one ensemble, by scipy's entropy."""
    mean = probabilities.mean(0)
    return {
        "max_probability": -mean.max(-1),
        "entropy": entropy(mean, axis=-1),
        "mutual_information": entropy(mean, axis=-1) - entropy(probabilities, axis=-1).mean(0),
    }


def test_uncertainties_are_those_of_scipy():
    (inside, _), expected = members(3), by_hand(members(3)[0])
    found = uncertainties(inside)
    assert list(found) == list(UNCERTAINTIES)
    assert found["max_probability"] - 1 == pytest.approx(expected["max_probability"])
    for name in UNCERTAINTIES[1:]:
        assert found[name] == pytest.approx(expected[name])


def test_one_member_has_no_mutual_information():
    assert list(uncertainties(members(1)[0])) == ["max_probability", "entropy"]
    found = {(one.size, one.uncertainty) for one in detections(*members(2), drawn())}
    assert (1, "mutual_information") not in found
    assert (2, "mutual_information") in found


def test_every_size_is_the_mean_over_disjoint_groups():
    inside, outside = members(7)
    found = {(one.size, one.uncertainty): one for one in detections(inside, outside, drawn())}
    assert {size for size, _ in found} == set(range(1, 8))
    for (size, name), one in found.items():
        each = [
            of_sklearn(by_hand(inside[i : i + size])[name], by_hand(outside[i : i + size])[name])
            for i in range(0, 7 - size + 1, size)
        ]
        assert one.value == pytest.approx(np.mean(each), abs=1e-9)


def test_members_that_are_copies_add_nothing_to_the_error():
    inside, outside = (np.concatenate([some] * 6) for some in members(1))
    for one in detections(inside, outside, drawn()):
        if one.uncertainty == "entropy":
            assert one.members == pytest.approx(0, abs=1e-9)
            assert one.queries > 0.01


def test_a_pool_of_one_shows_no_spread_of_members():
    assert {(one.members, one.freedom) for one in detections(*members(1), drawn())} == {(None, None)}


def test_the_error_over_members_is_how_far_other_pools_lie_apart():
    """On the same samples. The jackknife is never too small on average: Efron & Stein 1981."""
    rng, errors, values = np.random.default_rng(0), [], []
    shared = np.concatenate([rng.normal(scale=1.5, size=(INSIDE, CLASSES)), np.zeros((OUTSIDE, CLASSES))])
    for _ in range(60):
        both = softmax(shared + 0.7 * rng.normal(size=(4, INSIDE + OUTSIDE, CLASSES)), -1)
        found = detections(both[:, :INSIDE], both[:, INSIDE:], drawn(2))
        every = [one for one in found if one.uncertainty == "entropy"]
        errors.append([one.members for one in every])
        values.append([one.value for one in every])
    told, true = np.square(errors).mean(0) ** 0.5, np.std(values, axis=0, ddof=1)
    assert told[0] == pytest.approx(true[0], rel=0.3)  # single members, by their own spread
    assert (told[1:] > 0.8 * true[1:]).all()
    assert (told[1:] < 2 * true[1:]).all()


def test_the_error_over_samples_is_that_of_hanley_and_mcneil():
    """Their variance of an AUROC by exponential scores, Radiology 143, 1982."""
    rng = np.random.default_rng(1)
    inside, outside = rng.exponential(1, 400), rng.exponential(2.5, 150)
    counts = [rng.multinomial(n, np.full(n, 1 / n), 2000) for n in (400, 150)]
    area = 2.5 / 3.5
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + 149 * (first - area**2) + 399 * (second - area**2)
    assert auroc(inside, outside, *counts).std() == pytest.approx((variance / (400 * 150)) ** 0.5, rel=0.15)
