"""Every command of README and docs/ does what its page says: each page is run in its order, cut short.

The programs of a page, in Python, are run after its commands.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import helpers
from helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BRIEF = ["--epochs", "1", "--train-size", "60", "--limit", "2"]
OF_STUDIES = {"run", "report", "status", "tune", "export"}

MY_STUDY = """
name = "mine"
description = "a study of one's own"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 60
budget_kind = "bytes"
budgets = ["2MB"]
members = [1, 4]
pool = 4
replicates = 1
keep_weights = true

[recipe]
epochs = 1
batch_size = 32
crop_padding = 0
flip = false
"""

INTENTS = """
name = "intents"
description = "queries by intent"
family = "transformer"
dataset = "clinc150:clinc150"
validation_size = 3
budgets = ["250k"]
tolerance = 0.5
members = [1, 2]
"""

# In place of digits where a command needs pools, which a first look does not have.
BRIEF_DIGITS = (
    (ROOT / "ensembudget" / "studies" / "digits.toml")
    .read_text()
    .replace("epochs = 20", "epochs = 1")
    .replace("train_size = 400", "train_size = 60")
    .replace("replicates = 4\npool = 16", "replicates = 1\npool = 3")
)

# What these do is tested where it is said; here they would train for minutes.
ELSEWHERE = {
    "curves": "tests/test_curves_command.py: it needs the members of studies with six sizes",
    "make": "CI runs make",
    "pytest": "tests/test_benchmarks.py and tests/test_baselines.py run the benchmarks cut short",
    "python -m pytest tests/faults": "CI runs them",
    "python -m benchmarks.reliability": "tests/test_reliability_page.py",
    "python benchmarks/gpu.py": "tests/test_baselines.py",
    "python -m benchmarks.claims": "tests/test_claims.py",
    "run digits --device cuda": "it needs GPUs; tests/executors/test_devices.py plays them",
    "run my_study.toml --executor slurm:partition": "tests/executors/test_slurm.py plays Slurm's commands",
    "verify tables": "tests/bundling/test_published.py",
}

EXTRAS = {"slurm": "submitit"}  # executors, and the packages without which their commands cannot run


def commands_of(page: Path) -> list[str]:
    return re.findall(r"^\$ (.*?)(?: +#.*)?$", page.read_text(), re.MULTILINE)


def programs_of(page: Path) -> list[str]:
    """The whole programs in Python: those that import ensembudget themselves."""
    return re.findall(
        r"^```python\n(import ensembudget\n.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    )


def is_elsewhere(line: str) -> bool:
    return any(line.removeprefix("ensembudget ").startswith(name) for name in ELSEWHERE)


@pytest.fixture(scope="module")
def store(tmp_path_factory, cache) -> Path:
    """A store with brief members of the studies that pages speak of as run before."""
    folder = tmp_path_factory.mktemp("documented")
    study = folder / "my_study.toml"
    study.write_text(MY_STUDY)
    brief = folder / "brief.toml"
    brief.write_text(BRIEF_DIGITS)
    for name, flags in (("digits", BRIEF), (study, []), (brief, [])):
        said = helpers.command("run", name, "--store", folder / "store", "--executor", "serial", *flags)
        assert said.code == 0, said.err
    return folder / "store"


@pytest.fixture
def place(tmp_path, store, monkeypatch) -> Path:
    """A folder with all that pages take for given."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ENSEMBUDGET_STORE", raising=False)
    (folder / "store").symlink_to(store)
    (tmp_path / "other").mkdir()
    shutil.copytree(store, tmp_path / "other" / "store")
    for name in ("tables", "examples"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "my_study.toml").write_text(MY_STUDY)
    (folder / "part.toml").write_text(MY_STUDY.replace("members = [1, 4]", "members = [1]"))
    (folder / "brief.toml").write_text(BRIEF_DIGITS)
    write_texts(folder)
    draws = np.random.default_rng(0)
    for label, shade in (("bird", 40), ("cat", 120), ("ship", 200)):
        for number in range(30):
            pixels = draws.normal(shade, 30, (40, 36, 3)).clip(0, 255).astype(np.uint8)
            path = folder / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    for name in ("new.png", "bird.jpg"):
        Image.open(folder / "photos" / "bird" / "0.png").save(folder / name)
    (folder / "points.csv").write_text("width,cnll\n" + "".join(f"{w},{1 + 2 / w}\n" for w in (4, 8, 16, 32)))
    logits = draws.normal(size=(4, 60, 3)).astype(np.float32)
    labels = np.arange(60) % 3
    save_file({"logits": logits, "labels": labels}, folder / "pool.safetensors")
    np.save(folder / "pool.npy", np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    np.save(folder / "labels.npy", labels)
    return folder


def write_texts(folder: Path) -> None:
    """Small datasets of texts, and a study of one."""
    words = {"weather": "will it rain", "music": "play a song", "balance": "what have I left"}
    rows = [[f"{text} {number}", intent] for number in range(30) for intent, text in words.items()]
    for name in ("clinc150", "bible"):
        (folder / name).mkdir()
    queries = {"train": rows, "val": rows[:3], "test": rows[::7], "oos_test": [["who are you", "oos"]]}
    (folder / "clinc150" / "data_full.json").write_text(json.dumps(queries))
    for split in ("train", "test"):
        (folder / "bible" / f"{split}.es").write_text("la luz fue\nla tierra estaba vacia\n" * 20)
        (folder / "bible" / f"{split}.en").write_text("there was light\nthe earth was empty\n" * 20)
    (folder / "poems.txt").write_text("Shall I compare thee to a summer's day?\n" * 30)
    (folder / "intents.toml").write_text(INTENTS)


def outcome(words: list[str], folder: Path) -> tuple[int | str | None, str]:
    """How a command ended, and what it printed as an error."""
    program, *rest = words
    if program == "python":
        done = subprocess.run([sys.executable, *rest], cwd=folder, capture_output=True, text=True)
        return done.returncode, done.stderr
    if rest[0] == "export":
        shutil.rmtree(folder / "shipped", ignore_errors=True)  # of the command before
    if rest[0] in ("predict", "search"):
        rest = ["brief.toml" if word == "digits" else word for word in rest]
    is_brief = rest[0] not in OF_STUDIES or rest[1] in ("my_study.toml", "part.toml")
    said = helpers.command(*rest, *([] if is_brief else BRIEF))
    return said.code, said.err


@pytest.mark.slow
@pytest.mark.parametrize("page", [one for one in PAGES if commands_of(one)], ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, place):
    ran = [line for line in commands_of(page) if not is_elsewhere(line)]
    unrun = [line for line in ran if any(f"--executor {name}" in line and find_spec(package) is None
                                         for name, package in EXTRAS.items())]  # fmt: skip
    for line in ran:
        if line not in unrun:
            code, error = outcome(shlex.split(line), place)
            assert code == 0, f"{line}\n{error}"
    for program in programs_of(page):
        exec(compile(program, page.name, "exec"), {})
    if unrun:
        pytest.skip(f"an extra is not installed, so this was not run: {'; '.join(unrun)}")


def test_nothing_is_left_out_that_no_page_has():
    lines = [line for page in PAGES for line in commands_of(page)]
    for name in ELSEWHERE:
        assert any(line.removeprefix("ensembudget ").startswith(name) for line in lines), name
