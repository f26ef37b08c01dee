"""A search on stored members, in an order that is given: the same loop, and nothing is trained."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ensembudget import studies
from ensembudget.prediction.replay import Replay, taken_from
from ensembudget.prediction.search import search
from ensembudget.scoring.pools import pools_of
from ensembudget.store import Store
from ensembudget.verbs.search import space_of
from searching import BUDGET, NEVER_SURE, STUDY, Making, policy_of, publish, searched


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def stored(tmp_path_factory, digits):
    """The space of a search, and a store with all of its members."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "seek.toml").write_text(STUDY)
    space, store = space_of(studies.load_study(folder / "seek.toml"), BUDGET), Store(folder / "store")
    for run in space.planned.runs:
        publish(run, store, space)
    return space, store


@pytest.fixture
def pools(stored):
    space, store = stored
    return {pool.planned.cell.width: pool for pool in pools_of(space.planned, store)}


def replay(space, pools, orders, share=0.5):
    return search(policy_of(space, share, **NEVER_SURE), Replay(space, pools, orders))


def test_members_in_their_own_order_are_the_search_that_trains_them(stored, pools, tmp_path):
    space, _ = stored
    trained = searched(Making(space, Store(tmp_path / "store")), 0.5, **NEVER_SURE)
    found = replay(space, pools, {width: range(len(pool.trained)) for width, pool in pools.items()})
    assert found.prediction == trained.prediction
    assert found.state.rounds == trained.state.rounds
    assert found.state.spent == trained.state.spent


def test_members_are_taken_in_the_order_that_is_given_and_none_twice(stored, pools):
    space, store = stored
    orders = {
        width: np.random.default_rng(3).permutation(len(pool.trained)).tolist()
        for width, pool in pools.items()
    }
    before = sorted(path.name for path in store.root.rglob("*"))
    found = replay(space, pools, orders)
    for width, order in orders.items():
        seeds = [seed for one in found.state.rounds if one.width == width for seed in one.seeds]
        assert seeds == order[: len(seeds)]
    assert found.state.spent <= 0.5 * space.grid
    assert sorted(path.name for path in store.root.rglob("*")) == before


def test_another_order_is_another_search(stored, pools):
    space, _ = stored
    ahead = replay(space, pools, {width: range(len(pool.trained)) for width, pool in pools.items()})
    back = replay(space, pools, {width: range(len(p.trained))[::-1] for width, p in pools.items()})
    assert back.prediction != ahead.prediction


def test_no_more_members_are_asked_for_than_an_order_has(stored, pools):
    space, _ = stored
    few = replay(space, pools, {width: range(2) for width in pools}, share=1.0)
    assert "every member" in few.state.decision.reason
    assert sum(len(one.seeds) for one in few.state.rounds) == 2 * len(pools)


def test_a_part_of_a_pool_is_its_members_in_that_order(pools):
    pool = pools[3]
    some = taken_from(pool, [4, 1])
    assert [one.member.run.seed for one in some.trained] == [4, 1]
    assert np.array_equal(some.logits.numpy(), pool.logits.numpy()[[4, 1]])
    assert len(pool.trained) == 8
