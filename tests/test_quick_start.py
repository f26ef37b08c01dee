"""A command imports what it needs and no more, so that it answers at once."""

import resource
import subprocess
import sys

import pytest

from ensembudget.catalog import CATALOGS

LIGHT = {
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "sklearn",
    "timm",
    "torchvision",
    "pyarrow",
    "rich",
}
PLAN = "plan --family wide_resnet --depth 10 --dataset digits --budget 122k"


def imported_by(code: str) -> set[str]:
    """The modules that a fresh Python has after this code."""
    report = f"{code}\nimport sys\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def after_command(words: str) -> str:
    return f"from ensembudget.cli import main\ntry: main({words.split()})\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    "words", ["--help", "--version", *(f"ls {kind}" for kind in [*CATALOGS, "studies", "recipes", "fields"])]
)
def test_help_and_lists_import_nothing_heavy(words):
    assert not imported_by(after_command(words)) & LIGHT


def test_a_plan_imports_torch_and_nothing_else_that_is_heavy():
    assert imported_by(after_command(PLAN)) & LIGHT == {"torch", "numpy", "rich"}


def test_the_package_imports_nothing_heavy():
    assert not imported_by("import ensembudget") & LIGHT


def seconds_of(*words: str) -> float:
    """Seconds of a core that a fresh Python takes for these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.fixture(scope="module")
def torch_seconds() -> float:
    """What importing torch takes here: machines differ by a factor of four, this ratio does not."""
    return seconds_of("-c", "import torch")


@pytest.mark.parametrize(
    ("words", "share"), [("--help", 0.35), ("ls families", 0.35), ("ls studies", 0.35), (PLAN, 3.5)]
)
def test_a_command_takes_at_most_this_share_of_importing_torch(words, share, torch_seconds):
    assert seconds_of("-m", "ensembudget", *words.split()) < share * torch_seconds
