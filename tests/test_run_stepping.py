"""From a study and the command line to the way in which members are stepped, and back from the store."""

import json
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ensembudget import studies
from ensembudget.cli.show import duration
from ensembudget.datasets._load import load
from ensembudget.errors import SteppingError
from ensembudget.executors._base import Executor
from ensembudget.executors._worker import device_name
from ensembudget.records import Environment, Stepping, SteppingChoice
from ensembudget.rendering import steppings
from ensembudget.stepping.arrange import Arrangement, autotuned
from ensembudget.stepping.autotune import Bench, Chosen, Request
from ensembudget.stepping.measured import Measured, Timing
from ensembudget.stepping.parse import parse_stepping
from ensembudget.stepping.place import Place, places
from ensembudget.stepping.trial import paces
from ensembudget.store import Store
from ensembudget.store.documents import canonical, sha256
from ensembudget.training.loop import train
from ensembudget.verbs.jobs import missing_jobs
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange
from helpers import Said

STUDY = """
name = "steps"
description = "five members of one width"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 70
validation_size = 20
budgets = [1402]
members = [1]
tolerance = 0.2
replicates = 5
pool = 2

[recipe]
epochs = 1
batch_size = 32
"""
MEMBERS = 5


@pytest.fixture
def cache_of_its_own(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(folder))
    load("digits")  # what a plan is made from
    return folder


@pytest.fixture
def study(tmp_path):
    """`study(stepping="{ pack = 2 }")` is the path of the study, with more in it."""

    def written(text=STUDY, **fields) -> Path:
        lines = "".join(f"{name} = {value}\n" for name, value in fields.items())
        path = tmp_path / "steps.toml"
        path.write_text(lines + text)
        return path

    return written


def stored(path, store):
    """Members of the study's only cell, by seed."""
    (cell,) = plan_study(studies.load_study(path)).cells
    assert cell.members == MEMBERS
    return [Store(store).read(run.key) for run in cell.runs]


def folders(path, store):
    (cell,) = plan_study(studies.load_study(path)).cells
    return [Path(store) / "members" / run.key[:2] / run.key for run in cell.runs]


def steppings_of(path, store):
    return [one.member.environment.stepping for one in stored(path, store)]


SERIAL = ("--executor", "serial")


# What is recorded.


@pytest.mark.parametrize(
    "given",
    [
        "pack=2",
        "pack=2,way=separate",
        "pack=5,way=vmap,layout=contiguous",
        pytest.param("pack=3,compiled=yes", marks=pytest.mark.slow),
    ],
)
def test_members_record_how_they_were_stepped(given, command, study):
    path = study()
    said = command("run", path, *SERIAL, "--stepping", given)
    assert said.code == 0, said
    how = Stepping(**parse_stepping(given).fixed)
    first, rest = how.pack * (MEMBERS // how.pack), MEMBERS % how.pack
    packs = [how.pack] * first + [rest] * rest
    assert steppings_of(path, "store") == [how.model_copy(update={"pack": pack}) for pack in packs]
    environment = stored(path, "store")[0].member.environment
    assert (environment.torch, environment.threads) == (torch.__version__, torch.get_num_threads())
    assert environment.device == device_name("cpu")


def test_members_of_a_pack_are_those_that_training_gives(command, study):
    path = study()
    assert command("run", path, *SERIAL, "--stepping", "pack=2,way=vmap").code == 0
    (cell,) = plan_study(studies.load_study(path)).cells
    found = stored(path, "store")
    for first in range(0, MEMBERS, 2):
        runs = cell.runs[first : first + 2]
        for trained in train(runs, load("digits"), stepping=Stepping(pack=2, way="vmap")):
            assert found[trained.run.seed].test_logits.tobytes() == trained.test_logits.tobytes()


def test_without_a_word_a_short_run_is_stepped_plainly(command, study):
    path = study()
    assert command("run", path, *SERIAL).code == 0
    assert steppings_of(path, "store") == [Stepping()] * MEMBERS


def test_what_a_user_fixes_is_over_what_a_study_fixes(command, study):
    path = study(stepping='{ pack = 4, layout = "contiguous" }')
    assert command("run", path, *SERIAL, "--stepping", "pack=5,way=separate").code == 0
    assert steppings_of(path, "store") == [Stepping(pack=5, way="separate", layout="contiguous")] * MEMBERS


def test_how_members_are_stepped_decides_no_key(command, study):
    path = study()
    assert command("run", path, *SERIAL, "--stepping", "pack=5").code == 0
    said = command("run", path, *SERIAL, "--stepping", "pack=2,way=vmap")
    assert "nothing was missing" in said.err
    assert steppings_of(path, "store") == [Stepping(pack=5)] * MEMBERS


# What was stored before.


OLD = ("ensembudget", "torch", "device", "threads", "pack")


def aged(folder: Path) -> None:
    """Makes a member's file what a version wrote that knew of no ways."""
    document = json.loads((folder / "member.json").read_bytes())
    environment = document["member"]["environment"]
    document["member"]["environment"] = {name: environment[name] for name in OLD}
    document.pop("sha256")
    sealed = document | {"sha256": sha256(canonical(document))}
    (folder / "member.json").write_bytes(json.dumps(sealed).encode())


def test_members_from_before_there_were_ways_are_read(command, study):
    path = study(stepping="{ pack = 2 }")
    assert command("run", path, *SERIAL).code == 0
    fresh = [one.test_logits for one in stored(path, "store")]
    for folder in folders(path, "store"):
        aged(folder)
        assert "layout" not in (folder / "member.json").read_text()
    assert [one.pack for one in steppings_of(path, "store")] == [2, 2, 2, 2, 1]
    assert {(one.way, one.layout, one.compiled) for one in steppings_of(path, "store")} == {
        ("grouped", "channels_last", False)
    }
    assert all((a == b.test_logits).all() for a, b in zip(fresh, stored(path, "store"), strict=True))
    assert "nothing was missing" in command("run", path, *SERIAL).err
    assert command("status", path).code == 0
    assert not (Path("store") / "quarantine").exists()


def test_an_old_environment_is_one_of_plain_steps():
    old = {"ensembudget": "0.1.0", "torch": "2.11", "device": "cpu x86_64, 2 cores", "threads": 1, "pack": 8}
    found = Environment.from_json(json.dumps(old))
    assert found == Environment(**old, way="grouped", layout="channels_last", compiled=False, captured=False)
    assert Environment.from_json(found.to_json()) == found


# What is said before.


ALL = ("--columns", "all")


def table(said: Said) -> list[dict[str, str]]:
    """The steppings that a dry run prints: a row a line."""
    lines = said.out.partition("How members are stepped")[2].splitlines()[1:]
    rule = next(i for i, line in enumerate(lines) if set(line.strip()) <= set("-─━= ") and line.strip())
    spans, start = [], 0
    for part in lines[rule].split("  "):
        if part:
            spans.append((start, start + len(part)))
        start += len(part) + 2
    names = [" ".join(line[a:b].strip() for line in lines[:rule]).strip() for a, b in spans]
    rows = []
    for line in lines[rule + 1 :]:
        if not line.strip() or line.startswith("More with --columns"):
            break
        rows.append({name: line[a:b].strip() for name, (a, b) in zip(names, spans, strict=True)})
    return rows


def test_a_dry_run_says_how_and_trains_nothing(command, study):
    path = study(stepping="{ pack = 4 }")
    said = command("run", path, *SERIAL, "--dry-run", "--stepping", "way=vmap", "--threads", "3", *ALL)
    assert said.code == 0, said
    assert "Nothing was trained" in said.out
    assert "5 to train" in said.out
    (row,) = table(said)
    wanted = {"members": "5", "pack": "4", "way": "vmap", "layout": "channels_last"}
    assert wanted.items() <= row.items(), row
    assert (row["processes"], row["threads each"]) == ("1", "3")
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_of_what_is_there_has_no_ways_to_say(command, study):
    path = study(stepping="{ pack = 5 }")
    assert command("run", path, *SERIAL).code == 0
    before = sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*"))
    said = command("run", path, *SERIAL, "--dry-run")
    assert said.code == 0
    assert "How members are stepped" not in said.out
    assert "0 to train" in said.out
    assert sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*")) == before


def rows_of(path, chosen):
    planned = plan_study(studies.load_study(path))
    place = Place(device="cpu", workers=2, threads=1)
    return steppings.rows(planned, Arrangement(place, {planned.cells[0].cell.key: chosen}))


def test_a_row_has_the_milliseconds_that_were_measured(study):
    how = Stepping(pack=4)
    (row,) = rows_of(study(), Chosen(how, Timing(stepping=how, seconds=0.0125)))
    assert (row["step_ms"], row["pack"], row["workers"], row["threads"]) == (12.5, 4, 2, 1)
    (row,) = rows_of(study(), Chosen(how, None))
    assert row["step_ms"] is None


def test_a_row_has_none_where_a_stepping_failed(study):
    how = Stepping(compiled=True)
    (row,) = rows_of(study(), Chosen(how, Timing(stepping=how, fault="RuntimeError: no compiler")))
    assert row["step_ms"] is None


# Going on.


@pytest.mark.parametrize("given", ["pack=2", "pack=5,way=separate", "pack=3,layout=contiguous,way=vmap"])
def test_a_member_that_is_lost_is_trained_to_the_same_bytes(given, command, study):
    path = study()
    assert command("run", path, *SERIAL, "--stepping", given).code == 0
    places = folders(path, "store")
    before = [(place / "logits.safetensors").read_bytes() for place in places]
    kept = [(place / "member.json").read_bytes() for place in places]
    for lost in (0, 3, 4):
        shutil.rmtree(places[lost])
        said = command("run", path, *SERIAL, "--stepping", given)
        assert said.code == 0, said
        assert "1 members done now" in said.err
        assert [(place / "logits.safetensors").read_bytes() for place in places] == before
        others = [i for i in range(MEMBERS) if i != lost]
        assert [(places[i] / "member.json").read_bytes() for i in others] == [kept[i] for i in others]
        kept[lost] = (places[lost] / "member.json").read_bytes()


def test_jobs_are_whole_packs_of_what_was_chosen(study, tmp_path):
    planned, store = plan_study(studies.load_study(study())), Store(tmp_path / "store")
    for pack in (1, 2, 3, 5, 8):
        how = arrange(planned, store, executor="serial", stepping=SteppingChoice(pack=pack, way="vmap"))
        jobs = missing_jobs(planned, store, how)
        assert sorted(run.seed for job in jobs for run in job.runs) == list(range(MEMBERS))
        assert all(len(job.runs) == pack for job in jobs[:-1])
        assert {job.stepping for job in jobs} == {Stepping(pack=pack, way="vmap")}
        assert {(job.device, job.threads) for job in jobs} == {("cpu", how.place.threads)}


# What is refused.


DROPOUT = STUDY + "dropout = 0.3\n"
RECORDED = STUDY + "\n[record]\nevery = 1\n"
REFUSED = {
    "nonsense": (STUDY, "--stepping nonsense", ("--stepping", "'nonsense'", "pack=8")),
    "pack of none": (STUDY, "--stepping pack=0", ("--stepping", "pack=0")),
    "pack below none": (STUDY, "--stepping pack=-2", ("--stepping",)),
    "pack of a half": (STUDY, "--stepping pack=2.5", ("--stepping",)),
    "field without a value": (STUDY, "--stepping pack=8,pack", ("--stepping", "pack=8,pack")),
    "nothing": (STUDY, "--stepping ''", ("--stepping",)),
    "comma at the end": (STUDY, "--stepping pack=8,", ("--stepping",)),
    "unknown field": (STUDY, "--stepping packs=8", ("--stepping", "packs=8")),
    "unknown way": (STUDY, "--stepping way=fast", ("--stepping", "grouped, separate, vmap")),
    "unknown layout": (STUDY, "--stepping layout=nchw", ("--stepping", "channels_last, contiguous")),
    "neither yes nor no": (STUDY, "--stepping compiled=maybe", ("--stepping", "compiled=no")),
    "no threads": (STUDY, "--threads 0", ("threads 0", "1")),
    "threads below none": (STUDY, "--threads -1", ("threads -1",)),
    "no workers": (STUDY, "--workers 0", ("workers 0", "1")),
    "threads that are a word": (STUDY, "--threads many", ("--threads", "many")),
    "captured on a CPU": (STUDY, "--stepping captured=yes", ("captured", "CUDA", "'cpu'")),
    "captured and recorded": (RECORDED, "--stepping captured=yes", ("captured", "recorded")),
    "dropout mapped": (DROPOUT, "--stepping way=vmap", ("dropout 0.3", "vmap")),
    "dropout separate": (DROPOUT, "--stepping way=separate", ("dropout 0.3", "separate")),
    "dropout compiled": (DROPOUT, "--stepping compiled=yes", ("dropout 0.3", "compiled")),
    "compiled one by one": (STUDY, "--stepping compiled=yes,way=separate", ("compiled", "separate")),
    "a study's own": ('stepping = { way = "vmap" }\n' + DROPOUT, "", ("dropout 0.3", "vmap")),
    "a study's and a user's": (
        "stepping = { compiled = true }\n" + STUDY, "--stepping way=vmap", ("compiled", "vmap")
    ),
    "a study's nonsense": ("stepping = { pack = 0 }\n" + STUDY, "", ("stepping", "pack")),
    "a study's unknown way": ('stepping = { way = "fast" }\n' + STUDY, "", ("stepping", "no way 'fast'")),
    "a study's unknown field": ("stepping = { packs = 2 }\n" + STUDY, "", ("stepping", "packs")),
}  # fmt: skip


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_said_in_one_message_before_a_store_is_made(case, dry, command, study):
    text, flags, words = case
    said = command("run", study(text), *SERIAL, *shlex.split(flags), *["--dry-run"] * dry)
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    first, *more = said.err.splitlines()
    assert first.startswith("ensembudget: ")
    assert all(line.startswith("  - ") for line in more), said.err
    for word in words:
        assert word in said.err, said.err
    assert list(Path.cwd().iterdir()) == []


def test_dropout_is_stepped_in_grouped_packs(command, study):
    path = study(DROPOUT)
    assert command("run", path, *SERIAL, "--stepping", "pack=5,layout=contiguous").code == 0
    assert steppings_of(path, "store") == [Stepping(pack=5, layout="contiguous")] * MEMBERS


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("pack=8,compiled=no", {"pack": 8, "compiled": False}),
        ("captured=yes", {"captured": True}),
        ("compiled=true,captured=false", {"compiled": True, "captured": False}),
        ("way=separate,layout=contiguous", {"way": "separate", "layout": "contiguous"}),
    ],
)
def test_what_a_user_writes_is_what_is_fixed(text, fixed):
    assert parse_stepping(text).fixed == fixed


def test_a_field_that_is_given_twice_is_refused():
    with pytest.raises(SteppingError):
        parse_stepping("pack=8,pack=4")


# How a run is arranged.


@pytest.fixture
def autotuned_alone():
    """`autotuned_alone(planned, fixed, places)` of a long run; and what was asked to be measured."""

    def asked(planned, fixed, places):
        found = []

        def measure(request, how):
            found.append(request)
            return Timing(stepping=how, seconds=1.0)

        task = load("digits").task
        cells = [
            cell.model_copy(update={"flops_per_sample": 10**9 * cell.flops_per_sample})
            for cell in planned.cells
        ]
        bench = Bench(measure, ThreadPoolExecutor, trial=hours)
        return autotuned(cells, cells, task, fixed, places, bench), found

    return asked


def hours(request):
    """A trial by which the run is long enough to be measured."""
    return Timing(stepping=request.plainest, seconds=1e4)


CPU = Place(device="cpu", workers=1, threads=1)


def test_autotuning_is_asked_what_is_left_open(study, autotuned_alone, cache_of_its_own):
    planned = plan_study(studies.load_study(study()))
    fixed = SteppingChoice(pack=4, compiled=False)
    found, (request, *_) = autotuned_alone(planned, fixed, [CPU])
    assert request.fixed == fixed
    assert request.members == MEMBERS
    assert request.task == (10, 1, 8)
    assert request.flops == 1e9 * planned.cells[0].training_flops
    assert request.place == found.place == CPU
    assert found.chosen[planned.cells[0].cell.key].stepping.pack == 4


def test_what_a_user_gives_is_over_what_a_study_gives(study, tmp_path):
    planned = plan_study(studies.load_study(study(stepping='{ pack = 3, layout = "contiguous" }')))
    given = SteppingChoice(pack=4, compiled=False)
    found = arrange(planned, Store(tmp_path / "s"), executor="serial", stepping=given)
    assert [one.stepping for one in found.chosen.values()] == [Stepping(pack=4, layout="contiguous")]


@pytest.mark.parametrize(
    ("usual", "given", "wanted"),
    [
        (4, (None, None), [(4, 1), (1, 4)]),
        (4, (3, None), [(3, 1)]),
        (4, (1, None), [(1, torch.get_num_threads())]),
        (4, (None, 2), [(4, 2)]),
        (4, (2, 3), [(2, 3)]),
        (1, (None, None), [(1, torch.get_num_threads())]),
        (1, (None, 2), [(1, 2)]),
    ],
)
def test_processes_and_threads_are_tried_where_nobody_says(usual, given, wanted):
    found = places("cpu", *given, usual=usual)
    assert [(place.workers, place.threads) for place in found] == wanted


def test_the_place_is_that_of_the_cell_that_the_run_waits_for(study, autotuned_alone, cache_of_its_own):
    text = STUDY.replace("budgets = [1402]", "budgets = [1402, 5178]")
    planned = plan_study(studies.load_study(study(text)))
    assert len(planned.cells) == 2
    two = [CPU.model_copy(update={"workers": 2}), CPU.model_copy(update={"threads": 2})]
    found, (request, *_) = autotuned_alone(planned, SteppingChoice(), two)
    assert set(found.chosen) == {cell.cell.key for cell in planned.cells}
    assert request.cell == max(planned.cells, key=lambda cell: cell.cell.width).cell


def test_what_is_measured_here_says_nothing_of_other_machines(study, tmp_path, plug_in):
    elsewhere = [Place(device="cpu", workers=4, threads=1)]
    executor = Executor(lambda *jobs: iter(()), lambda *asked: elsewhere, here=False)
    plug_in("executors", "elsewhere", executor=executor)
    planned = plan_study(studies.load_study(study(stepping="{ pack = 3 }")))
    long = [cell.model_copy(update={"flops_per_sample": 10**15}) for cell in planned.cells]
    planned = planned.model_copy(update={"cells": long})
    found = arrange(planned, Store(tmp_path / "s"), executor="elsewhere")
    assert found.place.workers == 4
    assert list(found.chosen.values()) == [Chosen(Stepping(pack=3), None)]


def test_what_is_complete_is_not_arranged(command, study):
    path = study(stepping="{ pack = 5 }")
    planned = plan_study(studies.load_study(path))
    assert len(arrange(planned, Store("store"), executor="serial").chosen) == 1
    assert command("run", path, *SERIAL).code == 0
    assert arrange(planned, Store("store"), executor="serial").chosen == {}


def test_a_short_run_is_not_measured(study, tmp_path, cache_of_its_own):
    planned = plan_study(studies.load_study(study()))
    found = arrange(planned, Store(tmp_path / "s"))
    assert list(found.chosen.values()) == [Chosen(Stepping(), None)]
    assert not (cache_of_its_own / "timings").exists()


# What a dry run says of time.


def test_a_dry_run_measures_no_stepping_and_says_how_long_each_split_takes(command, study, cache_of_its_own):
    path = study(STUDY.replace("epochs = 1", "epochs = 1000000"))
    said = command("run", path, *SERIAL, "--dry-run")
    assert said.code == 0, said
    (kept,) = (Measured.from_json(one.read_bytes()) for one in (cache_of_its_own / "timings").iterdir())
    assert (kept.timings, len(kept.trials)) == ((), 1)
    steps = 3 * 1_000_000
    assert kept.trials[0].seconds is not None
    seconds = steps * kept.trials[0].seconds
    assert duration(seconds) in said.out.partition("How members are stepped")[0]
    assert f"About {duration(MEMBERS * seconds)} in all on this machine, 1 process of 1 thread" in said.out
    # The next one times nothing, and says the same.
    assert command("run", path, *SERIAL, "--dry-run").out == said.out


def test_a_dry_run_says_how_long_tuning_takes_at_most(command, study, cache_of_its_own):
    text = (
        STUDY.replace("validation_size = 20", "validation_size = 50") + "[tune.values]\nepochs = [1, 4000]\n"
    )
    said = command("run", study(text), *SERIAL, "--dry-run")
    assert said.code == 0, said
    (kept,) = (Measured.from_json(one.read_bytes()) for one in (cache_of_its_own / "timings").iterdir())
    assert kept.trials[0].seconds is not None
    epoch = 3 * kept.trials[0].seconds
    # Two members choose at each of two values, and five may be trained at the larger.
    at_most = duration(2 * (1 + 4000) * epoch + MEMBERS * 4000 * epoch)
    assert f"of which tuning and tuned pools at most {at_most}" in said.out


def test_widths_that_are_not_tried_are_told_by_their_operations(make_cell):
    asked, now = [], [0.0]

    def trial(request):
        """It takes 10 s of the clock, and a step 1 s."""
        asked.append(request.cell.width)
        now[0] += 10.0
        return Timing(stepping=request.plainest, seconds=1.0)

    bench = Bench(trial=trial, clock=lambda: now[0])
    requests = [
        Request(
            cell=make_cell(width=width), task=(10, 1, 8), members=2, flops=1e9 * width,
            fixed=SteppingChoice(), place=CPU,
        )
        for width in (8, 2, 4, 64)
    ]  # fmt: skip
    found = paces(requests, bench)
    assert asked == [2]
    assert [one.timing.seconds for one in found] == [4.0, 1.0, 2.0, 32.0]
    assert [one.is_measured for one in found] == [False, True, False, False]


# Really, in processes.


@pytest.mark.slow
def test_a_long_run_is_measured_in_processes_and_the_next_measures_nothing(command, study, cache_of_its_own):
    path = study(STUDY.replace("epochs = 1", "epochs = 1000000"))
    planned, fixed = plan_study(studies.load_study(path)), SteppingChoice(compiled=False)
    first = arrange(planned, Store("store"), stepping=fixed)
    (found,) = first.chosen.values()
    assert found.timing.seconds > 0
    assert found.stepping.pack > 1
    before = {one.name: one.read_bytes() for one in (cache_of_its_own / "timings").iterdir()}
    assert arrange(planned, Store("store"), stepping=fixed) == first
    said = command("run", path, "--dry-run", "--stepping", "compiled=no", "--format", "json")
    (row,) = json.loads(said.out)["steppings"]
    assert row["pack"] == found.stepping.pack
    assert row["step_ms"] == pytest.approx(1e3 * found.timing.seconds)
    assert {one.name: one.read_bytes() for one in (cache_of_its_own / "timings").iterdir()} == before


@pytest.mark.slow
def test_processes_step_as_they_are_told_to_the_same_bytes(command, study):
    path = study(stepping="{ pack = 2 }")
    assert command("run", path, "--workers", "2", "--stepping", "way=vmap").code == 0
    assert command("run", path, *SERIAL, "--stepping", "way=vmap", "--store", "other").code == 0
    assert steppings_of(path, "store") == steppings_of(path, "other")
    for one, other in zip(folders(path, "store"), folders(path, "other"), strict=True):
        assert (one / "logits.safetensors").read_bytes() == (other / "logits.safetensors").read_bytes()
