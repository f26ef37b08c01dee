"""A search on a tiny study: what it trains and spends, and how it resumes."""

import pytest
from threadpoolctl import threadpool_limits

from ensembudget import studies
from ensembudget.errors import IncompleteError, StoreError
from ensembudget.prediction.search import state_of
from ensembudget.store import Store
from ensembudget.verbs.search import TrainingSource, space_of
from searching import BUDGET, NEVER_SURE, POOLS, STUDY, Making, flops_of, policy_of, publish, searched


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory, digits):
    path = tmp_path_factory.mktemp("study") / "seek.toml"
    path.write_text(STUDY)
    return studies.load_study(path)


@pytest.fixture(scope="module")
def space(study):
    return space_of(study, BUDGET)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def making(space, store) -> Making:
    return Making(space, store)


def state_now(making, share=1.0, **more):
    """Where a search is, from its store."""
    return state_of(policy_of(making.space, share, **more), making.source.observe())


@pytest.mark.parametrize(("kind", "best"), [("one wide network", 1), ("many members", 4)])
def test_a_search_finds_a_clear_winner_within_its_spend(kind, best, space, store):
    found = searched(Making(space, store, kind), 0.45)
    assert found.prediction.best == found.state.decision.best.members == best
    assert found.state.decision.confidence >= 0.95
    assert found.failures == ()
    assert found.state.spent == pytest.approx(flops_of(store, space))
    assert found.state.spent <= 0.45 * space.grid
    assert (found.prediction.budget, found.prediction.budget_kind) == (11338, "parameters")
    assert [one.members for one in found.prediction.splits] == [1, 2, 4]


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_rounds_are_what_was_trained_and_stay_within_the_spend(share, space, store, making):
    states = []
    found = searched(making, share, **NEVER_SURE, on_state=states.append)
    rounds = found.state.rounds
    assert [[(one.width, seed) for seed in one.seeds] for one in rounds] == making.made
    assert [len(state.rounds) for state in states] == list(range(len(making.made) + 1))
    assert states[-1] == found.state
    for one, before in zip(rounds, states, strict=False):
        cell = space.cells[one.width]
        assert one.keys == [cell.runs[seed].key for seed in one.seeds]
        assert all(key in store for key in one.keys)
        assert one.flops == len(one.seeds) * cell.training_flops
        assert (one.width, one.reason) == (before.decision.width, before.decision.reason)
        assert len(one.seeds) == before.decision.number
    assert found.state.spent == pytest.approx(sum(one.flops for one in rounds))
    assert found.state.spent <= share * space.grid
    # What is left pays for no member that there still is.
    left = share * space.grid - found.state.spent
    missing = [cell for cell in space.planned.cells if not all(run.key in store for run in cell.runs)]
    assert all(cell.training_flops > left for cell in missing)
    assert store.saved_search(space.search).rounds == list(rounds)


def test_a_search_that_is_run_again_trains_nothing_and_says_the_same(space, store, making):
    first = searched(making, 0.5, **NEVER_SURE)
    other = Making(space, Store(store.root))
    again = searched(other, 0.5, **NEVER_SURE)
    assert other.made == []
    assert again.prediction == first.prediction
    assert (again.state.rounds, again.state.spent) == (first.state.rounds, first.state.spent)
    assert again.state.decision[:-1] == first.state.decision[:-1]


def test_a_search_goes_on_with_a_larger_spend(space, store, making):
    first = searched(making, 0.35, **NEVER_SURE)
    more = searched(making, 0.7, **NEVER_SURE)
    assert more.state.rounds[: len(first.state.rounds)] == first.state.rounds
    assert first.state.spent < more.state.spent == pytest.approx(flops_of(store, space))
    assert more.state.spent <= 0.7 * space.grid


def test_a_search_with_less_than_what_is_spent_stops_at_once(space, store, making):
    first = searched(making, 0.7, **NEVER_SURE)
    count = flops_of(store, space)
    less = searched(making, 0.3, **NEVER_SURE)
    assert flops_of(store, space) == count
    assert (less.state.decision.width, less.state.decision.number) == (None, 0)
    assert (less.state.rounds, less.state.spent) == (first.state.rounds, first.state.spent)
    assert less.prediction == first.prediction


def test_a_search_that_was_interrupted_ends_as_one_that_was_not(space, store, making, tmp_path):
    expected = searched(Making(space, Store(tmp_path / "whole")), 0.5, **NEVER_SURE)

    def leave(state):
        if len(state.rounds) in (3, 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(making, 0.5, **NEVER_SURE, on_state=leave)
    assert len(state_now(making).rounds) == 3
    found = searched(Making(space, Store(store.root)), 0.5, **NEVER_SURE)
    assert found.prediction == expected.prediction
    assert found.state.rounds == expected.state.rounds
    assert found.state.spent == pytest.approx(flops_of(store, space))


class Leaving(Making):
    """Breaks off the first time when `enough` rounds are made, after `kept` members of the next."""

    def __init__(self, *arguments, enough, kept=0) -> None:
        super().__init__(*arguments)
        self.enough, self.kept, self.left = enough, kept, None

    def __call__(self, part):
        runs = [run for run in part.runs if run.key not in self.store]
        if self.left is None and len(self.made) >= self.enough and len(runs) > self.kept:
            self.left = runs
            for run in runs[: self.kept]:
                self.make(run)
            raise KeyboardInterrupt
        return super().__call__(part)


def test_a_round_that_was_not_trained_is_not_spent(space, store):
    leaving = Leaving(space, store, enough=2)
    with pytest.raises(KeyboardInterrupt):
        searched(leaving, 0.5, **NEVER_SURE)
    assert len(store.saved_search(space.search).rounds) == 3
    state = state_now(leaving, 0.5)
    assert len(state.rounds) == 2
    assert state.spent == pytest.approx(flops_of(store, space))
    found = searched(leaving, 0.5, **NEVER_SURE)
    assert found.state.spent == pytest.approx(flops_of(store, space))
    assert found.state.spent <= 0.5 * space.grid


def test_of_a_round_that_was_broken_off_what_was_trained_is_spent(space, store):
    leaving = Leaving(space, store, enough=0, kept=1)
    with pytest.raises(KeyboardInterrupt):
        searched(leaving, 0.8, **NEVER_SURE)
    state, (*_, last) = state_now(leaving, 0.8), store.saved_search(space.search).rounds
    assert state.spent == pytest.approx(flops_of(store, space))
    assert last.seeds == [run.seed for run in leaving.left]
    kept = state.rounds[-1]
    assert (kept.seeds, kept.keys) == ([leaving.left[0].seed], [leaving.left[0].key])
    assert kept.flops == pytest.approx(space.cells[kept.width].training_flops)
    found = searched(leaving, 0.8, **NEVER_SURE)
    assert found.state.spent == pytest.approx(flops_of(store, space))
    assert found.state.spent <= 0.8 * space.grid
    seeds = [(one.width, seed) for one in found.state.rounds for seed in one.seeds]
    assert len(seeds) == len(set(seeds))


def test_members_that_are_there_are_used_and_cost_nothing(space, store, making):
    for k, count in ((2, 2), (3, 2), (4, 1)):
        for run in space.cells[k].runs[:count]:
            publish(run, store, space)
    before = flops_of(store, space)
    found = searched(making, 0.5, **NEVER_SURE)
    assert making.made[:2] == [[(4, 1)], [(6, 0)]]
    assert found.state.spent == pytest.approx(flops_of(store, space) - before)
    assert found.state.spent <= 0.5 * space.grid


def test_all_members_there_is_an_answer_for_nothing(space, store, making):
    for run in space.planned.runs:
        publish(run, store, space)
    found = searched(making, 1e-9, **NEVER_SURE)
    assert making.made == []
    assert (found.state.spent, found.state.rounds) == (0, ())
    assert "every member" in found.state.decision.reason


# Members that diverge.


def test_a_member_that_diverged_is_not_trained_again(space, store, making):
    publish(space.cells[2].runs[0], store, space, diverged_at=3)
    searched(making, 0.6, **NEVER_SURE)
    assert (2, 0) not in [one for some in making.made for one in some]


def test_where_whole_widths_diverged_others_are_trained(space, store, making):
    for k in (2, 3):
        for run in space.cells[k].runs[:2]:
            publish(run, store, space, diverged_at=3)
    assert searched(making, **NEVER_SURE).prediction.best
    first = [width for some in making.made[:6] for width, _ in some]
    assert first == [2, 2, 3, 3, 4, 4]  # in place of those that diverged


def test_widths_of_which_all_diverged_are_passed_over(space, store, making):
    for run in space.cells[2].runs:
        publish(run, store, space, diverged_at=3)
    found = searched(making, **NEVER_SURE)
    assert [width for some in making.made[:6] for width, _ in some] == [3, 3, 4, 4, 6, 6]
    assert found.prediction.best
    assert "every member" in found.state.decision.reason
    assert sum(map(len, making.made)) == sum(POOLS.values()) - POOLS[2]


def test_where_too_many_widths_diverged_it_is_told_and_no_larger_spend_asked_for(space, store, making):
    for k in (2, 3):
        for run in space.cells[k].runs:
            publish(run, store, space, diverged_at=3)
    with pytest.raises(IncompleteError, match="3 widths with 2 members that do not diverge") as caught:
        searched(making)
    assert "--spend" not in str(caught.value)
    assert making.made == []


def test_members_that_diverged_can_neither_be_used_nor_trained(space, store):
    for at, run in enumerate(space.cells[3].runs[:5]):
        publish(run, store, space, diverged_at=3 if at % 2 else None)
    observed = TrainingSource(space, store).observe()
    assert {one.width: (one.trained, one.most) for one in observed.widths} == {
        2: (0, 8),
        3: (3, 6),
        4: (0, 4),
        6: (0, 4),
    }
    assert [(one.width, len(one.influences)) for one in observed.pools] == [(3, 3)]


# What it keeps.


def test_a_search_that_cannot_be_read_does_not_start_again_at_0(store, making):
    searched(making, 0.5, **NEVER_SURE)
    (path,) = (store.root / "searches").iterdir()
    path.write_bytes(b"not json")
    with pytest.raises(StoreError, match=f"search '{path}' is damaged"):
        searched(making, 0.5, **NEVER_SURE)


def test_searches_of_other_budgets_have_rounds_of_their_own(study, space, store, making):
    found = searched(making, 0.5, **NEVER_SURE)
    other = space_of(study, "5178")
    assert state_now(Making(other, store)).rounds == ()
    assert store.saved_search(other.search) == other.search
    assert state_now(Making(space_of(study, "11.338k"), store)).rounds == found.state.rounds


def test_rounds_that_an_older_version_wrote_are_read(space, store, making):
    """As they have lain in stores since searches exist."""
    found = searched(making, 0.4, **NEVER_SURE)
    (path,) = (store.root / "searches").iterdir()
    first = found.state.rounds[0]
    written = (
        f'{{"best":null,"confidence":0,"flops":{int(first.flops)},"keys":["{first.keys[0]}"],"loss":null,'
        f'"reason":"{first.reason}","seeds":[0],"width":2}}'
    )
    path.write_text(store.saved_search(space.search).to_json())  # format 1: the record alone
    assert written in path.read_text()
