"""A pool of processes: every task is answered or lost, whoever dies, and none outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pool_tasks
from ensembudget.executors._pool import Lost, pooled, tail


def run(do, tasks, workers=2, retries=2):
    reports = []
    found = list(pooled(do, tasks, workers, lambda task, said: reports.append((task, said)), retries))
    assert sorted(number for number, _ in found) == list(range(len(tasks)))  # each once
    return dict(found), reports


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_every_task_is_answered_once_and_reports_carry_its_number():
    found, reports = run(pool_tasks.answer, [1, 2, 3, 4, 5])
    assert found == {0: 2, 1: 4, 2: 6, 3: 8, 4: 10}
    assert sorted(reports) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def test_no_tasks_start_nothing():
    assert run(pool_tasks.answer, []) == ({}, [])


def test_workers_are_numbered_from_0_and_there_are_no_more_than_asked():
    found, _ = run(pool_tasks.who, [None] * 6, workers=2)
    assert {number for number, _ in found.values()} == {0, 1}
    assert len(set(found.values())) == 2


DEATHS = {"SIGKILL": -9, "segfault": -11, "SIGABRT": -6, "SIGTERM": -15, "exit": 3, "raise": 1}


def test_a_task_whose_worker_always_dies_is_lost_and_the_others_are_done():
    tasks = [(how, 9) for how in DEATHS] + [("no", 0)] * 3
    found, _ = run(pool_tasks.die, tasks, retries=1)
    assert [found[number] for number in range(6, 9)] == ["survived no"] * 3
    for number, (how, exitcode) in enumerate(DEATHS.items()):
        lost = found[number]
        assert isinstance(lost, Lost)
        assert (lost.tries, lost.exitcode) == (2, exitcode)
        assert lost.log.startswith(f"try 1: about to {how}")  # of its last try alone
        assert ("Segmentation fault" in lost.log) == (how == "segfault")
        assert ("ZeroDivisionError: nothing to divide" in lost.log) == (how == "raise")


@pytest.mark.parametrize("retries", [0, 2])
def test_a_task_is_tried_once_more_than_it_may_be_tried_again(retries):
    found, _ = run(pool_tasks.die, [("SIGKILL", retries), ("SIGKILL", retries + 1)], retries=retries)
    assert found[0] == "survived SIGKILL"
    assert found[1].tries == retries + 1


def test_a_pool_that_is_left_ends_its_processes():
    running = []

    def interrupt(task, process):
        running.append(process)
        if len(running) == 2:
            raise KeyboardInterrupt

    some = pooled(pool_tasks.hold, [None, None], 2, interrupt, 0)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(some)
    assert len(set(running)) == 2
    assert not any(map(is_running, running))
    assert time.monotonic() - began < 60


PARENT = """
import sys
import pool_tasks
from ensembudget.executors._pool import pooled

def told(task, process):
    print(process, flush=True)

if __name__ == "__main__":
    try:
        list(pooled(pool_tasks.hold, [None, None], 2, told, 0))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "group", "code"),
    [("SIGINT", True, 130), ("SIGINT", False, 130), ("SIGKILL", False, -9), ("SIGTERM", False, -15)],
)
def test_no_process_outlives_its_parent_and_none_prints_a_traceback(name, group, code, tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    parent = subprocess.Popen(
        [sys.executable, "parent.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    children = [int(parent.stdout.readline()) for _ in range(2)]
    (os.killpg if group else os.kill)(parent.pid, getattr(signal, name))
    _, err = parent.communicate(timeout=60)
    assert parent.returncode == code
    assert "Traceback" not in err
    until = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_running, children))


def test_a_log_is_cut_to_its_end_and_tells_a_terminal_nothing():
    text = "\x1b[2Jfirst\n" + "x" * 1000 + "\n" + "".join(f"line {i}\r\n" for i in range(1000))
    found = tail(text)
    assert found.endswith("line 999")
    assert len(found) <= 4000
    assert "\x1b" not in found
    assert "\r" not in found
