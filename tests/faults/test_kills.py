"""Attack A: a process that works on a store is killed at every call that it makes of the disk."""

import pytest
from traced_disk import clean


@pytest.mark.slow
def test_a_process_that_is_killed_anywhere_loses_nothing_and_leaves_nothing_in_part(attacked):
    """Before every call, within every write and after the last; then a sweep, and the same is done again."""
    found = clean("store_attacks", "kills")
    assert found["wrong"] == []
    assert found["cases"] >= 350
    attacked("P1 P3", "killed before every call of the store's disk and within every write", found["cases"])


def test_a_process_that_is_killed_while_it_recovers_loses_nothing(times, attacked):
    found = clean("store_attacks", "kills_again", seed=0, cases=100 * times)
    assert found["wrong"] == []
    attacked("P1 P3", "killed again during recovery", found["cases"])
