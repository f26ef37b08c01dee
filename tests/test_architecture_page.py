"""docs/architecture.md has an example of every kind of part, and quotes what is run."""

import re
from pathlib import Path

import pytest

from ensembudget.catalog import CATALOGS
from helpers import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PLUGIN = ROOT / "examples" / "plugin"


def test_the_page_has_an_example_of_every_kind_of_part():
    rows = dict(re.findall(r"^\| (\w+) \| `\w+` \|.*\]\((.*)\) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(CATALOGS)
    files = {path.name for path in (PLUGIN / "ensembudget_example").glob("*.py")} - {"__init__.py"}
    assert {Path(target).name for target in rows.values()} == files


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", PAGE))
def test_every_link_of_the_page_leads_to_a_file(target):
    assert (ROOT / "docs" / target).exists()


def test_the_page_quotes_the_example_that_is_run():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code == (PLUGIN / "ensembudget_example" / "macs.py").read_text()
    (entry,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert entry in (PLUGIN / "pyproject.toml").read_text()
