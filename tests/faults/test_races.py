"""Attack I: of eight processes that publish the same members at once one wins each, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import races
from races import MEMBERS, RACERS
from small_members import made

from ensembudget.store import Store
from helpers import ROOT

ROUNDS = 23  # killed processes try fewer
HERE = Path(__file__).parent


def rounds(root: Path, first: int, many: int, seed: int, *how: str) -> list[dict]:
    path = os.pathsep.join([str(ROOT), str(HERE)])
    said = subprocess.run(
        [sys.executable, races.__file__, root, *map(str, (first, many, seed)), *how],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def faults(store: Store, first: int, found: list[dict]) -> list[str]:
    """What went wrong in some rounds, once all of their processes have ended."""
    wrong = [f"{one['raised']} processes raised" for one in found if one["raised"]]
    won = Counter(key for one in found for key, times in one["won"].items() for _ in range(times))
    wrong += [f"member {key} was won {times} times" for key, times in won.items() if times > 1]
    for seed in range(first * MEMBERS, (first + len(found)) * MEMBERS):
        stored = store.read(made(seed).run.key)
        winner = made(seed, variant=stored.member.environment.threads - 1)
        if stored.test_logits.tobytes() != winner.test_logits.tobytes():
            wrong.append(f"member {winner.run.key} is not the winner's")
    store.sweep()
    return wrong + [f"{path} is left" for path in (store.root / "tmp").iterdir()]


@pytest.mark.slow
def test_every_member_has_one_winner_whoever_is_killed_or_stopped(tmp_path, times, attacked):
    many = ROUNDS * times
    found = rounds(tmp_path, 0, many, seed=9)
    assert faults(Store(tmp_path), 0, found) == []
    killed, stopped = (sum(one.get(signal.Signals(n).name, 0) for one in found) for n in (9, 19))
    assert killed + stopped == many * RACERS // 4
    assert killed > 0
    assert stopped > 0
    tried = sum(one["tried"] for one in found)
    assert tried >= 8000 * times
    attacked("P5", f"publish races of {RACERS} processes, {killed} killed and {stopped} stopped", tried)


def test_were_renaming_to_replace_what_is_there_a_member_would_be_won_twice(tmp_path):
    found = rounds(tmp_path, 0, 1, 9, "replacing")
    assert any("won" in one for one in faults(Store(tmp_path), 0, found))
