"""A split becomes a folder that gives the store's numbers, and nothing else is ever written or read."""

import json
import pickle
import runpy
import shutil
import zipfile
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

import ensembudget
from ensembudget.analysis.splits import SplitResult
from ensembudget.catalog import FORMATS
from ensembudget.datasets._order import permutation
from ensembudget.errors import ArgumentError, EnsembudgetError, ExportError
from ensembudget.exporting.formats import safetensors as safe_format
from ensembudget.exporting.formats._base import Content
from ensembudget.store.documents import canonical, sha256
from helpers import ROOT, command

STUDY = """
name = "shipping"
description = "two sizes of ensemble, in packs of 2"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 50
budget_kind = "bytes"
budgets = ["44kB"]
members = [1, 2]
tolerance = 0.3
replicates = 1
pool = 3
stepping = { pack = 2, threads = 1 }

[recipe]
epochs = 4
batch_size = 32
learning_rate = 0.1
crop_padding = 0
flip = false
"""
SAFE = ("--format", "safetensors")


class Shipped:
    """A study that was run, and its ensemble of two, exported."""

    def __init__(self, root: Path) -> None:
        self.study, self.root, self.out = root / "study.toml", root / "store", root / "shipped"
        self.study.write_text(STUDY)
        assert command("run", self.study, "--store", self.root, "--executor", "serial").code == 0
        self.store = ensembudget.Store(self.root)
        self.had_weights = [run.key for run in self.plan.runs if "weights" in self.store.artefacts(run.key)]
        self.said = self.export("--members", 2, "--out", self.out)

    def export(self, *words: str | Path | int):
        return command("export", self.study, "--store", self.root, "--budget", "44kB", *words)

    @cached_property
    def splits(self) -> dict[int, SplitResult]:
        """By members, as a report has them."""
        analysis = ensembudget.analyse(ensembudget.evaluate(self.plan, self.store))
        return {one.split.members: one for one in analysis.budgets[0].splits}

    @cached_property
    def plan(self) -> ensembudget.Plan:
        return ensembudget.plan_study(ensembudget.load_study(self.study))

    def logits(self, part: str = "test") -> np.ndarray:
        """Of the two members, (member, sample, class), float64."""
        (split,) = [one for one in self.plan.splits if one.members == 2]
        found = [self.store.read(run.key) for run in self.plan.cell_of(split).runs[:2]]
        return np.stack([getattr(one, f"{part}_logits") for one in found]).astype(np.float64)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, cache) -> Shipped:
    return Shipped(tmp_path_factory.mktemp("shipping"))


@pytest.fixture
def folder_of(shipped, tmp_path) -> Path:
    """A copy of the exported folder, to be damaged."""
    shutil.copytree(shipped.out, tmp_path / "copy")
    return tmp_path / "copy"


def tempered(logits: np.ndarray, temperature: float) -> np.ndarray:
    average = softmax(logits, -1).mean(0) ** (1 / temperature)
    return average / average.sum(-1, keepdims=True)


def test_weights_that_were_not_kept_are_trained_again_and_the_cost_is_told_first(shipped):
    assert shipped.had_weights == []
    assert shipped.said.code == 0
    lines = shipped.said.out.splitlines()
    # Packs hold members 0 and 1, and 2 alone: the ensemble of two needs the first pack.
    assert lines[1].startswith("2 members are trained again, because weights were not kept: about ")
    assert lines.index(next(line for line in lines if "safetensors" in line)) > 1


def test_a_member_of_a_pack_is_trained_again_with_its_pack(shipped):
    choice = ensembudget.choose_export(ensembudget.load_study(shipped.study), shipped.store, "44kB", 1)
    assert [run.seed for run in choice.repeated] == [0, 1]
    assert choice.seconds == sum(shipped.store.read(run.key).member.seconds for run in choice.repeated)


def test_it_predicts_what_the_stored_logits_say(shipped, digits):
    ensemble = ensembudget.load(shipped.out)
    found, logits = ensemble.predict(digits.arrays.test_inputs), shipped.logits()
    wanted = tempered(logits, ensemble.card.blueprint.temperature)
    assert np.abs(found.probabilities - wanted).max() < 1e-5
    votes = logits.argmax(-1)
    assert np.array_equal(
        found.disagreement, np.mean([votes[i] != votes[j] for i, j in combinations(range(2), 2)], 0)
    )
    card = ensemble.card
    assert card.quality.own_accuracy == (wanted.argmax(1) == digits.arrays.test_labels).mean()
    own = wanted[np.arange(len(wanted)), digits.arrays.test_labels]
    assert card.quality.own_nll == pytest.approx(-np.log(own).mean())
    assert 0 <= card.files["safetensors"].difference <= 1e-5


def test_the_card_has_the_numbers_of_the_report_and_of_the_data(shipped, digits):
    card = ensembudget.load(shipped.out).card
    score = shipped.splits[2].score
    assert card.quality.accuracy == score.metrics["accuracy"]
    assert card.quality.nll == score.metrics["nll"]
    assert card.quality.cnll == score.cnll
    assert card.quality.ensembles == 1
    assert card.quality.own_disagreement == pytest.approx(score.metrics["disagreement"].value)
    train = digits.arrays.train_inputs[permutation(950)[:100]] / 255
    assert card.blueprint.inputs.mean == pytest.approx([train.mean()])
    assert card.blueprint.inputs.std == pytest.approx([train.std(ddof=1)])
    data = card.data
    assert (data.training_samples, data.validation_samples, data.test_samples) == (100, 50, 797)
    assert data.test_answers == 797
    assert card.data.temperature_fitted_on == "validation"
    assert card.blueprint.class_names == list("0123456789")
    keys = {run.key: run.seed for run in shipped.plan.runs}
    assert [keys[one.key] for one in card.provenance.members] == [0, 1]
    assert card.provenance.chosen == "named"


def test_the_temperature_fits_the_validation_images(shipped, digits):
    temperature = ensembudget.load(shipped.out).card.blueprint.temperature
    labels = digits.arrays.train_labels[-50:]
    losses = [
        -np.log(tempered(shipped.logits("validation"), temperature * factor)[np.arange(50), labels]).mean()
        for factor in (0.99, 1, 1.01)
    ]
    assert min(losses) == losses[1]


def test_sizes_are_those_of_the_files_and_of_the_budget(shipped):
    card = ensembudget.load(shipped.out).card
    file = card.files["safetensors"]
    assert file.file_bytes == (shipped.out / "ensemble.safetensors").stat().st_size
    (split,) = [one for one in shipped.plan.splits if one.members == 2]
    assert file.tensor_bytes == split.bytes_total == card.budget.bytes
    for number in (file.file_bytes, file.tensor_bytes, 44_000):
        assert f"{number:,}" in shipped.said.out
        assert f"{number:,}" in (shipped.out / "README.md").read_text()


def test_nothing_but_the_folder_is_written_and_no_place_of_this_machine_is_in_it(shipped):
    names = {path.name for path in shipped.out.iterdir()}
    assert names == {"README.md", "card.json", "ensemble.safetensors"}
    assert not [path for path in shipped.out.parent.iterdir() if path.name.startswith(".")]
    assert all(str(ROOT).encode() not in path.read_bytes() for path in shipped.out.iterdir())


def test_the_best_split_is_exported_where_none_is_named(shipped):
    best = min(shipped.splits, key=lambda n: shipped.splits[n].score.cnll.value)
    said = shipped.export("--dry-run", "--out", shipped.root / "new")
    assert said.out.startswith(f"n = {best}, ")
    assert "the lowest CNLL of 44,000 bytes" in said.out
    assert "Nothing was exported." in said.out
    assert not (shipped.root / "new").exists()


def test_the_example_names_the_class_of_a_picture(shipped, digits, tmp_path, capsys):
    image = digits.arrays.test_inputs[3, ..., 0]
    Image.fromarray(image).save(tmp_path / "digit.png")
    runpy.run_path(str(ROOT / "examples" / "classify.py"))["main"](shipped.out, tmp_path / "digit.png")
    said = capsys.readouterr().out
    probabilities = ensembudget.load(shipped.out).predict(image).probabilities[0]
    assert said.startswith(f"{probabilities.argmax()}: {probabilities.max():.3f}")


def test_a_file_that_gives_other_numbers_is_not_exported(shipped, tmp_path, plug_in):
    def bent(ensemble):
        content = safe_format.write(ensemble)
        states = [
            {n: t * (1.01 if n.endswith("weight") else 1) for n, t in s.items()} for s in ensemble.stored
        ]
        return Content(safe_format.write(replace(ensemble, stored=states)).content, content.tensor_bytes)

    plug_in("formats", "bent", format=replace(FORMATS["safetensors"], write=bent, file="bent.safetensors"))
    said = shipped.export("--members", 2, "--format", "safetensors,bent", "--out", tmp_path / "out")
    assert said.code == 2
    assert "format 'bent' gives other probabilities on the test images than the store has" in said.err
    assert list(tmp_path.glob("*out*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--members", "3"), "no split of 3 members at this budget. It has 1, 2."),
        (("--budget", "1GB"), "no budget '1GB'. Its budgets in bytes: 44,000."),
        (("--budget", "36k"), "no budget '36k'. Its budgets in bytes: 44,000."),
        (("--budget", "much"), "is not a number with a unit"),
        (("--format", "tf"), "no format 'tf'. Known: onnx, safetensors, torch."),
        (("--format", "onnx,onnx"), "must name formats, each once"),
        (("--arm", "sphere"), "no setting with --arm sphere at this budget"),
        (("--images", "1k", "--tuned", "yes"), "no setting with --tuned yes, --images 1000"),
        (("--device", "gpu7"), "device 'gpu7' cannot be used here"),
        (("--executor", "none"), "no executor 'none'"),
        (("--store", "nowhere"), "no store at 'nowhere'"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line_and_nothing_is_written(shipped, folder, words, said):
    ended = shipped.export(*words, "--out", "out")
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_a_folder_with_files_in_it_is_left_alone(shipped, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    said = shipped.export("--out", tmp_path / "out")
    assert said.code == 2
    assert "has files in it" in said.err
    said = shipped.export("--out", tmp_path / "out" / "mine.txt")
    assert "is a file" in said.err
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_of_several_settings_one_must_be_named(shipped):
    study = ensembudget.load_study(shipped.study).model_copy(update={"train_size": [60, 100]})
    with pytest.raises(
        ArgumentError, match=r"has 2 settings at this budget: 60 images; 100 images\. Choose one"
    ):
        ensembudget.choose_export(study, shipped.store, "44kB")
    choice = ensembudget.choose_export(study, shipped.store, "44kB", 2, train_size=100)
    assert choice.result.split.train_size == 100
    with pytest.raises(EnsembudgetError, match="lacks 6 of 6 members"):
        ensembudget.choose_export(study, shipped.store, "44kB", train_size=60)


# Reading.


def resealed(folder: Path, **changes) -> None:
    """Changes the card as somebody would who means harm: digests are right again."""
    path = folder / "card.json"
    document = json.loads(path.read_text())
    document.pop("sha256")
    plan = document["card"]["blueprint"]
    plan["inputs"] |= {name: changes.pop(name) for name in plan["inputs"].keys() & changes.keys()}
    plan |= changes
    content = (folder / "ensemble.safetensors").read_bytes()
    document["card"]["files"]["safetensors"] |= {"file_bytes": len(content), "sha256": sha256(content)}
    path.write_text(json.dumps(document | {"sha256": sha256(canonical(document))}))


def test_a_folder_of_the_first_format_is_read(folder_of, digits):
    wanted = ensembudget.load(folder_of)
    path = folder_of / "card.json"
    card = json.loads(path.read_text())["card"]
    inputs, data = card["blueprint"].pop("inputs"), card["data"]
    assert inputs.pop("kind") == "images"
    card["blueprint"] |= inputs
    assert data.pop("test_answers") == 797
    for part in ("training", "validation", "test"):
        data[f"{part}_images"] = data.pop(f"{part}_samples")
    body = {"format": 1, "card": card}
    path.write_text(json.dumps(body | {"sha256": sha256(canonical(body))}))
    found = ensembudget.load(folder_of)
    assert found.card == wanted.card
    some = digits.arrays.test_inputs[:3]
    assert np.array_equal(found.predict(some).probabilities, wanted.predict(some).probabilities)


@pytest.mark.parametrize("name", ["card.json", "ensemble.safetensors"])
def test_a_changed_byte_is_noticed(folder_of, name):
    content = bytearray((folder_of / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder_of / name).write_bytes(content)
    with pytest.raises(ExportError, match=rf"{name} .*(match its|damaged)"):
        ensembudget.load(folder_of)


@pytest.mark.parametrize("name", ["card.json", "ensemble.safetensors"])
@pytest.mark.parametrize("change", ["missing", "shorter", "longer", "folder"])
def test_a_file_that_is_missing_or_of_another_size_is_noticed(folder_of, name, change):
    path = folder_of / name
    content = path.read_bytes()
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change != "missing":
        path.write_bytes(content[:-9] if change == "shorter" else content + b"x" * 2**24)
    with pytest.raises(ExportError, match=name.replace(".", r"\.")):
        ensembudget.load(folder_of)


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"model_type": "vit"}', "[" * 100_000])
def test_a_foreign_card_is_refused(folder_of, content):
    (folder_of / "card.json").write_text(content)
    with pytest.raises(ExportError, match=r"card\.json of .* is damaged, or no card"):
        ensembudget.load(folder_of)


def test_a_folder_that_is_none_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "none", "\0", "x" * 5000):
        with pytest.raises(ExportError):
            ensembudget.load(place)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 5}, "instead of"),
        ({"members": 1}, "are expected"),
        ({"members": 10**12}, "are expected"),
        ({"mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0]}, "instead of"),
        ({"mean": [0.1, 0.2]}, "mean has 2 channels and std 1"),
        ({"family": "vgg16"}, "no family 'vgg16'"),
        ({"options": {"depth": 11}}, "depth 11"),
        ({"image_size": 1}, "image size 1"),
        ({"temperature": 0}, "temperature"),
        ({"more": 1}, "more"),
    ],
)
def test_a_card_that_does_not_fit_the_weights_is_refused(folder_of, changes, said):
    resealed(folder_of, **changes)
    with pytest.raises(ExportError, match=said):
        ensembudget.load(folder_of)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_the_place_of_weights_is_not_run(folder_of, tmp_path):
    (folder_of / "ensemble.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    resealed(folder_of)
    with pytest.raises(ExportError, match="not a safetensors file"):
        ensembudget.load(folder_of)
    assert not (tmp_path / "ran").exists()


def test_a_link_out_of_the_folder_is_not_followed(folder_of, tmp_path):
    (folder_of / "ensemble.safetensors").rename(tmp_path / "elsewhere")
    (folder_of / "ensemble.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportError, match="is a link to a file outside its folder"):
        ensembudget.load(folder_of)


def test_a_format_that_is_not_there_or_could_run_code_is_refused(shipped):
    with pytest.raises(ExportError, match=r"has no format 'onnx'\. It has safetensors"):
        ensembudget.load(shipped.out, "onnx")
    with pytest.raises(ExportError, match="format 'torch' is not loaded, for a file of it can bring code"):
        ensembudget.load(shipped.out, "torch")


# Graphs.


@pytest.fixture(scope="module")
def graphs(shipped) -> Path:
    """All three formats; a minute."""
    out = shipped.root.parent / "graphs"
    said = shipped.export("--members", 2, "--format", "safetensors,torch,onnx", "--out", out)
    assert (said.code, "are trained again" in said.out) == (0, False)  # their weights are there now
    return out


@pytest.mark.slow
def test_every_format_gives_the_stored_numbers_at_every_batch(graphs, shipped, digits):
    import onnxruntime

    card, images = ensembudget.load(graphs).card, digits.arrays.test_inputs
    assert set(card.files) == {"safetensors", "torch", "onnx"}
    wanted = tempered(shipped.logits(), card.blueprint.temperature)
    program = torch.export.load(graphs / "ensemble.pt2").module()
    session = onnxruntime.InferenceSession(graphs / "ensemble.onnx")
    runs = {
        "torch": lambda some: program(torch.from_numpy(some))[0].numpy(),
        "onnx": lambda some: session.run(["probabilities"], {"images": some})[0],
        "loaded": lambda some: ensembudget.load(graphs, "onnx").predict(some).probabilities,
    }
    for name, run in runs.items():
        for count in (1, 3, 128, 797):
            assert np.abs(run(images[:count]) - wanted[:count]).max() < 1e-5, (name, count)


@pytest.mark.slow
def test_graphs_say_their_sizes_and_no_place_of_this_machine(graphs):
    card = ensembudget.load(graphs).card
    for file in card.files.values():
        content = (graphs / file.file).read_bytes()
        assert (file.file_bytes, file.sha256) == (len(content), sha256(content))
        # An optimiser may fold batch norm into a convolution, and a graph has a few constants.
        assert 0.9 < file.tensor_bytes / card.budget.bytes < 1.1
        assert file.tensor_bytes < file.file_bytes
    with zipfile.ZipFile(graphs / "ensemble.pt2") as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    contents.append((graphs / "ensemble.onnx").read_bytes())
    assert not [one for one in contents if str(ROOT).encode() in one or b"site-packages" in one]
