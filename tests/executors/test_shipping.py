"""What is sent to the nodes of a cluster: this package and the plug-ins of this machine, whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ensembudget
from ensembudget.executors._shipping import code_to_ship

LOOK = """
import ensembudget
from ensembudget.catalog import FAMILIES
print(ensembudget.__file__)
print(FAMILIES["tiny"], FAMILIES["alone"])
"""


def sources(package: Path) -> dict[str, bytes]:
    return {path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*.py")}


@pytest.fixture
def single(install, tmp_path):
    """A package with a family, and one whose family is a module of one file."""
    install("sent", families={"tiny": "family = 'a tiny family'"})
    install("other", families={})
    site = tmp_path / "site"
    (site / "lone.py").write_text("family = 'a module of one file'")
    (site / "other-1.0.dist-info" / "entry_points.txt").write_text("[ensembudget.families]\nalone = lone\n")
    sys.path_importer_cache.clear()


def test_the_package_and_plug_ins_are_found_where_they_are_sent(single):
    with code_to_ship() as code:
        assert sources(code / "ensembudget") == sources(Path(ensembudget.__file__).parent)
        assert not [*code.rglob("__pycache__")]
        env = {**os.environ, "PYTHONPATH": str(code)}
        done = subprocess.run(
            [sys.executable, "-c", LOOK], env=env, cwd=code.parent, capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines() == [
        str(code / "ensembudget" / "__init__.py"),
        "a tiny family a module of one file",
    ]
    assert not code.exists()


def test_a_plug_in_that_is_not_there_hinders_nobody(install):
    install("gone", families={"lost": None})
    with code_to_ship() as code:
        assert (code / "gone").is_dir()
    assert not code.exists()
