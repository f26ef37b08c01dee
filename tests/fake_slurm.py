"""Slurm's commands as this machine can play them: `install(folder)` puts them there, for a PATH.

`sbatch` starts a batch script as one process a task of its array, at most as many at one time as it says,
with Slurm's variables; `srun` runs its command with the output that it names; `scontrol requeue` has a
task begin again when it ends; `sacct` says how tasks are; `scancel` ends them, or sends them a signal.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("sbatch", "srun", "sacct", "scancel", "scontrol")


def install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {name} "$@"\n')
        path.chmod(0o755)


def state() -> Path:
    return Path(os.environ["FAKE_SLURM"])


def sbatch(script: str) -> None:
    state().mkdir(exist_ok=True)
    number = str(1000 + len(list(state().glob("script-*"))))
    text = Path(script).read_text()
    (state() / f"script-{number}").write_text(text)
    subprocess.Popen(
        [sys.executable, __file__, "controller", number], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"Submitted batch job {number}")


def controller(number: str) -> None:
    """Runs the tasks of one script, as slurmctld would."""
    script = state() / f"script-{number}"
    array = re.search(r"--array=0-(\d+)%(\d+)", script.read_text())
    names = [f"{number}_{task}" for task in range(int(array[1]) + 1)] if array else [number]
    most, running = int(array[2]) if array else 1, dict[str, subprocess.Popen]()
    for name in names:
        note(name, "PENDING")
    while names or running:
        if (state() / f"stop-{number}").exists():
            names.clear()
        while names and len(running) < most:
            name = names.pop(0)
            task = (
                {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": name.rpartition("_")[2]}
                if array
                else {}
            )
            running[name] = subprocess.Popen(
                ["bash", str(script)],
                env=os.environ | task | {"SLURM_JOB_ID": number},
                start_new_session=True,
            )
            (state() / f"pid-{name}").write_text(str(running[name].pid))
            note(name, "RUNNING")
        for name, process in list(running.items()):
            if (code := process.poll()) is not None:
                del running[name]
                again = state() / f"requeue-{name}"
                if again.exists():
                    again.unlink()
                    names.append(name)
                else:
                    note(name, "COMPLETED" if code == 0 else "FAILED")
        time.sleep(0.1)


def note(name: str, word: str) -> None:
    (state() / f"state-{name}").write_text(word)


def srun(*words: str) -> None:
    rest, files = list(words), dict[str, str]()
    parts = [os.environ.get(f"SLURM_ARRAY_{one}_ID") for one in ("JOB", "TASK")]
    job = os.environ["SLURM_JOB_ID"]
    task = "_".join(filter(None, parts)) or job
    while rest[0].startswith("--"):
        if (option := rest.pop(0)) in ("--output", "--error"):
            files[option] = rest.pop(0).replace("%A_%a", task).replace("%j", job).replace("%t", "0")
    for handle, name in ((1, files["--output"]), (2, files["--error"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), handle)
    (state() / f"step-{task}").write_text(str(os.getpid()))
    os.execvp(rest[0], rest)


def sacct(*words: str) -> None:
    print("JobID|State|NodeList")
    for path in sorted(state().glob("state-*")):
        print(f"{path.name.partition('-')[2]}|{path.read_text()}|here")


def scancel(*words: str) -> None:
    """Ends jobs, or arrays with all that waits of them; a signal goes to their steps."""
    if "--signal" in words:
        name, _, sent = words
        os.kill(int((state() / f"step-{name}").read_text()), getattr(signal, sent))
        return
    for number in words:
        (state() / f"stop-{number}").touch()
        for path in state().glob(f"pid-{number}*"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text()), signal.SIGKILL)


def scontrol(verb: str, name: str) -> None:
    assert verb == "requeue"
    (state() / f"requeue-{name}").touch()


if __name__ == "__main__":
    {**{one: globals()[one] for one in NAMES}, "controller": controller}[sys.argv[1]](*sys.argv[2:])
