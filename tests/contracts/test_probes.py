"""What every probe keeps: groups that fit the pool, findings that repeat, progress up to the end."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.catalog import PROBES
from ensembudget.landscape.site import site_of
from ensembudget.records import Run, Stepping
from ensembudget.training.loop import train
from helpers import ROOT

# As short as they can be.
QUICK = {"epochs": 1, "points": 3, "segments": 2, "dimension": 5, "directions": 2}


def options_of(name):
    options = PROBES[name].options
    return {**options, **{field: value for field, value in QUICK.items() if field in options}}


@pytest.fixture(scope="module")
def trained(make_cell, digits):
    runs = [Run(cell=make_cell(width=2, epochs=1), seed=seed) for seed in range(3)]
    return train(runs, digits, stepping=Stepping(pack=3), keep_weights=True)


@pytest.mark.parametrize("name", list(PROBES))
@given(pool=st.integers(0, 40))
def test_groups_lie_in_the_pool_and_share_no_member(name, pool):
    options = PROBES[name].options
    groups = PROBES[name].groups(pool, options)
    members = [member for group in groups for member in group]
    assert len(set(members)) == len(members)
    assert all(0 <= member < pool for member in members)


@pytest.mark.parametrize("name", list(PROBES))
def test_a_pool_of_as_many_as_it_needs_gives_all_groups_and_no_smaller_does(name):
    probe = PROBES[name]
    needs = probe.needs(probe.options)
    whole = probe.groups(needs, probe.options)
    assert whole
    assert len(probe.groups(needs - 1, probe.options)) < len(whole)


@pytest.mark.parametrize("name", list(PROBES))
def test_its_defaults_can_be_measured(name):
    assert PROBES[name].fault(PROBES[name].options, 10_000) is None


@pytest.mark.parametrize("name", [name for name in PROBES if not PROBES[name].tasks])
def test_the_same_probe_finds_the_same_and_reports_its_progress(name, trained, digits):
    probe, options = PROBES[name], options_of(name)
    group = probe.groups(len(trained), options)[0]
    shares, found = [], []
    for _ in range(2):
        weights = [trained[member].weights for member in group]
        site = site_of(trained[0].run.cell, digits, weights, "a" * 64)
        shares = []
        found.append(probe.measure(site, options, shares.append))
    assert found[0] == found[1]
    assert found[0].points
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[-1] >= 0.9


def test_the_page_lists_every_probe_with_its_options_and_defaults():
    lines = (ROOT / "docs" / "landscape.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    found = {name.strip("`"): dict(re.findall(r"`(\w+) = ([^`]+)`", options)) for name, _, options in rows}
    assert set(found) == set(PROBES)
    for name, options in found.items():
        assert {field: tomllib.loads(f"x = {value}")["x"] for field, value in options.items()} == dict(
            PROBES[name].options
        )
