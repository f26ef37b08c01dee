"""What a pool's sizes are worth and which member moves them, against `score_pool` and fresh pools."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import ScoreError
from ensembudget.scoring.covariance import mean_covariances, scored_pool
from ensembudget.scoring.ensembles import score_pool, size_losses
from ensembudget.scoring.regrouping import member_influences

from .planes import World, pool_of


def tensors(seed: int, count: int):
    world = World(seed)
    logits = world.members(np.random.default_rng(seed + 1), count)
    return torch.from_numpy(logits), torch.from_numpy(world.labels)


@given(st.integers(0, 1000), st.integers(1, 7), st.data())
@settings(max_examples=8, deadline=None)
def test_sizes_are_scored_as_the_whole_pool_is(seed, count, data):
    sizes = sorted(data.draw(st.sets(st.integers(1, count), min_size=1)))
    logits, labels = tensors(seed, count)
    whole, (losses, temperatures) = score_pool(logits, labels), size_losses(logits, labels, sizes)
    assert list(losses) == list(temperatures) == sizes
    for size in sizes:
        assert losses[size].shape == (count // size, len(labels))
        assert losses[size].numpy() == pytest.approx(whole.losses[size].numpy(), abs=1e-9)
        assert temperatures[size] == pytest.approx(whole.temperatures[size], rel=1e-6)


def test_the_seed_of_the_halvings_is_that_of_the_pool():
    logits, labels = tensors(3, 4)
    losses, _ = size_losses(logits, labels, [2], seed=5)
    expected = score_pool(logits, labels, seed=5).losses[2]
    assert losses[2].numpy() == pytest.approx(expected.numpy(), abs=1e-9)
    other, _ = size_losses(logits, labels, [2], seed=6)
    assert not np.allclose(losses[2].numpy(), other[2].numpy(), atol=1e-9)


def test_logits_that_cannot_be_scored_are_refused():
    logits, labels = tensors(4, 3)
    with pytest.raises(ScoreError, match="labels"):
        size_losses(logits, labels[:-1], [1])
    logits[1, 2, 0] = torch.nan
    with pytest.raises(ScoreError, match="logits"):
        size_losses(logits, labels, [1])


def test_members_of_a_pool_have_their_mean_losses():
    logits, labels = tensors(5, 6)
    found = scored_pool(pool_of(logits.numpy(), labels.numpy(), 4))
    whole = score_pool(logits, labels)
    assert list(found.cnll) == [1, 2, 4, 6]
    for size, cnll in found.cnll.items():
        assert cnll == pytest.approx(whole.mean(size, "cnll"), abs=1e-9)
    assert found.influences.shape == (6, 4)


def test_a_lone_member_has_no_influence_that_is_known():
    logits, labels = tensors(6, 1)
    found = scored_pool(pool_of(logits.numpy(), labels.numpy(), 4))
    assert list(found.cnll) == [1]
    assert found.influences.size == 0


def test_influences_of_lone_members_are_what_each_lies_from_the_mean():
    logits, labels = tensors(7, 6)
    losses, temperatures = size_losses(logits, labels, [1])
    found = member_influences(logits, labels, losses, temperatures).members[:, 0]
    each = np.array([score_pool(one[None], labels).mean(1, "cnll") for one in logits])
    assert found == pytest.approx((each - each.mean()) * np.sqrt(6 / 5), abs=1e-9)
    assert (found**2).mean() == pytest.approx(each.var(ddof=1))


def test_influences_on_every_size_have_mean_zero():
    logits, labels = tensors(8, 7)
    found = member_influences(logits, labels, *size_losses(logits, labels, (1, 2, 3, 5, 7))).members
    assert found.shape == (7, 5)
    assert found.sum(0) == pytest.approx(np.zeros(5), abs=1e-9)


def test_the_influence_on_a_whole_pool_is_the_slope_of_its_loss_in_the_members_weight():
    """By finite differences, at the temperature that is held fixed."""
    logits, labels = tensors(9, 5)
    losses, temperatures = size_losses(logits, labels, [1, 5])
    found = member_influences(logits, labels, losses, temperatures).members[:, 1]
    probs, rows = torch.softmax(logits.double(), -1), torch.arange(len(labels))

    def loss(weights):
        mean = torch.einsum("m,msc->sc", weights / weights.sum(), probs)
        return -torch.log_softmax(mean.log() / temperatures[5], -1)[rows, labels].mean()

    even, step = torch.full((5,), 0.2, dtype=torch.float64), 1e-5
    slopes = [float(loss(even + step * one) - loss(even - step * one)) / (2 * step) for one in torch.eye(5)]
    assert found == pytest.approx(np.array(slopes) * np.sqrt(5 / 4), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("count", [8, 16])
def test_the_noise_of_sizes_and_of_their_differences_is_that_of_fresh_pools(count):
    """Standard deviations over 150 pools are known to 6%; jackknifed pairs were 60% too wide at 8."""
    world, rng = World(5, samples=100), np.random.default_rng(6)
    means, stated = [], []
    for _ in range(150):
        quality = np.exp(0.15 * rng.normal(size=(count, 1, 1)))
        members = world.shared + quality * rng.normal(size=(count, 100, 4))
        one = scored_pool(pool_of(members, world.labels, 4))
        means.append(list(one.cnll.values()))
        stated.append(mean_covariances([one])[0] * (count - 3) / (count - 1))  # without Student's t
    true, found = np.cov(np.array(means).T), np.mean(stated, 0)
    contrasts = np.eye(len(true)) - np.eye(len(true), k=1)
    contrasts[-1] = 1 / len(true)  # from each size to the next, and the level
    for one in (*np.eye(len(true)), contrasts[0], contrasts[-1]):
        assert 0.7 < np.sqrt(one @ found @ one / (one @ true @ one)) < 1.4


def test_a_member_that_is_worse_raises_the_loss_of_its_ensemble():
    world, rng = World(10, samples=200), np.random.default_rng(11)
    logits = world.members(rng, 5, noise=0.5)
    logits[3] = 2 * rng.normal(size=logits[3].shape)  # knows nothing
    pool = torch.from_numpy(logits), torch.from_numpy(world.labels)
    found = member_influences(*pool, *size_losses(*pool, [1, 5])).members
    assert (found.argmax(0) == 3).all()
    assert (found[3] > 0).all()


def test_identical_members_have_no_influence():
    logits, labels = tensors(12, 1)
    copies = logits.expand(5, -1, -1)
    found = member_influences(copies, labels, *size_losses(copies, labels, [1, 2, 5]))
    assert found.members == pytest.approx(np.zeros((5, 3)), abs=1e-9)
    assert found.partners == pytest.approx(np.zeros(3), abs=1e-9)
