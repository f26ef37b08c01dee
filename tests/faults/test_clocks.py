"""Clocks that differ by seconds and a slow file system lose no member, and make none twice."""

import os
import signal
import time
from pathlib import Path

import pytest
from small_members import ELSEWHERE, HERE, labels, made

from ensembudget.store import Store
from ensembudget.store.sweeping import HOUR, WEEK, staging_name

SKEW = 5.0  # seconds that the file system's clock is ahead of or behind this machine's


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def changed(path, seconds):
    """As if it had changed so many seconds ago, by the clock of the file system."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def staged(store, name):
    folder = store.root / "tmp" / name
    folder.mkdir(parents=True)
    (folder / "logits.safetensors").write_bytes(b"half")
    return folder


@pytest.mark.parametrize("skew", [-SKEW, 0.0, SKEW])
def test_staging_of_another_machine_stays_while_it_changes_whatever_the_clocks_say(store, skew):
    folder = staged(store, "0123456789ab.4000.5f3a")
    for age in (skew, HOUR + skew, WEEK - 60 + skew):
        for path in (folder, *folder.iterdir()):
            changed(path, age)
        store.sweep()
        assert folder.is_dir()
    changed(folder / "logits.safetensors", skew)  # it goes on after a week
    store.sweep()
    assert folder.is_dir()


@pytest.mark.parametrize("skew", [-SKEW, SKEW, -WEEK * 2, WEEK * 2])
def test_staging_of_a_living_process_of_this_machine_stays_whatever_its_age_seems(store, skew):
    folder = staged(store, staging_name())
    changed(folder / "logits.safetensors", skew)
    changed(folder, skew)
    store.sweep()
    assert folder.is_dir()


@pytest.mark.parametrize("skew", [-SKEW, SKEW])
def test_a_claim_that_is_renewed_is_not_swept_whatever_the_clocks_say(store, skew):
    claim = store.root / "claims" / f"{'a' * 64}.lock"
    claim.parent.mkdir(parents=True)
    claim.write_text("held")
    changed(claim, 1.0 + skew)
    store.sweep()
    assert claim.exists()


def child(work):
    """A process of its own that does some work; it imports nothing more."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid):
    return os.waitpid(pid, 0)[1]


def slow_renames(seconds):
    """Renaming that takes a while before it is done, and a while after, as over a network."""
    rename = os.rename

    def renamed(source, target, **how):
        time.sleep(seconds)
        rename(source, target, **how)
        time.sleep(seconds)

    os.rename = renamed


def publish(store, seeds, environment=HERE, slow=0.0):
    if slow:
        slow_renames(slow)
    for seed in seeds:
        store.publish(made(seed), labels(), environment)


def assert_whole(store, seeds):
    for seed in seeds:
        assert store.read(made(seed).run.key).test_logits.tobytes() == made(seed).test_logits.tobytes()
    names = sorted(path.name for path in store.root.glob("members/*/*"))
    assert names == sorted(made(seed).run.key for seed in seeds)
    store.sweep()
    assert list((store.root / "tmp").iterdir()) == []


def test_slow_renames_beside_sweeps_and_faster_writers_lose_nothing_and_make_nothing_twice(store, attacked):
    seeds = range(12)
    pids = [child(lambda: publish(store, seeds, slow=0.02)), child(lambda: publish(store, seeds, ELSEWHERE))]
    pids.append(child(lambda: [sweep_as_a_week_later(store) for _ in range(30)]))
    assert [ended(pid) for pid in pids] == [0, 0, 0]
    assert_whole(store, seeds)
    attacked("P1 P5", "publications beside slow renames and sweeps whose clock is ahead", 2 * len(seeds))


def sweep_as_a_week_later(store):
    """Sweeps with everything seeming a week old: what lives on this machine is asked for by its number."""
    now = time.time
    time.time = lambda: now() + 2 * WEEK
    store.sweep()
    time.time = now
    time.sleep(0.01)


def test_a_writer_that_is_stopped_longer_than_any_lease_is_fenced_by_the_rename(store):
    """It wakes after another has trained and published the same: the first stays, the second is told."""
    reads, writes = os.pipe()

    def stopped_before_the_rename():
        rename = os.rename

        def renamed(source, target, **how):
            os.write(writes, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)
            rename(source, target, **how)

        os.rename = renamed
        assert store.publish(made(0), labels(), HERE) is False

    pid = child(stopped_before_the_rename)
    os.read(reads, 1)
    os.waitpid(pid, os.WUNTRACED)
    assert store.publish(made(0), labels(), ELSEWHERE)
    store.sweep()
    assert len(list((store.root / "tmp").iterdir())) == 1  # it is stopped, and lives
    os.kill(pid, signal.SIGCONT)
    assert ended(pid) == 0
    assert store.read(made(0).run.key).member.environment == ELSEWHERE
    assert_whole(store, [0])


def test_a_writer_whose_staging_was_taken_away_fails_and_publishes_nothing(store):
    """As when a machine sleeps for more than a week, and another sweeps: the same command trains again."""
    reads, writes = os.pipe()

    def swept_before_the_rename():
        rename = os.rename

        def renamed(source, target, **how):
            os.write(writes, f"{source}\n".encode())
            os.kill(os.getpid(), signal.SIGSTOP)
            rename(source, target, **how)

        os.rename = renamed
        with pytest.raises(Exception, match="the same command resumes"):
            store.publish(made(0), labels(), HERE)

    pid = child(swept_before_the_rename)
    source = Path(os.read(reads, 4096).decode().strip())
    os.waitpid(pid, os.WUNTRACED)
    foreign = source.with_name(source.name.replace(source.name[:12], "0123456789ab"))
    source.rename(foreign)  # another machine's, as a sweep here sees it
    for path in (*foreign.iterdir(), foreign):
        changed(path, 2 * WEEK)
    store.sweep()
    assert not foreign.exists()
    os.kill(pid, signal.SIGCONT)
    assert ended(pid) == 0
    assert made(0).run.key not in store
    assert store.publish(made(0), labels(), HERE)
