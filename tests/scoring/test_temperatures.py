import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ensembudget.scoring.curves import Curves
from ensembudget.scoring.mixing import group_matrix
from ensembudget.scoring.mixtures import Mixtures
from ensembudget.scoring.temperatures import fit_temperatures, tempered_losses

from . import oracle
from .draws import calibrated


def mixtures(logits, labels, groups=(slice(None),)):
    return Mixtures(Curves(logits, labels), group_matrix(len(logits), groups))


def fit_sets(logits, labels, sets):
    """Temperatures of all members together, one a set of samples."""
    weights = np.zeros((len(labels), len(sets)))
    for column, some in enumerate(sets):
        weights[some, column] = 1 / len(some)
    return fit_temperatures(mixtures(logits, labels), weights)[0].tolist()


def fitted(logits, labels):
    return fit_sets(logits, labels, [np.arange(len(labels))])[0]


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
        return oracle.tempered_losses(log_probs, numbers, 1 / t).mean()

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
        found, _ = fit_sets(torch.from_numpy(log_probs), torch.from_numpy(labels), [fit, np.arange(40)])
        expected = oracle.temperature(log_probs, labels, fit, on_grid)
        several += oracle.valleys(on_grid[:, fit].mean(1)) > 1
        assert found == pytest.approx(expected, rel=1e-8)
    assert several


def test_the_fitted_temperature_is_where_scipy_finds_the_bottom():
    logits, labels = calibrated(5, members=3)
    by_scipy = minimize_scalar(
        lambda x: oracle.tempered_losses(logits.numpy(), labels.numpy(), np.exp(-x)).mean(),
        bracket=(-1, 0, 2),
    )
    assert fitted(logits, labels) == pytest.approx(np.exp(by_scipy.x), rel=1e-6)


def test_sets_are_fitted_each_on_its_own():
    logits, labels = calibrated(6, samples=90, members=2)
    sets = [np.arange(90), np.arange(0, 90, 2), np.arange(30, 71)]
    together = fit_sets(logits, labels, sets)
    alone = [fitted(logits[:, one], labels[one]) for one in sets]
    assert together == pytest.approx(alone, rel=1e-9)


def test_sets_with_and_without_a_best_temperature_are_fitted_side_by_side():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    logits = torch.tensor([[2.0, 0.0]], dtype=torch.float64).expand(1, 6, 2)
    found = fit_sets(logits, labels, [np.array([0, 1]), np.array([0, 1, 3]), np.array([3, 4])])
    assert found == pytest.approx([1, 2 / math.log(2), 1000], rel=1e-12)


@pytest.mark.parametrize("members", [1, 2])
def test_all_groups_and_sets_are_fitted_as_each_alone(members):
    logits, labels = calibrated(7, samples=80, members=2 * members)
    # The second group's temperatures are a thousand times the first's.
    logits[members:] *= 1000
    groups, sets = (slice(0, members), slice(members, None)), (np.arange(50), np.arange(20, 80))
    weights = np.stack([np.isin(np.arange(80), one) / len(one) for one in sets], 1)
    together = fit_temperatures(mixtures(logits, labels, groups), weights)
    alone = [[fitted(logits[group][:, one], labels[one]) for one in sets] for group in groups]
    assert together == pytest.approx(np.array(alone), rel=1e-9)


def test_a_single_members_valley_is_the_same_whether_looked_for_everywhere_or_not():
    logits, labels = calibrated(8, samples=60)
    for scale in np.geomspace(1e-4, 1e4, 9):
        # Two copies mixed are one member, but one whose loss is not known to be convex.
        twins = (scale * logits).expand(2, -1, -1)
        assert fitted(twins, labels) == pytest.approx(fitted(scale * logits, labels), rel=1e-9)


@pytest.mark.parametrize("temperature", [1e-3, 0.4, 1.0, 2.5, 1e3])
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_losses_are_those_of_members_tempered_before_they_are_averaged(temperature, scale):
    logits, labels = calibrated(8, members=3)
    logits = scale * logits
    found = tempered_losses(mixtures(logits, labels), np.full((1, 1), temperature), np.ones((300, 1)))
    expected = oracle.tempered_losses(oracle.log_softmax(logits.numpy()), labels.numpy(), 1 / temperature)
    assert found[0] == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_losses_of_sets_at_temperatures_of_their_own_are_added():
    logits, labels = calibrated(8, samples=30, members=2)
    weights = np.random.default_rng(0).random((30, 2))
    found = tempered_losses(mixtures(logits, labels), np.array([[0.5, 4.0]]), weights)
    log_probs = oracle.log_softmax(logits.numpy())
    expected = sum(
        weight * oracle.tempered_losses(log_probs, labels.numpy(), inverse)
        for weight, inverse in zip(weights.T, (2, 0.25), strict=True)
    )
    assert found[0] == pytest.approx(expected, abs=1e-11)


def test_members_alone_are_tempered_each_by_its_own_temperatures():
    logits, labels = calibrated(10, members=3)
    weights = np.random.default_rng(0).random((len(labels), 2))
    temperatures = np.array([[0.5, 4.0], [1.0, 1e-3], [2.0, 1e3]])
    found = tempered_losses(Mixtures(Curves(logits, labels), None), temperatures, weights)
    log_probs = oracle.log_softmax(logits.numpy())
    for member, own in enumerate(temperatures):
        expected = sum(
            weight * oracle.tempered_losses(log_probs[[member]], labels.numpy(), 1 / one)
            for weight, one in zip(weights.T, own, strict=True)
        )
        assert found[member] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("alone", [True, False])
def test_groups_are_tabulated_only_where_they_come(alone, monkeypatch):
    count = 40
    logits, labels = calibrated(11, samples=200)
    # Best temperatures from 1/30 to 30, so that each panel has one or two of them.
    pool = logits * torch.from_numpy(np.geomspace(1 / 30, 30, count))[:, None, None]
    matrix = None if alone else group_matrix(count, [slice(i, i + 1) for i in range(count)])
    tabulated = []
    means_on = Mixtures.means_on

    def counted(self, panel, weights):
        tabulated.append(self.curves.members if alone else self.groups)
        return means_on(self, panel, weights)

    monkeypatch.setattr(Mixtures, "means_on", counted)
    found = fit_temperatures(Mixtures(Curves(pool, labels), matrix), np.full((200, 1), 1 / 200))
    assert found[:, 0] == pytest.approx(found[0, 0] * 30 * np.geomspace(1 / 30, 30, count), rel=1e-9)
    assert sum(tabulated) <= 2 * count
