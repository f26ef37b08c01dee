"""Members of a tiny cell with their weights, and the site at them."""

import pytest

from ensembudget.landscape.site import site_of
from ensembudget.records import Run, Stepping
from ensembudget.training.loop import train

KEY = "a" * 64


@pytest.fixture(scope="session")
def trained(make_cell, digits):
    """Four members that were trained for a few epochs."""
    runs = [Run(cell=make_cell(epochs=4), seed=seed) for seed in range(4)]
    return train(runs, digits, stepping=Stepping(pack=4), keep_weights=True)


@pytest.fixture(scope="session")
def make_site(trained, digits):
    """`make_site(2)` is the site at the first two members."""
    return lambda count: site_of(trained[0].run.cell, digits, [one.weights for one in trained[:count]], KEY)
