"""Attack C: power is cut, and the disk has lost, cut short or reordered what was not synced."""

import pytest
from crash_states import History, states
from traced_disk import Op, clean

MINIMUM = 2000


@pytest.mark.slow
def test_a_power_cut_loses_nothing_that_was_reported_and_leaves_nothing_in_part(times, attacked):
    """Each state is made as a real folder, opened, and compared byte for byte; no state counts twice."""
    found = clean("store_attacks", "power_loss", seed=0, drawn=120 * times, stops=3)
    assert found["wrong"] == []
    assert found["cases"] >= MINIMUM
    attacked("P1 P3", "power cut: unsynced changes lost, torn or reordered", found["cases"])


# The model is attacked too: what it must be able to lose, and what it must keep.

TWO = [Op("mkdir", "a"), Op("create", "a/x"), Op("write", "a/x", content=b"new"), Op("rename", "a", "b")]


class Draws:
    """In the place of random numbers: nothing is drawn."""

    def choice(self, some):
        return some[0]


def trees(*log: Op) -> list[dict]:
    """What the disk may hold after all of a log."""
    history = History({"old": b"old"}, list(log))
    return [tree for end, tree in states(history, Draws(), 0) if end == len(log)]


def test_what_was_not_synced_may_be_lost_each_by_itself():
    found = trees(*TWO)
    assert {"old": b"old"} in found  # all is lost
    assert {"old": b"old", "b": {"x": b"new"}} in found
    assert {"old": b"old", "b": {"x": b""}} in found  # the name without the content


def test_what_was_synced_is_kept():
    synced = (*TWO, Op("fsync", "b/x"), Op("fsync", "b"), Op("fsync", "."))
    assert trees(*synced) == [{"old": b"old", "b": {"x": b"new"}}]


def test_a_synced_file_whose_folder_was_not_synced_may_be_gone():
    found = trees(Op("create", "x"), Op("write", "x", content=b"new"), Op("fsync", "x"))
    assert {"old": b"old"} in found
    assert {"old": b"old", "x": b""} not in found


def test_a_rename_happens_whole_or_not_at_all():
    assert all(len({"old", "new"} & set(tree)) == 1 for tree in trees(Op("rename", "old", "new")))
