"""Workers are killed, at any moment and any number of times: no job is lost, and none is counted twice."""

import random
from collections import Counter
from pathlib import Path

import pytest

import pool_tasks
from ensembudget.executors._pool import Lost, pooled

RETRIES = 2


def test_workers_killed_at_every_moment_of_publishing_lose_nothing_and_publish_nothing_twice(
    tmp_path: Path, times: int, attacked
):
    """Each task publishes one folder; its worker kills itself before, within or after that, so many times."""
    dice, kills = random.Random(15), 0
    for round_number in range(times):
        root = tmp_path / str(round_number)
        (root / "published").mkdir(parents=True)
        deaths = [dice.choice([0, 1, 2, 2, 3]) for _ in range(40)]
        tasks = [(str(root), number, f"{round_number}", most) for number, most in enumerate(deaths)]
        found = list(pooled(pool_tasks.write, tasks, 3, lambda task, said: None, RETRIES))
        assert Counter(number for number, _ in found) == Counter(range(len(tasks)))  # each counted once
        notes = [path.name for path in root.iterdir()]
        for number, answer in found:
            begun = sum(name.startswith(f"begun-{number}-") for name in notes)
            made = sum(name.startswith(f"made-{number}-") for name in notes)
            assert made <= 1  # what was published before its worker died is not done again
            assert begun == min(deaths[number], RETRIES) + 1  # bounded, and no try is left out
            assert isinstance(answer, Lost) == (deaths[number] > RETRIES)
            if isinstance(answer, Lost):
                assert (answer.tries, answer.exitcode) == (RETRIES + 1, -9)
            else:
                assert answer == number * number
                assert (root / "published" / str(number) / "value").read_text() == str(answer)
            kills += begun - (not isinstance(answer, Lost))
    attacked("P8", "a worker killed before, while and after it publishes, up to three times a job", kills)


# A pack is killed at a random step and up to 50 ms later, so at any moment of a step, a checkpoint or a
# publication. The first pack is killed at its step itself: it starts from nothing and has all 24 steps,
# so at least one worker dies however fast the machine is.
KILLED = """
import os, random, signal, threading
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    notes = Path(os.environ["NOTES"])
    number = len(list(notes.glob("pack-*")))
    (notes / f"pack-{number}-{os.getpid()}").touch()
    if number >= int(os.environ["KILLS"]):
        return network
    dice = random.Random(f"{os.environ['SEED']} {number}")
    left, seconds = dice.randrange(24), number and dice.uniform(0, 0.05)

    def kill():
        (notes / f"kill-{number}-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def counted(inputs):
        nonlocal left
        if left == 0:
            threading.Timer(seconds, kill).start() if seconds else kill()
        left -= 1
        return network(inputs)

    return counted

way = Way(forward)
"""


@pytest.mark.slow
def test_real_training_whose_workers_are_killed_at_random_times_ends_in_the_bytes_of_an_undisturbed_one(
    tmp_path: Path, times: int, attacked, install, monkeypatch
):
    """Every member is trained by the end or has failed with a reason, and the same command trains those."""
    from ensembudget import studies
    from ensembudget.records import SteppingChoice
    from ensembudget.store import Store
    from ensembudget.verbs.plan import plan_study
    from ensembudget.verbs.run import arrange, run
    from helpers import THREE_PACKS

    install("killed", ways={"killed": KILLED})
    planned = plan_study(studies.parse(THREE_PACKS.replace("epochs = 2", "epochs = 8"), "three"))
    (tmp_path / "none").mkdir()
    for name, value in (("NOTES", tmp_path / "none"), ("KILLS", 0), ("SEED", 0)):
        monkeypatch.setenv(name, str(value))

    def logits(store: Store) -> dict[str, bytes]:
        return {p.parent.name: p.read_bytes() for p in store.root.glob("members/*/*/logits.safetensors")}

    def trained(store: Store, executor: str) -> list:
        way = SteppingChoice(way="killed", pack=2)
        where = arrange(planned, store, executor=executor, workers=2, threads=1, stepping=way)
        return run(planned, store, executor=executor, arrangement=where)

    undisturbed = Store(tmp_path / "undisturbed")
    assert {one.status for one in trained(undisturbed, "serial")} == {"done"}
    kills = 0
    for seed in range(times):
        store, notes = Store(tmp_path / f"store-{seed}"), tmp_path / f"notes-{seed}"
        notes.mkdir()
        for name, value in (("NOTES", notes), ("KILLS", 4), ("SEED", seed)):
            monkeypatch.setenv(name, str(value))
        outcomes = trained(store, "processes:retries=3")
        assert Counter(one.key for one in outcomes) == Counter(one.key for one in planned.runs)
        assert all(one.reason for one in outcomes if one.status == "failed")
        there = {one.key for one in outcomes if one.status == "done"}
        assert there == set(logits(store))
        again = trained(store, "processes")  # nobody is killed now
        assert {one.key for one in again} == {one.key for one in planned.runs} - there
        assert logits(store) == logits(undisturbed)
        kills += len(list(notes.glob("kill-*")))
    assert kills >= times
    attacked("P2 P8", "a worker killed at a random time of real training", kills)
