"""`ensembudget search`: what it prints, how it resumes, and what it refuses."""

import json
import re
import shutil
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from ensembudget import studies
from ensembudget.executors import _worker as worker
from ensembudget.prediction.forms import FORMS
from ensembudget.prediction.posterior import DRAWS
from ensembudget.records import Prediction
from ensembudget.store import Store
from ensembudget.verbs.search import space_of
from searching import BUDGET, NEVER_SURE, STUDY, Making, flops_of, publish, searched

NEVER = ("--tolerance", "1e-6", "--confidence", "0.999999999")


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory, digits) -> Path:
    path = tmp_path_factory.mktemp("study") / "seek.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def space(written):
    return space_of(studies.load_study(written), BUDGET)


@pytest.fixture(scope="module")
def spent(space, tmp_path_factory):
    """The store of a search that spent 60% of the grid, and the search."""
    store = Store(tmp_path_factory.mktemp("spent") / "store")
    return store, searched(Making(space, store), 0.6, **NEVER_SURE, forms=FORMS, draws=DRAWS)


@pytest.fixture
def found(spent, folder):
    """That search; its store is `store` in the current folder."""
    store, found = spent
    shutil.copytree(store.root, folder / "store")
    return found


def asking(written, *more, spend="60%"):
    return "search", written, "--budget", BUDGET, "--spend", spend, "--executor", "serial", *more


def test_members_of_a_search_are_the_runs_own_and_are_not_trained_again(command, written, space):
    assert command(*asking(written, spend="35%")).code == 0
    store = Store("store")
    had = {run.key: store.read(run.key).digest for run in space.planned.runs if run.key in store}
    assert 7 <= len(had) < len(space.planned.runs)
    said = command("run", written, "--executor", "serial")
    assert said.code == 0
    assert f"{len(space.planned.runs) - len(had)} members done now" in said.err
    assert {key: store.read(key).digest for key in had} == had
    # And they are what the run would have trained.
    assert command("run", written, "--executor", "serial", "--store", "other").code == 0
    for key in had:
        one, other = store.read(key), Store("other").read(key)
        assert one.test_logits.tobytes() == other.test_logits.tobytes()


def test_json_is_one_document_and_what_is_told_meanwhile_goes_elsewhere(command, written, space, found):
    said = command(*asking(written, *NEVER, "--format", "json"))
    assert said.code == 0
    document = json.loads(said.out)
    assert set(document) == {"stopped", "confidence", "spent", "grid", "prediction", "rounds"}
    rounds = document["rounds"]
    assert len(rounds) == len(found.state.rounds)
    assert document["grid"] == space.grid
    assert document["spent"] == pytest.approx(flops_of(Store("store"), space))
    assert sum(one["grid_percent"] for one in rounds) == pytest.approx(100 * document["spent"] / space.grid)
    assert document["spent"] <= 0.6 * space.grid
    assert document["confidence"] == found.state.decision.confidence
    assert Prediction.from_json(json.dumps(document["prediction"])) == found.prediction
    (line,) = said.err.splitlines()
    assert line.startswith(f"round {len(rounds) + 1}; ")
    assert line.endswith(f"stops: {document['stopped']}")


def test_every_round_is_told_before_it_is_trained(command, written):
    said = command(*asking(written, "--tolerance", "0.9", "--confidence", "0.01"))
    assert said.code == 0
    lines = said.err.splitlines()
    assert [line.split(";")[0] for line in lines] == [f"round {number}" for number in range(1, 9)]
    told = [re.findall(r"trains 1 of width (\d)|stops", line)[0] for line in lines]
    assert told == ["2", "2", "3", "3", "4", "4", "6", ""]


def test_the_same_command_again_prints_the_same(command, written, found):
    first, again = (command(*asking(written, *NEVER)) for _ in range(2))
    assert (again.code, again.out) == (first.code, first.out) == (0, first.out)
    assert len(again.err.splitlines()) == 1
    assert "Rounds of the search" in first.out
    assert "At 11,338 parameters the best split is expected to be n = " in first.out


def test_an_interruption_is_no_traceback_and_the_same_command_resumes(command, written, monkeypatch):
    kept, calls = worker.train, []

    def train(*arguments, **more):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return kept(*arguments, **more)

    monkeypatch.setattr(worker, "train", train)
    said = command(*asking(written, *NEVER))
    assert said.code == 130
    assert said.out == ""
    assert "resume" in said.err
    assert command(*asking(written, "--dry-run")).err.startswith("round 4; ")


def test_a_spend_too_small_for_a_law_says_how_much_is_needed(command, written, space):
    said = command(*asking(written, spend="5%"))
    assert said.code == 3
    assert said.out == ""
    last = said.err.splitlines()[-1]
    needed = 2 * sum(space.cells[k].training_flops for k in (2, 3, 4)) / space.grid
    (percent,) = re.findall(r"widths take ([0-9.]+)% of the grid", last)
    assert 100 * needed <= float(percent) < 100 * needed + 0.1
    assert "--spend" in last
    assert flops_of(Store("store"), space) <= 0.05 * space.grid
    assert command(*asking(written, spend=f"{float(percent) - 0.1:.1f}%")).code == 3
    assert command(*asking(written, spend=f"{percent}%")).code == 0


# Members that fail.


@pytest.fixture
def failing(monkeypatch):
    """`failing(*reasons)`: members fail for these, one after the other and over again."""

    def use(*reasons):
        calls = []

        def train(*arguments, **more):
            calls.append(arguments)
            raise RuntimeError(reasons[(len(calls) - 1) % len(reasons)])

        monkeypatch.setattr(worker, "train", train)
        return calls

    return use


@pytest.fixture
def lawful(space, folder):
    """A store with enough members for a law."""
    for k, count in ((2, 2), (3, 2), (4, 2), (6, 1)):
        for run in space.cells[k].runs[:count]:
            publish(run, Store(folder / "store"), space)


def test_a_member_that_fails_ends_the_search_with_what_is_known(command, written, lawful, failing):
    failing("no luck today")
    said = command(*asking(written, *NEVER, "--format", "json"))
    assert said.code == 1
    assert "failed: RuntimeError: no luck today" in said.err
    assert "Traceback" not in said.err
    document = json.loads(said.out)
    assert document["rounds"] == []
    assert document["spent"] == 0
    assert document["prediction"]["best"] in (1, 2, 4)


def test_members_that_fail_for_different_reasons_are_counted_by_reason(command, written, lawful, failing):
    """Every reason was given the number of all failures."""
    calls = failing("no luck", "no disk")
    said = command(*asking(written, *NEVER, spend="100%"))
    assert said.code == 1
    luck, disk = ((len(calls) + 1) // 2, len(calls) // 2)
    assert disk >= 1
    told = [line for line in said.err.splitlines() if "failed" in line]
    assert told == [
        f"ensembudget: {disk} failed: RuntimeError: no disk",
        f"ensembudget: {luck} failed: RuntimeError: no luck",
    ]


def test_a_member_that_fails_before_there_is_a_law_is_told(command, written, failing):
    failing("no luck today")
    said = command(*asking(written, "--format", "json"))
    assert said.code == 1
    assert "no luck today" in said.err
    assert "--spend" not in said.err
    document = json.loads(said.out)
    assert (document["prediction"], document["rounds"], document["spent"]) == (None, [], 0)
    assert "no luck today" in (table := command(*asking(written))).err
    assert table.code == 1


# A dry run.


@pytest.mark.parametrize("spend", ["1%", "60%"])
def test_a_dry_run_says_what_would_be_next_and_makes_no_store(spend, command, written):
    said = command(*asking(written, "--dry-run", spend=spend))
    assert said.code == 0
    assert said.out == ""
    assert said.err.startswith("round 1; 0% of the spend, 0.0% of the grid; ")
    assert ("trains 1 of width 2" if spend == "60%" else "stops: the spend") in said.err
    assert said.err.splitlines()[-1] == "Nothing was trained."
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_of_a_search_that_was_begun_says_where_it_is(command, written, found):
    before = sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*"))
    said = command(*asking(written, *NEVER, "--dry-run", spend="90%"))
    assert said.err.startswith(f"round {len(found.state.rounds) + 1}; ")
    assert "best n = " in said.err
    assert sorted((str(p), p.stat().st_mtime_ns) for p in Path("store").rglob("*")) == before


# What it refuses.


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_executor_that_is_none_is_refused_before_anything_is_looked_at(more, command, written):
    said = command(*asking(written, "--executor", "bogus", *more))
    assert (said.code, said.out) == (2, "")
    assert "bogus" in said.err
    assert "round 1" not in said.err
    assert list(Path.cwd().iterdir()) == []


WRONG = {
    **{f"spend {spend!r}": ("--spend", spend) for spend in ("0%", "nan%", "-3GFLOP", "25", "1e9", "")},
    "tolerance of none": ("--tolerance", "0"),
    "tolerance of all": ("--tolerance", "1"),
    "tolerance that is no number": ("--tolerance", "nan"),
    "tolerance that is a word": ("--tolerance", "small"),
    "confidence of none": ("--confidence", "0"),
    "confidence of all": ("--confidence", "1"),
    "confidence above": ("--confidence", "95"),
    "budget that is a word": ("--budget", "abc"),
    "budget of bytes": ("--budget", "40MB"),
    "budget of nothing": ("--budget", "0"),
    "budget of one network": ("--budget", "408"),
    "executor": ("--executor", "cluster"),
    "device": ("--device", "abacus"),
    "arm": ("--arm", "sphere"),
    "format": ("--format", "yaml"),
}


@pytest.mark.parametrize("flags", WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said_in_one_message_before_a_store_is_made(flags, command, written):
    said = command(*asking(written), f"{flags[0]}={flags[1]}")
    assert said.code == 2, said
    assert said.out == ""
    first, *more = said.err.splitlines()
    assert first.startswith("ensembudget: ")
    assert all(line.startswith("  - ") for line in more), said.err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
def test_a_search_in_processes(command, written, space):
    said = command(*asking(written, "--executor", "processes", "--format", "json"))
    assert said.code == 0, said
    assert json.loads(said.out)["spent"] == pytest.approx(flops_of(Store("store"), space))
