"""Requests that once crashed, misled or passed: each gets one message, and nothing is written."""

import contextlib
import re
import socket
import threading

import pytest
import torch

from ensembudget import studies
from ensembudget.budgets._parse import parse_budget
from ensembudget.errors import DeviceError, InputError, StudyError, reason, told
from ensembudget.files import read_csv
from ensembudget.prediction.read import MOST
from ensembudget.stepping.place import check_device

STUDY = """
name = "tiny"
description = "a study that a test can afford"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 60
budgets = [5178]
members = [1]
pool = 2

[recipe]
epochs = 1
batch_size = 32
"""

# What is said instead of a line of that study, and what a message must say of it.
STUDIES = {
    "lists 3,000 levels deep": ("pool = 2", f"pool = {'[' * 3000}{']' * 3000}", ("levels deep",)),
    "tables 3,000 levels deep": ("pool = 2", f"pool = {'{a=' * 3000}1{'}' * 3000}", ("levels deep",)),
    "a crop of more than the image": (
        "epochs = 1",
        "epochs = 1\ncrop_padding = 1000",
        ("crop_padding 1,000", "8 pixels", "at most 7"),
    ),
    "batches of billions": ("batch_size = 32", "batch_size = 5000000000", ("5000000000", "1000000")),
    "billions of epochs": ("epochs = 1", "epochs = 5000000000", ("recipe.epochs = 5000000000", "1000000")),
    "one ensemble size twice": ("members = [1]", "members = [1, 1]", ("members = [1, 1]", "more than once")),
    "one width twice": (
        "pool = 2",
        "pool = 2\nwidths = [3, 4, 3]",
        ("widths = [3, 4, 3]", "3 is listed more"),
    ),
    "one budget twice": ("[5178]", '[5178, "5,178"]', ("5178 and '5,178' are the same",)),
    "bytes where parameters are asked for": (
        "budgets = [5178]",
        'budgets = ["40kB"]\nbudget_kind = "parameters"',
        ("'40kB' is in bytes", "budget_kind in a study"),
    ),
    "two kinds of budget": ("[5178]", '["40kB", "5178"]', ("'40kB' is in bytes", "budget_kind in a study")),
    "all held out": (
        "train_size = 60",
        "validation_size = 1000",
        ("validation_size 1,000", "leaves 0", "at most 990"),
    ),
    "more held out than there is": (
        "train_size = 60",
        "train_size = 60\nvalidation_size = 3000",
        ("validation_size 3,000", "leaves 0 of the 1,000", "at most 990"),
    ),
    "more subsets than images": (
        "train_size = 60",
        "train_size = 60\nsubsets = 20",
        ("train_size 60 in 20 disjoint subsets", "at most 50", "at most 16 subsets"),
    ),
    "epochs above their table": (
        "pool = 2",
        "pool = 2\nepochs = 5",
        ("epochs: no such key here", "belongs below the line [recipe]"),
    ),
    "the pool below the recipe": (
        "epochs = 1",
        "epochs = 1\npool = 3",
        ("recipe.pool: no such key here", "pool belongs at the top"),
    ),
    "a name that is a path": ('"tiny"', '"a b/c"', ("name = 'a b/c'", "letters, digits and _ . -")),
    "a name of an arm that is a number": (
        "[recipe]",
        "[[arms]]\nname = '1'\n\n[recipe]",
        ("arms.0.name = '1'", "begin with a letter"),
    ),
    "a name of 5,000 letters": ('"tiny"', f'"{"a/" * 2500}"', ("name = 'a/", " ... ")),
}


@pytest.mark.parametrize(("old", "new", "words"), STUDIES.values(), ids=STUDIES)
def test_a_study_with_a_fault_is_refused_in_words(old, new, words, command, folder, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace(old, new, 1))
    said = command("run", path, "--dry-run")
    assert (said.code, said.out) == (2, ""), said
    assert all(word in said.err for word in words), said.err
    assert not re.search(r"\^\[|at 0x|Traceback|at most 0\b", said.err), said.err
    assert len(said.err) < 1500
    assert list(folder.iterdir()) == []


POINTS = "members,cnll\n" + "".join(f"{n},{0.5 + 0.3 / n}\n" for n in (1, 2, 4, 8))
PLANE = "members,width,parameters,cnll\n" + "".join(
    f"{n},{k},{10 * k * k},{1 + 1 / n + 1 / k}\n" for k in (2, 3, 4) for n in (1, 2)
)
LONG = "s" * 5000

# The command, what is in the file that {} names, and what a message must say.
COMMANDS = {
    "points of 1e300": (
        "fit {} --x members --y cnll --independent",
        POINTS.replace("1,0.8", "1,1e300"),
        ("y of point 0 is 1e+300", "1e-30 to 1e+30"),
    ),
    "points at 1e300": (
        "fit {} --x members --y cnll --independent",
        POINTS.replace("8,", "1e300,"),
        ("x of point 3 is 1e+300", "another unit"),
    ),
    "points of 1e-300": (
        "fit {} --x members --y cnll --law log_log --independent",
        POINTS.replace("1,0.8", "1,1e-300"),
        ("y of point 0 is 1e-300",),
    ),
    "a width of 1e22": (
        "predict {} --budget 1k",
        PLANE + f"1,{10**22},{10**24},0.9\n",
        ("width is '10000000000000000000000'", f"at most {MOST:,}"),
    ),
    "parameters of 1e24": (
        "predict {} --budget 1k",
        PLANE + f"1,5,{10**24},0.9\n",
        ("parameters is", f"at most {MOST:,}"),
    ),
    "a CNLL of 1e300": ("predict {} --budget 1k", PLANE + "1,5,250,1e300\n", ("cnll is", "1,000,000")),
    "points at an address": (
        "fit http://127.0.0.1:9/p.csv --x a --y b",
        "",
        ("is an address", "Download it"),
    ),
    "a plane at an address": ("predict https://localhost/p.csv --budget 1k", "", ("is an address",)),
    "points at a file's address": ("fit file:///p.csv --x a --y b", "", ("is an address",)),
    "a store of 5,000 letters": (f"status digits --store {LONG}", "", ("File name too long", " ... ")),
    "a run's store of 5,000 letters": (f"run digits --store {LONG}", "", ("File name too long", " ... ")),
    "a store below 5,000 letters": (f"report digits --store {LONG}/a", "", ("File name too long",)),
    "a study of 5,000 letters": (f"run {LONG}", "", ("File name too long", " ... ")),
    "one ensemble size twice": (
        "plan --family vgg --dataset digits --budget 1M --members 1,2,1",
        "",
        ("--members '1,2,1'", "1 twice"),
    ),
    "one budget twice": (
        "plan --family vgg --dataset digits --budget 1M,1000k --members 1",
        "",
        ("--budget '1M,1000k'", "twice"),
    ),
    "no size that fits": (
        "plan --family vgg --dataset digits --budget 10 --members 1,2",
        "",
        ("cannot hold 1 member of 'vgg'",),
    ),
}


@pytest.mark.parametrize(("asked", "content", "words"), COMMANDS.values(), ids=COMMANDS)
def test_a_request_that_cannot_be_gets_one_short_line(asked, content, words, command, folder, tmp_path):
    path = tmp_path / "given.csv"
    path.write_text(content)
    said = command(*(word.replace("{}", str(path)) for word in asked.split()))
    assert (said.code, said.out) == (2, ""), said
    assert said.err.count("\n") == 1
    assert len(said.err) < 600
    assert all(word in said.err for word in words), said.err
    assert list(folder.iterdir()) == []


def test_an_address_of_points_is_not_even_connected_to(command, tmp_path):
    """A server waits for a connection while `fit` is asked for its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        connected = threading.Event()

        def serve() -> None:
            with contextlib.suppress(TimeoutError):
                server.accept()[0].close()
                connected.set()

        waiting = threading.Thread(target=serve)
        waiting.start()
        said = command("fit", f"http://127.0.0.1:{server.getsockname()[1]}/p.csv", "--x", "a", "--y", "b")
        waiting.join()
    assert said.code == 2
    assert not connected.is_set()


def test_a_plan_shows_the_sizes_that_fit_and_refuses_the_rest(command):
    said = command(
        "plan", "--family", "wide_resnet", "--depth", 10, "--dataset", "digits", "--budget", "5k",
        "--members", "1,2,4,8,16", "--format", "csv",
    )  # fmt: skip
    assert said.code == 0
    assert [line.split(",")[2] for line in said.out.splitlines()[1:]] == ["1", "2", "4", "8"]
    left_out, *warned = said.err.splitlines()
    assert len(warned) == 1
    assert "3 of 4 splits miss their budget by more than 5%" in warned[0]
    assert left_out.startswith("ensembudget: left out: a budget of 5,000 parameters cannot hold 16 members")
    assert "at most 12 members" in left_out


def test_help_of_search_writes_one_percent_sign(command):
    said = command("search", "--help")
    assert "25%" in said.out
    assert "%%" not in said.out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_search_on_a_gpu_that_is_not_there_is_refused_before_anything_is_planned(command, monkeypatch):
    monkeypatch.setattr("ensembudget.verbs.search.space_of", lambda *args: pytest.fail("it was planned"))
    said = command("search", "digits", "--budget", "31k", "--spend", "25%", "--device", "cuda", "--dry-run")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "ensembudget: device 'cuda' cannot be used here: torch finds none on this machine."
        " Use --device cpu.\n"
    )


def test_an_unknown_device_is_told_in_a_line():
    with pytest.raises(DeviceError, match=r"^device 'gpu0' cannot be used here: [^\n]*Use --device cpu\.$"):
        check_device("gpu0")


@pytest.mark.parametrize(
    ("budgets", "kind"),
    [
        ('["40kB", "80KB"]', "bytes"),
        ('["2MFLOP"]', "flops"),
        ('["40k", 5178]', "parameters"),
        ("[]", "parameters"),
    ],
)
def test_a_study_has_the_kind_of_budget_that_its_units_tell(budgets, kind):
    text = STUDY.replace("[5178]", f"{budgets}\nwidths = [3]")
    study = studies.parse(text, "tiny")
    assert study.budget_kind == kind
    assert all(parse_budget(one, kind)[1] == kind for one in study.budgets)


def test_bytes_are_not_a_second_fault_beside_another():
    text = STUDY.replace("[5178]", '["40kB"]').replace("pool = 2", "pol = 2")
    with pytest.raises(StudyError) as caught:
        studies.parse(text, "tiny")
    assert "1 fault:" in str(caught.value)


def test_what_a_library_says_becomes_one_line_without_addresses():
    assert reason(ValueError("cannot identify image file <_io.BytesIO object at 0x7f2c3a>")) == (
        "cannot identify image file _io.BytesIO"
    )
    assert reason(RuntimeError("first\n  second.\n")) == "first second"
    assert reason(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert reason(FileNotFoundError(2, "No such file or directory", "x")) == "No such file or directory"


def test_a_value_is_repeated_whole_or_cut_in_the_middle():
    assert told("short") == "'short'"
    long = told("a" * 5000 + "z")
    assert len(long) < 260
    assert long.startswith("'aaa")
    assert long.endswith("aaaz'")


def test_an_internal_error_of_several_lines_is_one_line(command, monkeypatch):
    def fail(*args):
        raise RuntimeError("one\ntwo <object object at 0x7f>")

    monkeypatch.setattr("ensembudget.cli.ls._lines", fail)
    said = command("ls", "families")
    assert said.code == 1
    assert said.err.startswith("ensembudget: internal error: RuntimeError: one two object. Please report it")
    assert said.err.count("\n") == 1


def test_a_csv_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match=r"points '.*p\.csv' cannot be read as CSV"):
        read_csv(str(tmp_path / "p.csv"), "points")
