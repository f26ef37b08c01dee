"""From images to a proposed study: what lies there is told, and the file plans and runs as written."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ensembudget import studies
from ensembudget.datasets._look import Look, look
from ensembudget.planning.proposal import EFFORTS, Sketch, concerns, text_of
from ensembudget.records import Stepping
from ensembudget.stepping.autotune import Bench
from ensembudget.stepping.measured import Timing
from ensembudget.studies.fields import TABLES
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.propose import propose

LOOK = Look(
    spec="folder:birds",
    classes=("crow", "owl", "wren"),
    counts={"train": (240, 239, 240), "test": (60, 60, 60)},
    sizes={(96, 64): 500, (40, 64): 399},
    modes={"RGB": 850, "L": 40, "P": 9},
    corrupt=("birds/owl/7.jpg",),
    animated=(),
    duplicates=0,
    leaked=0,
    files=900,
)


@pytest.fixture
def birds(folder):
    """3 classes of 30 pictures: two sizes, grey among colour, one of them no picture at all."""
    draws = np.random.default_rng(0)
    for number, name in enumerate(("crow", "owl", "wren")):
        (folder / "birds" / name).mkdir(parents=True)
        for i in range(30):
            shape = ((24, 30) if i % 2 else (26, 24)) + (() if i % 5 == 0 else (3,))
            pixels = draws.integers(80 * number, 80 * number + 90, size=shape).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "birds" / name / f"{i}.png")
    (folder / "birds" / "owl" / "3.png").write_bytes(b"no picture")
    return folder / "birds"


def test_a_study_is_proposed_that_plans_and_runs_as_written(command, birds, folder):
    said = command("init", "folder:birds", "--budget", "100kB", "--out", "studies/mine.toml", "--time", "2h")
    assert said.code == 0, said
    out = folder / "studies" / "mine.toml"
    assert "folder:birds: 90 images, " in said.out
    assert "1 of 90 files cannot be decoded" in said.out
    assert "Next: ensembudget run studies/mine.toml" in said.out
    assert "About " in said.out
    text = out.read_text()
    assert 'dataset = "folder:../birds"' in text
    assert "skip_corrupt = true" in text
    assert 'colour = "rgb"' in text
    study = studies.load_study(out)
    assert (study.budget_kind, study.budgets, study.image_size) == ("bytes", ["100kB"], 24)
    assert study.members[0] == 1
    planned = plan_study(study)
    # What was told is what is planned.
    assert f"trains {len(planned.runs)} members" in said.out
    assert {one.members for one in planned.splits} == set(study.members)
    run = command("run", out, "--executor", "serial", "--epochs", "1", "--limit", "2")
    assert run.code == 0, run


def test_a_file_that_is_there_is_left_as_it_is(command, birds, folder):
    (folder / "mine.toml").write_text("mine")
    said = command("init", "folder:birds", "--budget", "100kB", "--out", "mine.toml")
    assert (said.code, said.out) == (2, "")
    assert "already exists" in said.err
    assert (folder / "mine.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("folder:nowhere", "--budget", "2MB"), ("nowhere",)),
        (("folder:birds", "--budget", "2 MQ"), ("'2 MQ'", "unknown unit")),
        (("folder:birds", "--budget", "1kB"), ("1,000", "at least")),
        (("folder:birds", "--budget", "30kB"), ("30kB", "no ensemble", "width 4")),
        (("folder:birds", "--budget", "2MB", "--time", "soon"), ("--time 'soon'", "10min")),
    ],
    ids=["no folder", "no unit", "too small", "no ensemble", "no time"],
)
def test_what_cannot_be_proposed_is_said_and_nothing_is_written(flags, words, command, birds, folder):
    said = command("init", *flags, "--out", "mine.toml")
    assert said.code == 2, said
    assert all(word in said.err for word in words), said.err
    assert not (folder / "mine.toml").exists()


def bench(seconds):
    """A machine whose step takes so long for every million operations."""

    def trial(request):
        amount = request.flops / request.cell.steps / 1e6
        return Timing(stepping=Stepping(), seconds=seconds * amount)

    return Bench(trial=trial)


def test_the_largest_study_is_proposed_that_trains_in_time(tmp_path, monkeypatch, folder):
    found = []
    for seconds in (1e-9, 1e-6, 1e-5, 1e-1):
        # Trials are kept, and one machine's are not another's.
        monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / str(seconds)))
        made = propose(LOOK, "400kB", "birds.toml", seconds=600.0, bench=bench(seconds))
        found.append(made)
        assert studies.parse(made.text, "birds.toml") == made.study
    whole = [one.estimate.whole for one in found]
    assert all(one <= 600 or found[i].study.pool == EFFORTS[-1].pool for i, one in enumerate(whole))
    amounts = [one.plan.training_flops(one.plan.runs) for one in found]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] > amounts[-1]
    assert (found[0].study.image_size, found[0].study.pool) == (32, 8)  # the largest there is
    assert whole[-1] > 600


def test_every_effort_is_a_study_and_each_costs_less(folder):
    costs = []
    for effort in EFFORTS:
        study = studies.parse(text_of(Sketch(LOOK, "400kB", folder / "birds.toml", effort)), "birds")
        assert study.members[0] == 1 < len(study.members)
        costs.append(study.image_size**2 * study.pool * study.recipe.epochs)
    assert costs == sorted(costs, reverse=True)


def test_what_need_not_be_said_of_images_is_left_out(folder):
    alike = replace(LOOK, spec="digits", sizes={(8, 8): 899}, modes={"L": 899}, corrupt=())
    study = studies.parse(text_of(Sketch(alike, "31k", folder / "d.toml", EFFORTS[0])), "d")
    assert (study.image_size, study.colour, study.skip_corrupt) == (None, None, False)
    assert (study.recipe.flip, study.dataset, study.budget_kind) == (False, "digits", "parameters")


def test_a_proposal_says_every_field_that_a_first_study_needs(folder):
    text = text_of(Sketch(LOOK, "400kB", folder / "birds.toml", EFFORTS[0]))
    said = {line.removeprefix("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert {"name", "description", "dataset", "image_size", "train_size", "validation_size", "family"} <= said
    assert {"budgets", "members", "pool", "epochs", "batch_size", "flip", "weight_decay"} <= said
    known = {name for model in TABLES.values() for name in model.model_fields}
    assert {name for name in said if name.isidentifier()} <= known


def test_names_that_toml_must_escape_are_read_back(folder):
    odd = replace(LOOK, spec='folder:a "quoted" näme\\x')
    study = studies.parse(text_of(Sketch(odd, "400kB", folder / "ä b!.toml", EFFORTS[0])), "odd")
    assert study.dataset.endswith('a "quoted" näme\\x')
    assert study.name == "b-"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1 of 900 files cannot be decoded"),
        ({"leaked": 12}, "12 test images are training images too"),
        ({"duplicates": 1200}, "1,200 images occur more than once"),
        (
            {"animated": ("a.gif", "b.gif")},
            '2 files hold several frames; the first is used: "a.gif", "b.gif".',
        ),
        ({"counts": {"train": (20, 400, 400), "test": (60, 60, 60)}}, "Classes differ in size: 20 to 400"),
        ({}, "180 test images tell only large differences"),
    ],
)
def test_what_is_odd_about_images_is_told(changes, words):
    assert any(words in line for line in concerns(replace(LOOK, **changes)))


def test_nothing_odd_is_told_of_digits():
    assert concerns(look("digits")) == []
