"""Parts are found by file name and by entry point, and a broken plug-in stands in nobody's way."""

import pytest

from ensembudget.budgets._parse import parse_budget
from ensembudget.catalog import CATALOGS, FAMILIES, LAWS, Catalog
from ensembudget.cli import main
from ensembudget.errors import StudyError, UnknownPartError
from ensembudget.families._build import describe
from ensembudget.records import Task
from ensembudget.stepping.axes import axes
from ensembudget.studies import parse
from ensembudget.timm import register

FAMILY = '''
    """One linear layer."""

    from torch import nn

    from ensembudget.families._base import Family

    def build(width, task, members):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(task.classes))

    family = Family(build)
'''

BROKEN = '''
    """A part that needs what is not there."""

    import a_library_that_is_not_installed
'''


STUDY = """
name = "broken"
description = "of parts that cannot be imported"
family = "broken"
dataset = "digits"
budget_kind = "broken"
budgets = ["10k", "20k"]
"""


def listed(capsys, what):
    assert main(["ls", what]) == 0
    return dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=list(CATALOGS))
def test_every_part_of_ours_can_be_used_and_says_in_a_line_what_it_is(catalog):
    assert catalog.usable().keys() == set(catalog)
    for name in catalog:
        assert catalog.fault(name) is None
        assert catalog.summary(name)


def test_a_part_of_another_package_is_found_and_listed_beside_ours(install, capsys):
    install("other", families={"flat": FAMILY})
    assert "flat" in FAMILIES
    assert FAMILIES["flat"].build is FAMILIES.usable()["flat"].build
    assert FAMILIES.source("flat").package == "other"
    found = listed(capsys, "families")
    assert found["flat"] == "One linear layer."
    assert found["vgg"] == FAMILIES.summary("vgg")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "ModuleNotFoundError: No module named"),
        (BROKEN, "ModuleNotFoundError: No module named 'a_library_that_is_not_installed'"),
        ("family = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ('"""Empty."""', "does not define 'family'"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_stands_in_nobodys_way(install, capsys, source, reason):
    install("other", families={"broken": source, "flat": FAMILY})
    found = listed(capsys, "families")
    assert found["broken"].startswith("family 'broken' cannot be used: 'other.families_broken'")
    assert reason in found["broken"]
    assert found["flat"] == "One linear layer."
    assert "vgg" in found
    assert "broken" not in FAMILIES.usable()
    with pytest.raises(UnknownPartError, match="of package 'other'") as caught:
        FAMILIES["broken"]
    assert reason in str(caught.value)
    assert describe("vgg", 1, Task(2, 1, 8))
    assert main(["plan", "--family", "vgg", "--dataset", "digits", "--budget", "100k"]) == 0
    register()


def test_a_study_of_a_broken_family_and_a_broken_budget_kind_has_two_faults(install):
    install("other", families={"broken": BROKEN}, budgets={"broken": BROKEN})
    with pytest.raises(StudyError, match="has 2 faults") as caught:
        parse(STUDY, "broken")
    assert "family: family 'broken' cannot be used" in str(caught.value)
    assert "budget_kind: budget 'broken' cannot be used" in str(caught.value)


def test_a_broken_way_to_step_breaks_no_other(install):
    install("other", ways={"broken": BROKEN})
    assert {"way": "grouped"} in [choice for axis in axes("cuda", 4) for choice in axis]


def test_a_broken_budget_kind_breaks_no_other(install):
    install("other", budgets={"broken": BROKEN})
    assert parse_budget("40MB") == (40_000_000, "bytes")


def test_two_packages_with_one_name_are_told_and_neither_is_used(install, capsys):
    install("first", families={"flat": FAMILY})
    install("second", families={"flat": FAMILY})
    found = listed(capsys, "families")
    words = ("'first.families_flat' of package 'first'", "'second.families_flat' of package 'second'")
    assert all(word in found["flat"] for word in words)
    with pytest.raises(UnknownPartError, match="have the same name"):
        FAMILIES["flat"]
    assert "flat" not in FAMILIES.usable()


def test_a_plugin_with_the_name_of_one_of_ours_is_told(install):
    install("other", families={"vgg": FAMILY})
    with pytest.raises(UnknownPartError, match=r"ensembudget.families.vgg' and 'other.families_vgg'"):
        FAMILIES["vgg"]
    assert "vgg" not in FAMILIES.usable()
    assert "convnet" in FAMILIES.usable()


def test_a_plugin_that_is_gone_is_forgotten(install):
    assert "flat" not in FAMILIES


def test_a_misspelt_part_is_refused_with_the_one_meant():
    with pytest.raises(UnknownPartError, match=r"no law 'power_low'\. Did you mean 'power_law'\? Known:"):
        LAWS["power_low"]


def test_a_kind_is_the_last_word_of_its_folder():
    assert Catalog("stepping/ways", "way").kind == "ways"
