"""What a pool's sizes are worth and which member moves them, against `score_pool` and fresh pools."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import ScoreError
from ensembudget.scoring.covariance import scored_pool
from ensembudget.scoring.ensembles import score_pool, size_losses
from ensembudget.scoring.influence import member_influences

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
    found = member_influences(logits, labels, losses, temperatures)[:, 0]
    each = np.array([score_pool(one[None], labels).mean(1, "cnll") for one in logits])
    assert found == pytest.approx((each - each.mean()) * np.sqrt(6 / 5), abs=1e-9)
    assert (found**2).mean() == pytest.approx(each.var(ddof=1))


def test_members_in_no_group_of_a_size_have_no_influence_on_it():
    logits, labels = tensors(8, 7)
    sizes = (1, 2, 3, 5)
    found = member_influences(logits, labels, *size_losses(logits, labels, sizes))
    for at, size in enumerate(sizes):
        used = 7 // size * size
        assert (found[used:, at] == 0).all()
        assert (found[:used, at] != 0).all()
        assert found[:used, at].sum() == pytest.approx(0, abs=1e-9)


def test_many_groups_set_the_scale_by_their_own_spread():
    logits, labels = tensors(9, 17)
    losses, temperatures = size_losses(logits, labels, [2])
    found = member_influences(logits, labels, losses, temperatures)[:, 0]
    groups = [score_pool(logits[i : i + 2], labels).mean(2, "cnll") for i in range(0, 16, 2)]
    assert found[16] == 0
    # Squares over the members used are the variance of the mean over eight groups.
    assert (found[:16] ** 2).mean() / 16 == pytest.approx(np.var(groups, ddof=1) / 8, rel=1e-6)


def test_a_member_that_is_worse_raises_the_loss_of_its_ensemble():
    world, rng = World(10, samples=200), np.random.default_rng(11)
    logits = world.members(rng, 5, noise=0.5)
    logits[3] = 2 * rng.normal(size=logits[3].shape)  # knows nothing
    pool = torch.from_numpy(logits), torch.from_numpy(world.labels)
    found = member_influences(*pool, *size_losses(*pool, [1, 5]))
    assert (found.argmax(0) == 3).all()
    assert (found[3] > 0).all()


def test_identical_members_have_no_influence():
    logits, labels = tensors(12, 1)
    copies = logits.expand(5, -1, -1)
    found = member_influences(copies, labels, *size_losses(copies, labels, [1, 2, 5]))
    assert found == pytest.approx(np.zeros((5, 3)), abs=1e-9)
