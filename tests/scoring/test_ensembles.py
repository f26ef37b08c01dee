import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensembudget.errors import ScoreError
from ensembudget.records import Score
from ensembudget.scoring import ensembles
from ensembudget.scoring.calibration import cross_fitted_losses, halvings
from ensembudget.scoring.ensembles import deep_ensemble_equivalent, groups, score_pool
from ensembudget.scoring.mixing import group_matrix

from . import oracle

METRICS = (
    "accuracy",
    "nll",
    "cnll",
    "cnll_before",
    "temperature",
    "temperature_before",
    "brier",
    "ece",
    "disagreement",
)


@dataclass(frozen=True)
class Case:
    """Random logits: `signal` for the true class, noise that members share, noise of their own."""

    seed: int
    pool: int
    samples: int
    classes: int
    signal: float
    scale: float = 1.0

    def draw(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rng = np.random.default_rng(self.seed)
        labels = rng.integers(self.classes, size=self.samples)
        logits = self.signal * np.eye(self.classes)[labels]
        logits = logits + rng.normal(size=(self.samples, self.classes))
        logits = logits + rng.normal(size=(self.pool, self.samples, self.classes))
        return self.scale * logits, labels


def tensors(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = case.draw()
    return torch.from_numpy(logits), torch.from_numpy(labels)


def number(score: Score, name: str) -> float | None:
    return score.metrics[name] if name in score.metrics else getattr(score, name)


def assert_agrees(logits: NDArray[np.float64], labels: NDArray[np.int64], seed: int = 0) -> None:
    expected = oracle.score_pool(logits, labels, seed)
    found = score_pool(torch.from_numpy(logits), torch.from_numpy(labels), seed=seed).scores
    assert [(one.members, one.replicate) for one in found] == list(expected)
    for one in found:
        for metric in METRICS:
            value = expected[one.members, one.replicate][metric]
            if value is None and (metric in ("ece", "cnll_before", "temperature_before")):
                continue  # a bin or a valley that is anybody's
            # Temperatures run from 1/1000 to 1000; all else is of the order of one.
            tolerance = 1e-9 * max(1, value or 0)
            assert number(one, metric) == (value if value is None else pytest.approx(value, abs=tolerance)), (
                f"{metric} of {one.members} members, group {one.replicate}"
            )


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(0, 16, 40, 3, 0), id="no information"),
        pytest.param(Case(1, 16, 40, 3, 2), id="informative"),
        pytest.param(Case(2, 16, 41, 3, 1), id="odd number of samples"),
        pytest.param(Case(3, 16, 40, 3, 1.5, 50), id="informative, 50 times too large"),
        pytest.param(Case(4, 16, 40, 3, 0, 50), id="no information, 50 times too large"),
        pytest.param(Case(5, 16, 40, 3, 1, 0.01), id="informative, 100 times too small"),
        pytest.param(Case(6, 16, 60, 2, 1), id="two classes"),
        pytest.param(Case(7, 8, 31, 100, 3), id="a hundred classes"),
        pytest.param(Case(8, 3, 7, 4, 1), id="seven samples"),
        pytest.param(Case(9, 1, 50, 5, 1), id="one member"),
    ],
)
def test_every_ensemble_size_agrees_with_a_plain_numpy_evaluator(case):
    assert_agrees(*case.draw())


@pytest.mark.parametrize("scale", [0.1, 1.0, 50.0])
def test_a_pool_that_is_right_everywhere_is_scored_at_temperature_one(scale):
    labels = np.arange(20) % 4
    logits = scale * (3 * np.eye(4)[labels] + np.random.default_rng(0).random((3, 20, 4)))
    assert_agrees(logits, labels)
    scores = score_pool(torch.from_numpy(logits), torch.from_numpy(labels)).scores
    assert {one.temperature for one in scores} == {1.0}
    assert [one.cnll for one in scores] == pytest.approx([one.metrics["nll"] for one in scores], abs=1e-12)


def test_a_pool_that_is_wrong_everywhere_is_scored_at_the_hottest_temperature():
    labels = np.arange(20) % 4
    logits = 5 * np.eye(4)[(labels + 1) % 4] + np.random.default_rng(0).random((2, 20, 4))
    assert_agrees(logits, labels)


@pytest.mark.parametrize("samples", [2, 3, 5, 9])
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_few_samples_of_even_and_odd_number_agree_with_a_plain_numpy_evaluator(samples, scale):
    assert_agrees(*Case(10, 5, samples, 3, 1, scale).draw())


def test_ensembles_whose_temperatures_differ_by_orders_of_magnitude_are_scored_each_at_its_own():
    logits, labels = Case(11, 6, 60, 4, 1.5).draw()
    logits = logits * 10.0 ** np.array([-2, -1, 0, 1, 2, 2.5])[:, None, None]
    assert_agrees(logits, labels)
    singles = score_pool(torch.from_numpy(logits), torch.from_numpy(labels)).scores[:6]
    assert singles[-1].temperature > 1e4 * singles[0].temperature


def test_a_pool_that_is_right_but_for_one_sample_agrees_with_a_plain_numpy_evaluator():
    # Of every pair of halves one is perfect.
    labels = np.arange(20) % 4
    logits = 3 * np.eye(4)[labels] + np.random.default_rng(0).random((4, 20, 4))
    logits[:, 7] = np.roll(logits[:, 7], 1, axis=-1)
    assert_agrees(logits, labels)
    temperatures = cross_fitted_losses(torch.from_numpy(logits), torch.from_numpy(labels), halvings(20))[1]
    assert ((temperatures == 1).sum(1) == 5).all()


def test_members_that_are_certain_of_different_classes_agree_with_a_plain_numpy_evaluator():
    # Log-probabilities down to -1000 and below: none may be lost.
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=30)
    logits = rng.uniform(300, 1500, size=(6, 30, 1)) * np.eye(4)[rng.integers(4, size=(6, 30))]
    assert_agrees(logits + rng.normal(size=(6, 30, 4)), labels)


def test_two_samples_are_enough():
    logits = np.array([[[1.0, 0.0], [0.5, 0.0]], [[0.0, 0.3], [2.0, 0.0]]])
    assert_agrees(logits, np.array([0, 1]))


@given(
    st.builds(
        Case,
        seed=st.integers(0, 2**32),
        pool=st.integers(1, 6),
        samples=st.integers(10, 60),
        classes=st.integers(2, 8),
        signal=st.floats(0, 4),
        scale=st.floats(0.2, 5),
    ),
    st.integers(0, 9),
)
@settings(max_examples=15, deadline=None)
def test_any_small_pool_agrees_with_a_plain_numpy_evaluator(case, seed):
    assert_agrees(*case.draw(), seed=seed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_arithmetic_is_in_float64_whatever_the_logits_are_stored_in(dtype):
    logits, labels = tensors(Case(0, 3, 50, 4, 1))
    stored = logits.to(dtype)
    assert score_pool(stored, labels).scores == score_pool(stored.double(), labels).scores


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_be_of_any_integer_type(dtype):
    logits, labels = tensors(Case(0, 2, 50, 4, 1))
    assert score_pool(logits, labels.to(dtype)).scores == score_pool(logits, labels).scores


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_groups_are_disjoint_of_one_size_and_as_many_as_fit(pool, size):
    members = [list(range(pool))[group] for group in groups(pool, size)]
    assert len(members) == pool // size
    assert all(len(one) == size for one in members)
    flat = [member for one in members for member in one]
    assert len(set(flat)) == len(flat)


def test_all_disjoint_groups_are_scored_each_from_its_own_members():
    logits, labels = tensors(Case(0, 7, 60, 3, 1))
    result = score_pool(logits, labels)
    for size in range(1, 8):
        own = [one for one in result.scores if one.members == size]
        assert [one.replicate for one in own] == list(range(7 // size))
        assert result.losses[size].shape == (7 // size, 60)
        for one, group_losses in zip(own, result.losses[size], strict=True):
            members = slice(one.replicate * size, (one.replicate + 1) * size)
            alone = score_pool(logits[members], labels).scores[-1]
            assert [number(one, m) for m in METRICS] == pytest.approx([number(alone, m) for m in METRICS])
            assert float(group_losses.mean()) == pytest.approx(one.cnll, abs=1e-12)
        assert result.mean(size, "cnll") == pytest.approx(np.mean([one.cnll for one in own]))


def test_averages_keep_changing_beyond_half_the_pool():
    # The papers' own code froze its running mean there.
    scores = score_pool(*tensors(Case(0, 8, 100, 4, 1))).scores
    whole = {one.members: one for one in scores if one.replicate == 0}
    for metric in ("nll", "cnll", "cnll_before", "brier"):
        values = [number(whole[size], metric) for size in range(1, 9)]
        assert len({round(value, 9) for value in values}) == 8, metric


def test_the_last_member_of_the_pool_counts_in_the_largest_ensemble_only():
    logits, labels = tensors(Case(0, 8, 100, 4, 1))
    other = logits.clone()
    other[7] = other[7].flip(-1)
    one, two = score_pool(logits, labels), score_pool(other, labels)
    for size in (5, 6, 7):
        assert one.losses[size].equal(two.losses[size])
    assert not one.losses[8].equal(two.losses[8])


@pytest.mark.parametrize("members", [1, 3])
def test_no_temperature_sees_the_labels_that_it_is_scored_on(members):
    logits, labels = tensors(Case(0, members, 80, 4, 1.5))
    together, folds = group_matrix(members, [slice(None)]), halvings(80)
    losses, temperatures = cross_fitted_losses(logits, labels, folds, together)
    for k, fold in enumerate(folds):
        other = labels.clone()
        other[fold.score] = labels[fold.score].roll(1)
        assert not other.equal(labels)
        other_losses, other_temperatures = cross_fitted_losses(logits, other, folds, together)
        assert other_temperatures[0, k] == temperatures[0, k]
        assert other_temperatures[0, k ^ 1] != temperatures[0, k ^ 1]  # fitted on what was changed
        assert not other_losses.equal(losses)


def test_a_label_changes_the_loss_of_others_only_by_temperatures_fitted_on_it():
    logits, labels = tensors(Case(0, 1, 80, 4, 1.5))
    folds = halvings(80)[:2]
    losses, _ = cross_fitted_losses(logits, labels, folds)
    changed, side = int(folds[0].fit[0]), folds[0].fit
    other = labels.clone()
    other[changed] = (other[changed] + 1) % 4
    other_losses, _ = cross_fitted_losses(logits, other, folds)
    moved = (losses != other_losses)[0].nonzero()[:, 0].tolist()
    assert set(moved) == {changed} | (set(range(80)) - set(side.tolist()))


def test_the_order_of_the_classes_does_not_matter():
    logits, labels = tensors(Case(0, 5, 60, 4, 1))
    order = torch.tensor([2, 0, 3, 1])
    one = score_pool(logits, labels).scores
    two = score_pool(logits[..., order], order.argsort()[labels]).scores
    for a, b in zip(one, two, strict=True):
        assert [number(a, m) for m in METRICS] == pytest.approx([number(b, m) for m in METRICS], abs=1e-9)


def test_the_order_of_the_samples_matters_to_no_metric_that_draws_no_halves():
    logits, labels = tensors(Case(0, 5, 60, 4, 1))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    drawn = {"cnll", "cnll_before", "temperature", "temperature_before"}
    kept = [metric for metric in METRICS if metric not in drawn]
    for a, b in zip(
        score_pool(logits, labels).scores, score_pool(logits[:, order], labels[order]).scores, strict=True
    ):
        assert [number(a, m) for m in kept] == pytest.approx([number(b, m) for m in kept], abs=1e-12)


def test_samples_reordered_with_their_halves_have_the_same_losses():
    logits, labels = tensors(Case(0, 3, 60, 4, 1))
    together, folds = group_matrix(3, [slice(None)]), halvings(60)
    order = np.random.default_rng(0).permutation(60)
    place = order.argsort()
    moved = [type(fold)(place[fold.fit], place[fold.score]) for fold in folds]
    losses, temperatures = cross_fitted_losses(logits, labels, folds, together)
    other, other_temperatures = cross_fitted_losses(logits[:, order], labels[order], moved, together)
    assert other.numpy() == pytest.approx(losses[:, order].numpy(), abs=1e-9)
    assert other_temperatures.numpy() == pytest.approx(temperatures.numpy(), rel=1e-9)


def test_the_order_of_the_members_does_not_matter_to_the_whole_pool():
    logits, labels = tensors(Case(0, 5, 60, 4, 1))
    one, two = (score_pool(x, labels).scores[-1] for x in (logits, logits.flip(0)))
    assert [number(one, m) for m in METRICS] == pytest.approx([number(two, m) for m in METRICS], abs=1e-9)


def test_copies_of_a_member_are_worth_one():
    logits, labels = tensors(Case(0, 1, 60, 4, 1))
    scores = score_pool(logits.expand(4, -1, -1), labels).scores
    for metric in METRICS[:-1]:
        assert [number(s, metric) for s in scores] == pytest.approx([number(scores[0], metric)] * len(scores))
    assert {s.metrics["disagreement"] for s in scores if s.members > 1} == {0.0}


def test_a_constant_added_to_a_samples_logits_changes_nothing():
    logits, labels = tensors(Case(0, 3, 60, 4, 1))
    shift = torch.randn(3, 60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 100
    for a, b in zip(
        score_pool(logits, labels).scores, score_pool(logits + shift, labels).scores, strict=True
    ):
        assert [number(a, m) for m in METRICS] == pytest.approx([number(b, m) for m in METRICS], abs=1e-9)


def test_the_seed_of_the_halves_decides_the_score_and_nothing_else():
    logits, labels = tensors(Case(0, 2, 60, 4, 1))
    one, same, other = (score_pool(logits, labels, seed=seed).scores for seed in (1, 1, 2))
    assert one == same
    assert [s.cnll for s in one] != [s.cnll for s in other]
    assert [s.metrics["nll"] for s in one] == [s.metrics["nll"] for s in other]


def test_scores_carry_the_name_of_their_cell():
    logits, labels = tensors(Case(0, 2, 20, 3, 1))
    assert {one.cell for one in score_pool(logits, labels, cell="wide").scores} == {"wide"}


def test_a_diverged_member_is_refused_by_name():
    logits, labels = tensors(Case(0, 3, 20, 3, 1))
    logits[1, 5, 0] = torch.nan
    with pytest.raises(ScoreError, match="member 1, sample 5"):
        score_pool(logits, labels)


@pytest.mark.parametrize(
    ("cnll", "members"),
    [(1.0, 1.0), (0.9, 1.5), (0.8, 2.0), (0.75, 3.0), (0.7, 4.0), (1.01, None), (0.69, None)],
)
def test_a_cnll_is_worth_the_members_that_reach_it(cnll, members):
    curve = {1: 1.0, 2: 0.8, 3: 0.75, 4: 0.7}
    assert deep_ensemble_equivalent(cnll, curve) == (members if members is None else pytest.approx(members))


@given(st.floats(0.5, 1.0))
@settings(max_examples=50, deadline=None)
def test_the_deep_ensemble_equivalent_inverts_the_curve(cnll):
    curve = {n: 0.5 + 0.5 / n for n in range(1, 33)}
    found = deep_ensemble_equivalent(cnll, curve)
    if cnll < curve[32]:
        assert found is None
    else:
        assert found is not None
        assert np.interp(found, list(curve), list(curve.values())) == pytest.approx(cnll, abs=1e-12)


@pytest.mark.parametrize("numbers", [1, 500, 2**20])
def test_scores_do_not_depend_on_how_many_ensembles_are_averaged_at_one_time(numbers, monkeypatch):
    logits, labels = tensors(Case(0, 5, 60, 4, 1))
    whole = score_pool(logits, labels).scores
    monkeypatch.setattr(ensembles, "AT_ONCE", numbers)
    for a, b in zip(score_pool(logits, labels).scores, whole, strict=True):
        assert [number(a, m) for m in METRICS] == pytest.approx([number(b, m) for m in METRICS], abs=1e-12)


def test_scores_are_the_same_to_the_last_bit_whatever_the_number_of_threads():
    logits, labels = tensors(Case(0, 5, 400, 30, 1))
    one = score_pool(logits, labels)
    torch.set_num_threads(3)
    try:
        three = score_pool(logits, labels)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)
    assert one.scores == three.scores


MEMORY = """
import resource, torch
from ensembudget.scoring import curves, ensembles

def peak():  # MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

generator = torch.Generator().manual_seed(0)
labels = torch.randint(100, (4000,), generator=generator)
logits = torch.randn(24, 4000, 100, generator=generator)
logits[:, torch.arange(4000), labels] += 3
ensembles.AT_ONCE = curves.KEPT = 2**21  # 16 MiB each
ensembles.score_pool(logits[:2, :50], labels[:50])  # loads what is loaded once
before = peak()
scores = ensembles.score_pool(logits, labels).scores
print(len(scores), peak() - before)
"""


@pytest.mark.slow
def test_a_pool_is_scored_in_a_memory_that_is_bounded():
    # 37 MiB of logits; in float64 they would be 73, and the averages of all ensembles 254.
    ran = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    count, grown = map(float, ran.stdout.split())
    assert count == sum(24 // n for n in range(1, 25))
    assert grown < 130
