import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ensembudget.errors import ScoreError
from ensembudget.scoring.calibration import (
    Fold,
    Logits,
    calibrated_nll,
    fit_temperatures,
    geometric_mean,
    halvings,
    slopes,
    tempered_losses,
)

from . import oracle


def calibrated(seed, samples=300, classes=4, members=1):
    """Logits, and labels drawn from the very probabilities that the first member states."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(members, samples, classes))
    uniform = rng.random((samples, 1))
    labels = (np.exp(oracle.log_softmax(logits[0])).cumsum(1) < uniform).sum(1)
    return torch.from_numpy(logits), torch.from_numpy(np.minimum(labels, classes - 1))


def fitted(logits, labels):
    return fit_temperatures(logits, labels, [np.arange(len(labels))]).item()


def test_temperature_of_calibrated_members_is_one():
    logits, labels = calibrated(0, samples=50_000)
    assert fitted(logits, labels) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_temperature_of_over_and_underconfident_members_undoes_it(scale):
    logits, labels = calibrated(1, samples=50_000)
    assert fitted(scale * logits, labels) == pytest.approx(scale, rel=0.03)


def test_temperature_of_a_known_problem_is_exact():
    # Right three times in four, logit difference d: T = d / log 3.
    logits = torch.tensor([[8.0, 0.0]], dtype=torch.float64).expand(1, 400, 2)
    labels = (torch.arange(400) % 4 == 0).long()
    assert fitted(logits, labels) == pytest.approx(8 / math.log(3), rel=1e-12)


@given(st.integers(0, 2**32), st.floats(math.log(0.01), math.log(100)).map(math.exp))
@settings(max_examples=25, deadline=None)
def test_temperature_scales_with_the_logits(seed, scale):
    logits, labels = calibrated(seed)
    assert fitted(scale * logits, labels) == pytest.approx(scale * fitted(logits, labels), rel=1e-8)


@pytest.mark.parametrize("target", [1.02e-3, 1.2e-3, 1.6e-3, 600.0, 750.0, 900.0, 980.0])
def test_temperature_is_found_up_to_the_ends_of_the_range_sought(target):
    logits, labels = calibrated(3)
    scale = target / fitted(logits, labels)
    assert fitted(scale * logits, labels) == pytest.approx(target, rel=1e-8)


def test_a_temperature_beyond_the_hottest_is_the_hottest():
    logits, labels = calibrated(3)
    assert fitted(5000 * logits, labels) == pytest.approx(1000, rel=1e-12)


def test_samples_that_are_all_right_leave_the_temperature_at_one():
    labels = torch.arange(12) % 3
    logits = 4.0 * torch.nn.functional.one_hot(labels, 3).double()[None]
    assert fitted(logits, labels) == 1


def test_samples_that_are_all_wrong_have_the_hottest_temperature():
    labels = torch.arange(12) % 3
    logits = 4.0 * torch.nn.functional.one_hot((labels + 1) % 3, 3).double()[None]
    assert fitted(logits, labels) == pytest.approx(1000, rel=1e-12)


def test_equal_logits_leave_the_temperature_at_one():
    assert fitted(torch.zeros(2, 10, 3, dtype=torch.float64), torch.arange(10) % 3) == 1


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([0.02, 1.0, 30.0]))
@settings(max_examples=25, deadline=None)
def test_no_temperature_on_a_grid_has_less_loss_on_the_samples_fitted_on(seed, members, scale):
    logits, labels = calibrated(seed, samples=100, members=members)
    log_probs, numbers = (scale * logits).numpy(), labels.numpy()
    found = fitted(scale * logits, labels)

    def loss(t):
        return oracle.heated_losses(log_probs, numbers, 1 / t).mean()

    grid = np.exp(np.linspace(-math.log(1000), math.log(1000), 500))
    assert loss(found) <= min(map(loss, grid)) + 1e-12


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_of_several_valleys_the_deepest_is_found(seed):
    # Heated before averaging, few samples' loss may have one where members vote and one where they are mild.
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=40)
    shared = np.eye(3)[labels] + rng.normal(size=(40, 3))
    log_probs = oracle.log_softmax(0.01 * (shared + rng.normal(size=(10, 40, 3))))
    on_grid = oracle.grid_losses(log_probs, labels)
    several = 0
    for fit, _ in oracle.halves(40):
        found = fit_temperatures(torch.from_numpy(log_probs), torch.from_numpy(labels), [fit, np.arange(40)])[
            0
        ]
        expected = oracle.temperature(log_probs, labels, fit, on_grid)
        several += oracle.valleys(on_grid[:, fit].mean(1)) > 1
        assert found.item() == pytest.approx(expected, rel=1e-8)
    assert several


def test_the_fitted_temperature_is_where_scipy_finds_the_bottom():
    logits, labels = calibrated(5, members=3)
    by_scipy = minimize_scalar(
        lambda x: oracle.heated_losses(logits.numpy(), labels.numpy(), np.exp(-x)).mean(), bracket=(-1, 0, 2)
    )
    assert fitted(logits, labels) == pytest.approx(np.exp(by_scipy.x), rel=1e-6)


def test_sets_are_fitted_each_on_its_own():
    logits, labels = calibrated(6, samples=90, members=2)
    sets = [np.arange(90), np.arange(0, 90, 2), np.arange(30, 71)]
    together = fit_temperatures(logits, labels, sets)
    alone = [fitted(logits[:, one], labels[one]) for one in sets]
    assert together.tolist() == pytest.approx(alone, rel=1e-9)


def test_sets_with_and_without_a_best_temperature_are_fitted_side_by_side():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    logits = torch.tensor([[2.0, 0.0]], dtype=torch.float64).expand(1, 6, 2)
    found = fit_temperatures(logits, labels, [np.array([0, 1]), np.array([0, 1, 3]), np.array([3, 4])])
    assert found.tolist() == pytest.approx([1, 2 / math.log(2), 1000], rel=1e-12)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("x", [-3.0, 0.0, 1.5])
def test_slopes_are_those_of_finite_differences(members, x):
    logits, labels = calibrated(7, samples=40, members=members)
    weights = torch.full((1, 40), 1 / 40, dtype=torch.float64)
    packed = Logits.of(logits, labels).pick(None)
    found = slopes(packed, weights, torch.tensor([x], dtype=torch.float64))

    def loss(at):
        return oracle.heated_losses(logits.numpy(), labels.numpy(), np.exp(at)).mean()

    h = 1e-4
    assert found.first.item() == pytest.approx((loss(x + h) - loss(x - h)) / (2 * h), rel=1e-6, abs=1e-9)
    second = (loss(x + h) - 2 * loss(x) + loss(x - h)) / h**2
    assert found.second.item() == pytest.approx(second, rel=1e-4, abs=1e-6)


def test_members_are_heated_before_they_are_averaged():
    logits, labels = calibrated(8, members=3)
    packed = Logits.of(logits, labels).pick(None)
    found = tempered_losses(packed, torch.tensor([2.5], dtype=torch.float64))[0]
    average = oracle.average(oracle.log_softmax(logits.numpy() / 2.5))
    expected = -average[np.arange(len(labels)), labels.numpy()]
    assert found.numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1e3, 1e6])
@pytest.mark.parametrize("before", [False, True])
def test_extreme_logits_give_finite_scores(scale, before):
    logits, labels = calibrated(9, members=3)
    nll, temperature = calibrated_nll(scale * logits, labels, before=before)
    assert math.isfinite(nll)
    assert 1e-3 <= temperature <= 1000.001


def test_logits_a_thousand_times_too_large_cost_little_after_calibration():
    logits, labels = calibrated(9)
    nll, _ = calibrated_nll(300 * logits, labels)
    assert nll == pytest.approx(calibrated_nll(logits, labels).nll, abs=1e-9)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("members", [1, 4])
def test_the_calibrated_nll_agrees_with_a_plain_numpy_evaluator(before, members):
    logits, labels = calibrated(10, samples=101, members=members)
    log_probs = oracle.log_softmax(2 * logits.numpy())
    prediction = log_probs if before else oracle.average(log_probs)[None]
    expected = oracle.cross_fitted(prediction, labels.numpy(), seed=4)
    assert calibrated_nll(2 * logits, labels, before=before, seed=4) == pytest.approx(expected, abs=1e-9)


def test_log_probabilities_and_logits_have_one_score():
    logits, labels = calibrated(11, members=2)
    assert calibrated_nll(logits, labels) == pytest.approx(calibrated_nll(logits.log_softmax(-1), labels))


def test_before_and_after_are_one_for_a_single_member():
    logits, labels = calibrated(12)
    assert calibrated_nll(logits, labels, before=True) == pytest.approx(calibrated_nll(logits, labels))


def test_bad_logits_are_refused_before_anything_is_fitted():
    with pytest.raises(ScoreError, match="member 0, sample 1"):
        calibrated_nll(torch.tensor([[[0.0, 1.0], [0.0, torch.nan]]]), torch.tensor([0, 1]))


def test_a_fold_that_scores_what_it_was_fitted_on_is_refused():
    with pytest.raises(ScoreError, match=r"2 samples would be both fitted on and scored on, first 3\."):
        Fold(np.array([0, 3, 5]), np.array([5, 4, 3]))


@given(st.integers(2, 300), st.integers(1, 6), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_halvings_cut_all_samples_in_two_each_way_round(samples, repeats, seed):
    folds = halvings(samples, repeats, seed)
    assert len(folds) == 2 * repeats
    for one, other in zip(folds[::2], folds[1::2], strict=True):
        assert sorted([*one.fit, *one.score]) == list(range(samples))
        assert len(one.fit) - len(one.score) == samples % 2
        assert one.fit.tolist() == other.score.tolist()
        assert one.score.tolist() == other.fit.tolist()


def test_halvings_depend_on_the_seed_alone():
    def drawn(seed, repeats):
        return [fold.fit.tolist() for fold in halvings(50, repeats, seed)]

    torch.manual_seed(0)
    one = drawn(1, 5)
    torch.manual_seed(1)
    assert drawn(1, 5) == one
    assert drawn(1, 2) == one[:4]
    assert drawn(2, 5) != one
    assert len({tuple(fit) for fit in one}) == 10


def test_temperatures_are_averaged_geometrically():
    assert geometric_mean(torch.tensor([0.1, 10.0, 1.0, 8.0], dtype=torch.float64)) == pytest.approx(8**0.25)
