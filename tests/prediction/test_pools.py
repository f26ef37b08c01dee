"""What pools say of a plane: covariances against fresh pools, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.prediction.pools import curves_of
from ensembudget.scoring.covariance import (
    SHRINKAGE,
    ScoredPool,
    member_covariances,
    pool_noises,
    scored_pool,
)
from ensembudget.scoring.sizes import spaced

from .planes import EACH, World, pool_of


@pytest.fixture(scope="module")
def pools():
    """Three widths with 7, 5 and 2 members: logits by width, the pools scored, and their curves."""
    world, rng = World(0), np.random.default_rng(1)
    logits = {width: world.members(rng, count) for width, count in ((4, 7), (6, 5), (9, 2))}
    found = [scored_pool(pool_of(each, world.labels, width)) for width, each in logits.items()]
    return logits, found, curves_of(found)


def test_a_column_has_the_width_the_parameters_and_the_spaced_sizes(pools):
    _, _, curves = pools
    assert [(one.width, one.parameters) for one in curves] == [(k, EACH * k * k) for k in (4, 6, 9)]
    assert [one.sizes.tolist() for one in curves] == [[1, 2, 4, 6], [1, 2, 4], [1, 2]]
    assert all(one.covariance.shape == (len(one.sizes),) * 2 for one in curves)


def test_the_variance_of_lone_members_is_shrunk_to_that_of_all_widths(pools):
    logits, _, curves = pools
    counts, variances = [], []
    for each in logits.values():
        losses = members_losses(each)
        counts.append(len(losses))
        variances.append(losses.var(ddof=1))
    freedom = np.array(counts) - 1
    shared = (freedom * variances).sum() / freedom.sum()
    student = freedom.sum() / (freedom.sum() - 2)
    for one, count, variance in zip(curves, counts, variances, strict=True):
        each = ((count - 1) * variance + SHRINKAGE * shared) / (count - 1 + SHRINKAGE)
        assert one.covariance[0, 0] == pytest.approx(student * each / count, rel=1e-9)


def members_losses(logits: np.ndarray) -> np.ndarray:
    """CNLL of every member by itself, each scored as a pool of one."""
    return np.array([scored_pool(pool_of(each[None], World(0).labels, 1)).cnll[1] for each in logits])


def test_lone_members_everywhere_show_no_error():
    world, rng = World(2), np.random.default_rng(3)
    alone = [scored_pool(pool_of(world.members(rng, 1), world.labels, width)) for width in (4, 6, 8)]
    assert all(one.covariance.tolist() == [[0]] for one in curves_of(alone))


def test_a_lone_member_has_the_spread_of_the_others(pools):
    _, members, _ = pools
    world, rng = World(0), np.random.default_rng(4)
    alone = scored_pool(pool_of(world.members(rng, 1), world.labels, 12))
    *others, last = curves_of([*members, alone])
    assert last.covariance.shape == (1, 1)
    variances = [one.covariance[0, 0] * count for one, count in zip(others, (7, 5, 2), strict=True)]
    assert min(variances) < last.covariance[0, 0] < max(variances)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_covariances_are_positive_semidefinite_whatever_the_pools(counts, seed):
    rng, found = np.random.default_rng(seed), []
    for count in counts:
        sizes = spaced(range(1, count + 1))
        influences = rng.normal(size=(count, len(sizes))) if count > 1 else np.empty((0, 1))
        for at, size in enumerate(sizes if count > 1 else []):
            influences[count // size * size :, at] = 0
        found.append(ScoredPool(4, 100, dict.fromkeys(sizes, 1.0), influences))
    each = [*member_covariances(found), *(one.covariance for one in curves_of(found))]
    for covariance in each:
        assert covariance == pytest.approx(covariance.T)
        assert np.linalg.eigvalsh(covariance).min() >= -1e-9 * max(np.trace(covariance), 1)
    if max(counts) > 1:
        assert all((np.diag(covariance) > 0).all() for covariance in each)


def test_a_mean_over_members_has_the_covariance_of_fresh_pools():
    world, rng, kinds = (
        World(5, samples=150),
        np.random.default_rng(6),
        ((4, 7, 1.0), (6, 5, 1.0), (8, 10, 1.2)),
    )
    means, stated = [], []
    for _ in range(40):
        curves = curves_of(
            [
                scored_pool(pool_of(world.members(rng, count, noise), world.labels, width))
                for width, count, noise in kinds
            ]
        )
        means.append([one.cnll for one in curves])
        stated.append([one.covariance for one in curves])
    for i in range(len(kinds)):
        true = np.cov(np.array([each[i] for each in means]).T)
        found = np.mean([each[i] for each in stated], 0)
        # Student's t adds a little, and 40 pools show 22%.
        ratio = np.diag(found) / np.diag(true)
        assert ((ratio > 0.65) & (ratio < 1.9)).all()
        correlation, expected = (one / np.sqrt(np.outer(*[np.diag(one)] * 2)) for one in (found, true))
        assert np.abs(correlation - expected).max() < 0.25


def test_two_members_alone_are_shown_by_hand():
    one = ScoredPool(4, 100, {1: 1.0, 2: 0.5}, np.array([[1.0, 0.5], [-1.0, -0.5]]))
    (found,) = curves_of([one])
    # Moments 1, 1/2, 1/4 over two members; one degree of freedom has a Student factor of three.
    assert found.covariance == pytest.approx(3 * np.array([[1, 0.5], [0.5, 0.25]]) / 2)


def test_the_noise_of_sizes_between_is_interpolated_and_a_lone_ensemble_has_one_too(pools):
    _, members, curves = pools
    noise = pool_noises(members)[0]
    looked_at = [1, 2, 4, 6]
    means = noise.covariance(looked_at)
    # The curve's covariance allows for Student's t of 6 + 4 + 1 degrees of freedom, this one says its own.
    assert curves[0].covariance == pytest.approx(means * 11 / 9)
    assert noise.freedom == 6 + SHRINKAGE
    lone = noise.covariance([6, 7])  # one ensemble each; 7 is beyond the sizes that were looked at
    assert lone[0, 0] == pytest.approx(means[3, 3])
    assert lone[1, 1] == pytest.approx(means[3, 3] * 6 / 7)
    errors = np.sqrt(np.diag(noise.covariance([4, 5, 6])))
    assert np.linalg.eigvalsh(noise.covariance([1, 2, 3, 4, 5, 6, 7])).min() >= -1e-12
    assert 0.5 * errors[[0, 2]].min() < errors[1] < 1.5 * errors[[0, 2]].max()


def test_lone_members_everywhere_have_no_freedom():
    world, rng = World(2), np.random.default_rng(3)
    alone = [scored_pool(pool_of(world.members(rng, 1), world.labels, width)) for width in (4, 6)]
    assert [one.freedom for one in pool_noises(alone)] == [0, 0]
    assert pool_noises([]) == []
