"""Whole searches by the real loop, on members that a source of the test's own hands out."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ensembudget.errors import IncompleteError
from ensembudget.prediction.forms import FORMS
from ensembudget.prediction.policy import Decision
from ensembudget.prediction.posterior import DRAWS
from ensembudget.prediction.search import Observed, SearchState, search, state_of
from ensembudget.records import Round

from .worlds import CANDIDATES, GRID, KINDS, MOST, SHARP, WIDTHS, Trained, policy, widths_of, world

FIRST = (4, 4, 6, 6, 8, 8)  # two members of each of the three cheapest


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


class Planted:
    """A source of planted members, none given twice, that watches what is asked."""

    def __init__(self, here: Trained, spend: float, failures: tuple[str, ...] = (), after: int = 0) -> None:
        self.here, self.spend, self.rounds = here, spend, list[Round]()
        self.failures, self.after = failures, after
        self.trained = dict.fromkeys(WIDTHS, 0)

    def observe(self) -> Observed:
        return Observed(self.here.known(self.trained), widths_of(self.trained), tuple(self.rounds))

    def train(self, decision: Decision) -> tuple[str, ...]:
        if self.failures and len(self.rounds) == self.after:
            return self.failures
        k, first = decision.width, self.trained[decision.width]
        assert 1 <= decision.number <= MOST[k] - first
        self.trained[k] += decision.number
        seeds = list(range(first, self.trained[k]))
        self.rounds.append(
            Round(
                width=k,
                seeds=seeds,
                keys=[str(seed) for seed in seeds],
                flops=float(len(seeds) * k * k),
                best=None,
                confidence=decision.confidence,
                loss=None,
                reason=decision.reason,
            )
        )
        assert self.observe().spent <= self.spend
        return ()


def searched(here: Trained, spend: float, **bounds) -> tuple[SearchState, Planted]:
    """The last state of a search, and its source."""
    source, states = Planted(here, spend), []
    try:
        search(policy(spend, **bounds), source, on_state=states.append)
    except IncompleteError:
        assert states[-1].decision.posterior is None
    return states[-1], source


def cnll(logits, labels) -> float:
    """Of the mean of the members' probabilities at the best of many temperatures."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    mean = np.log((powers / powers.sum(-1, keepdims=True)).mean(0))
    tempered = mean / np.geomspace(0.3, 5, 60)[:, None, None]
    right = tempered[:, np.arange(len(labels)), labels] - np.log(np.exp(tempered).sum(-1))
    return float(-right.mean(1).max())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "best"), [("many members", 16), ("one wide network", 1)])
def test_a_search_finds_a_clear_winner_for_a_quarter_of_the_grid(kind, best, seed):
    here = world(*KINDS[kind], seed=seed)
    measured = {one.members: cnll(here.logits[one.width][: one.members], here.labels) for one in CANDIDATES}
    assert min(measured, key=measured.get) == best
    assert sorted(measured.values())[1] > 1.2 * measured[best]
    state, _ = searched(here, 0.25 * GRID)
    assert state.decision.best.members == best
    assert state.decision.confidence >= 0.95
    assert state.spent <= 0.25 * GRID


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_search_that_is_never_sure_spends_what_it_may_and_no_more(share):
    state, source = searched(world(*KINDS["nearly even"]), share * GRID, **SHARP)
    left = share * GRID - state.spent
    if state.decision.best is None:  # for the next of the first members there was too little
        total = np.cumsum([k * k for k in FIRST])
        assert state.spent == max([0, *total[total <= share * GRID]])
    else:
        assert all(source.trained[k] == MOST[k] for k in WIDTHS if k * k <= left)


def test_a_search_with_the_whole_law_finds_a_clear_winner():
    state, _ = searched(world(*KINDS["many members"]), 0.25 * GRID, forms=FORMS, draws=DRAWS)
    assert state.decision.best.members == 16
    assert state.decision.posterior.best.exponents[0] > 0


def test_a_state_is_what_the_search_would_do_next_and_trains_nothing():
    source, states = Planted(world(*KINDS["nearly even"]), GRID), []
    state = state_of(policy(), source.observe())
    assert source.rounds == []
    with pytest.raises(IncompleteError):
        search(policy(4.0 * 4), source, on_state=states.append)
    assert states[0].decision[:6] == state.decision[:6]


@pytest.mark.parametrize(("after", "law"), [(0, False), (7, True)])
def test_members_that_fail_end_a_search_with_what_is_known(after, law):
    source = Planted(world(*KINDS["nearly even"]), GRID, failures=("no luck", "no disk"), after=after)
    found = search(policy(**SHARP), source)
    assert found.failures == ("no luck", "no disk")
    assert len(found.state.rounds) == after
    assert (found.prediction is not None) is law


def test_a_spend_too_small_for_a_law_is_told_with_the_share_that_is_needed():
    source = Planted(world(*KINDS["nearly even"]), 100.0)
    with pytest.raises(IncompleteError) as caught:
        search(policy(100.0), source)
    needed = 100 * 2 * (16 + 36 + 64) / GRID
    assert f"take {np.ceil(10 * needed) / 10:g}% of the grid" in str(caught.value)
    assert f"of {100.0:.3g} FLOP" in str(caught.value)
