"""Studies of one's own folder: where it is sought, what is told of it, and its plan in a store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensembudget.errors import DatasetError
from ensembudget.planning.plan import plan
from ensembudget.records import Search, Study, Task
from ensembudget.store import Store
from ensembudget.studies import load_study
from ensembudget.verbs.plan import plan_study, stored_plan
from helpers import command

STUDY = """
name = "pets"
description = "two classes in a folder beside the study"
family = "convnet"
dataset = "folder:photos"
image_size = 8
colour = "grey"
skip_corrupt = true
widths = [1]
pool = 2
stepping = { pack = 1 }

[recipe]
epochs = 1
batch_size = 16
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study and its pictures of two sizes, one of them corrupt; commands run elsewhere."""
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "cache"))
    rng, folder = np.random.default_rng(0), tmp_path / "project"
    for i in range(40):
        path = folder / "photos" / ("cat", "dog")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(256, size=(9 + i % 3, 12, 3), dtype=np.uint8)
        Image.fromarray(image).save(path)
    (folder / "photos" / "dog" / "07.png").write_bytes(b"no image")
    (folder / "pets.toml").write_text(STUDY)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def test_a_folder_is_sought_beside_the_study_from_wherever_it_is_run(project, monkeypatch):
    plans = [plan_study(load_study(project / "pets.toml"))]
    plans.append(plan_study(load_study("../project/pets.toml")))
    monkeypatch.chdir(project)
    plans.append(plan_study(load_study("pets.toml")))
    assert load_study("pets.toml").dataset == "folder:photos"
    assert len({tuple(run.key for run in one.runs) for one in plans}) == 1
    assert plans[0].class_names == ["cat", "dog"]


def test_an_absolute_folder_is_taken_as_it_is(project):
    absolute = f"folder:{project / 'photos'}"
    path = project / "absolute.toml"
    path.write_text(STUDY.replace("folder:photos", absolute))
    assert load_study(path).dataset == absolute


def test_a_folder_that_is_not_beside_the_study_is_told_with_the_rule(project):
    (project / "pets.toml").rename("pets.toml")
    with pytest.raises(DatasetError, match=r"no folder 'photos'\. A folder is relative to the study file"):
        plan_study(load_study("pets.toml"))


def test_presets_and_datasets_without_a_folder_have_no_place(project):
    path = project / "digits.toml"
    path.write_text(STUDY.replace("folder:photos", "digits"))
    assert load_study(path).dataset == load_study("digits").dataset == "digits"


def test_the_command_line_seeks_a_folder_in_the_current_one(project, monkeypatch):
    asked = ["plan", "--family", "convnet", "--budget", "2k", "--members", "1", "--dataset", "folder:photos"]
    size, rest = ["--image-size", "8", "--colour", "grey"], ["--skip-corrupt"]
    there = command(*asked, *size, *rest)
    assert there.code == 2
    assert "there is no folder 'photos'" in there.err
    monkeypatch.chdir(project)
    found = command(*asked, *size, *rest)
    assert found.code == 0
    assert "Left out, because they cannot be decoded: 1 of 40 images (07.png)." in found.out
    assert "Left out" not in command(*asked, *size, *rest, "--format", "csv").out
    assert "Set image_size" in command(*asked, *rest).err
    assert "07.png cannot be decoded" in command(*asked, *size).err


def test_what_was_left_out_is_told_wherever_the_study_is(project, tmp_path):
    note = "Left out, because they cannot be decoded: 1 of 40 images (07.png)."
    asked = [project / "pets.toml", "--store", tmp_path / "store"]
    assert note in command("run", *asked, "--dry-run").out
    trained = command("run", *asked, "--executor", "serial")
    assert trained.code == 0
    assert note in trained.err
    # The report needs neither the pictures nor the place where they lay.
    (tmp_path / "moved" / "far").mkdir(parents=True)
    moved = shutil.move(project / "pets.toml", tmp_path / "moved" / "far" / "pets.toml")
    shutil.rmtree(project)
    shutil.rmtree(tmp_path / "cache")
    said = command("report", moved, "--store", tmp_path / "store", "--out", tmp_path / "report")
    assert said.code == 0
    assert note in said.out


def a_study(**fields: object) -> Study:
    needed = {"name": "x", "description": "", "family": "convnet", "dataset": "digits", "widths": [2]}
    return Study.model_validate(needed | fields)


@pytest.mark.parametrize("place", ["../shared/photos", "../../../shared/photos", "/data/photos/", "photos"])
def test_a_plan_and_a_search_are_found_under_any_spelling_of_the_folder(tmp_path, place):
    store = Store(tmp_path / "store")
    first = a_study(dataset="parquet:../shared/photos")
    made = plan(first, Task(10, 1, 8), digest="0" * 64, dataset="photos", train_samples=1000)
    store.save_plan(made)
    store.save_search(Search(study=first, arm="", budget="1000 parameters"))
    asked = a_study(dataset=f"parquet:{place}")
    found = stored_plan(asked, store)
    assert found.study == asked
    assert found.cells == made.cells
    empty = Search(study=asked, arm="", budget="1000 parameters")
    assert store.saved_search(empty).study.dataset == "parquet:../shared/photos"
    for other in ("parquet:other", "folder:photos"):
        assert store.saved_plan(a_study(dataset=other)) is None


def test_a_plan_under_another_spelling_is_replaced_and_not_doubled(tmp_path):
    store = Store(tmp_path / "store")
    for place in ("photos", "../photos"):
        study = a_study(dataset=f"folder:{place}")
        store.save_plan(plan(study, Task(10, 1, 8), digest="0" * 64, dataset="photos", train_samples=1000))
    assert len(list((tmp_path / "store" / "plans").iterdir())) == 1


@pytest.mark.parametrize("verb", ["status", "report", "run"])
def test_a_store_whose_name_is_none_is_refused_in_one_short_line(verb):
    said = command(verb, "digits", "--store", "x" * 5000)
    assert said.code == 2
    assert "File name too long" in said.err
    assert len(said.err) < 500
