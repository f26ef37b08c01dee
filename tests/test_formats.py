"""Verbs are alike: every one that prints rows prints them as a table, CSV or JSON, and can be quiet."""

import argparse
import csv
import io
import json

import numpy as np
import pytest

import helpers
from ensembudget import studies
from ensembudget.cli import voice
from ensembudget.cli.parser import COMMANDS, Parser, build_parser
from ensembudget.cli.progress import share_shown
from ensembudget.errors import SteppingError
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study

STUDY = """
name = "tiny"
description = "a study whose members are made up"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 60
budgets = [10356]
members = [1, 2]
tolerance = 0.2
pool = 4

[recipe]
epochs = 1
"""
LABELS = np.arange(40) % 10
PRINTING = (
    "plan",
    "ls",
    "run",
    "tune",
    "status",
    "report",
    "compare",
    "evaluate",
    "fit",
    "predict",
    "search",
    "curves",
    "store",
)


@pytest.fixture
def study(tmp_path, folder):
    """A study; its members are in `store` of the current folder."""
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    store = Store("store")
    planned = plan_study(studies.load_study(path))
    for number, run in enumerate(planned.runs):
        rng = np.random.default_rng(number)
        logits = (rng.normal(size=(40, 10)) + 2 * np.eye(10)[LABELS]).astype(np.float32)
        helpers.publish(store, helpers.trained_as(run, logits), LABELS)
    store.save_plan(planned)
    return path


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_can_be_quiet_or_verbose_and_those_that_print_rows_have_a_format(name):
    parser = build_parser([name])
    (verbs,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    flags = verbs.choices[name]._option_string_actions
    assert {"--quiet", "--verbose"} <= set(flags)
    if name != "export":  # whose formats are those of its files
        assert ("--format" in flags) == (name in PRINTING)
    if name in PRINTING:
        assert tuple(flags["--format"].choices) == ("table", "csv", "json")


def test_ls_prints_names_in_every_format(command):
    table = [line.split()[0] for line in command("ls", "laws").out.splitlines()]
    assert [row["name"] for row in lines(command("ls", "laws", "--format", "csv").out)] == table
    assert [row["name"] for row in json.loads(command("ls", "laws", "--format", "json").out)] == table


def test_status_says_the_same_in_every_format(study, command):
    rows = lines(command("status", study, "--format", "csv").out)
    document = json.loads(command("status", study, "--format", "json").out)
    assert [int(row["width"]) for row in rows] == [row["width"] for row in document["status"]]
    assert [int(row["done"]) for row in rows] == [row["done"] for row in document["status"]] == [4, 4]
    assert document["tuning"] == []
    assert "0 of 8 members to train" in command("status", study).out


def test_a_report_prints_what_it_writes_in_every_format(study, command, folder):
    said = command("report", study, "--format", "json")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert [row["members"] for row in document["memory_split"]] == [1, 2]
    written = lines((folder / "report/tiny/memory_split.csv").read_text())
    assert [row["cnll"] for row in document["memory_split"]] == [float(row["cnll"]) for row in written]
    printed = lines(command("report", study, "--format", "csv").out)
    assert [row["cnll"] for row in printed] == [row["cnll"] for row in written]


def test_fit_as_csv_has_a_column_for_each_end_of_an_interval(command, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("width,cnll\n" + "".join(f"{k},{0.5 + 1 / k}\n" for k in (2, 4, 8, 16, 32)))
    said = command("fit", path, "--x", "width", "--y", "cnll", "--format", "csv")
    (row,) = lines(said.out)
    assert float(row["c"]) == pytest.approx(0.5)
    assert float(row["c_low"]) <= 0.5 <= float(row["c_high"]) + 1e-9


def test_quiet_says_nothing_but_the_answer_and_errors(study, command):
    said = command("run", study, "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert "nothing was missing" in command("run", study).err
    assert "cannot hold" in command("plan", "--family", "vgg", "--dataset", "digits", "--budget", "9",
                                    "--quiet").err  # fmt: skip


def test_verbose_says_how_long_it_took_and_where_an_error_comes_from(command):
    said = command("ls", "laws", "--verbose")
    assert said.err.startswith("ensembudget: version ")
    assert said.err.endswith(" s.\n")
    failed = command("fit", "nowhere.csv", "--x", "a", "--y", "b", "--verbose")
    assert failed.code == 2
    assert "Traceback" in failed.err
    assert failed.err.splitlines()[-1].startswith("ensembudget: points 'nowhere.csv' cannot be read")
    assert "Traceback" not in command("fit", "nowhere.csv", "--x", "a", "--y", "b").err


def test_quiet_and_verbose_at_once_are_refused(command):
    said = command("ls", "laws", "--quiet", "--verbose")
    assert said.code == 2
    assert "not allowed with" in said.err


def test_a_share_is_said_after_ten_seconds_and_at_the_end_of_long_work(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("ensembudget.cli.progress.time.monotonic", lambda: clock[0])
    for seconds, expected in ((2, ""), (8, "job: 40%\njob: 80%\njob: 100%\n")):
        with share_shown("job") as show:
            for share in (0.2, 0.4, 0.6, 0.8, 1.0):
                clock[0] += seconds if share < 1 else 0
                show(share)
        assert capsys.readouterr().err == expected
    monkeypatch.setattr(voice, "quiet", True)
    with share_shown("job") as show:
        clock[0] += 100
        show(1.0)
    assert capsys.readouterr().err == ""


def test_search_takes_the_flags_of_run(folder):
    asked = ["search", "digits", "--budget", "31k", "--spend", "25%", "--workers", "2", "--threads", "1",
             "--stepping", "compiled=no"]  # fmt: skip
    args, run = (build_parser(one).parse_args(one) for one in (asked, ["run", "digits"]))
    assert (args.workers, args.threads, args.stepping) == (2, 1, "compiled=no")
    assert args.executor == run.executor


def test_a_search_passes_its_place_and_stepping_on_and_refuses_packs(monkeypatch, tmp_path):
    from ensembudget.records import SteppingChoice
    from ensembudget.verbs import search

    asked = {}
    monkeypatch.setattr(search, "arrange", lambda planned, store, **how: asked.update(how))
    space = type("Space", (), {"planned": None})()
    how = {"workers": 3, "threads": 2, "stepping": SteppingChoice(compiled=False)}
    assert search.TrainingSource(space, Store(tmp_path / "s"), **how)._arrangement is None
    assert (asked["workers"], asked["threads"], asked["executor"]) == (3, 2, "processes")
    assert asked["stepping"].fixed == {"pack": 1, "compiled": False}
    with pytest.raises(SteppingError, match="packs of 4"):
        search.TrainingSource(space, Store(tmp_path / "s"), stepping=SteppingChoice(pack=4))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_gets_a_script_that_knows_every_command_and_its_flags(shell, command):
    said = command("completion", shell)
    assert (said.code, said.err) == (0, "")
    assert all(name in said.out for name in COMMANDS)
    assert "--allow-partial" in said.out
    assert "--depth" in said.out


def test_only_the_command_that_is_named_gets_its_arguments():
    def flags(words):
        (verbs,) = [
            one for one in build_parser(words)._actions if isinstance(one, argparse._SubParsersAction)
        ]
        return {name: len(parser._actions) for name, parser in verbs.choices.items()}

    few, every = flags(["ls"]), flags(COMMANDS)
    assert few["plan"] == len(Parser()._actions)
    assert all(every[name] > few["plan"] for name in COMMANDS)
