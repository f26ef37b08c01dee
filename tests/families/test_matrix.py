"""README's matrix of families and tasks is current, and every cell of it is true."""

import re
import subprocess
import sys

import pytest

from ensembudget.catalog import FAMILIES, TASKS
from ensembudget.errors import PlanError
from ensembudget.families._base import Family
from ensembudget.families._build import describe, resolve_options
from ensembudget.families._matrix import matrix, renewed
from helpers import ROOT

README = (ROOT / "README.md").read_text()
HEAD, _, *ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in matrix().splitlines()]
CELLS = {
    (row[0].split("`")[1], kind): cell for row in ROWS for kind, cell in zip(HEAD[1:], row[1:], strict=True)
}


def test_readme_has_the_matrix_of_today():
    """`python -m ensembudget.families._matrix README.md` writes it."""
    assert renewed(README) == README


def test_the_matrix_has_every_family_and_every_task():
    assert set(CELLS) == {(family, kind) for family in (*FAMILIES, "timm:NAME") for kind in TASKS}


def test_a_timm_model_does_what_its_row_says():
    does = {kind for (family, kind), cell in CELLS.items() if family == "timm:NAME" and cell == "yes"}
    assert does == FAMILIES["timm:resnet18"].tasks


@pytest.mark.parametrize(("family", "kind"), [cell for cell in CELLS if cell[0] in FAMILIES])
def test_a_family_can_be_built_for_the_tasks_that_it_does_and_no_others(family, kind):
    def build():
        width = FAMILIES[family].multiple_of(resolve_options(family, {}))
        return describe(family, width, TASKS[kind].smallest)

    if CELLS[family, kind] == "yes":
        task = TASKS[kind].smallest
        logits = build().eval()(TASKS[kind].example(task))
        positions = (task.length - task.source,) if TASKS[kind].positions else ()
        assert logits.shape == (1, *positions, task.classes)
    else:
        assert CELLS[family, kind] == ""
        with pytest.raises(PlanError, match=f"'{family}' does .*asks for {kind}"):
            build()


def test_parts_of_this_machines_plug_ins_are_not_in_it(plug_in):
    before = matrix()
    plug_in("families", "mine", family=Family(lambda width, task, members: None))
    plug_in("tasks", "my_task", task=TASKS["images"])
    assert matrix() == before
    assert "mine" in FAMILIES


def test_a_page_that_is_out_of_date_is_renewed_in_its_place(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(README.replace("| yes |", "| no |").replace("`vgg`", "`gone`"))
    subprocess.run([sys.executable, "-m", "ensembudget.families._matrix", page], check=True, cwd=ROOT)
    assert page.read_text() == README
    with pytest.raises(ValueError, match="no place"):
        renewed(re.sub("<!-- end.*?-->", "", README))
