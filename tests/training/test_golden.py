"""What a run trains to must not change unnoticed: when this fails, raise `TRAINING_ABI` in records.py.

A store keeps members under a key that names their run and the ABI. Code that trains the same run to
other logits under the same key would mix two meanings in one table.
"""

import numpy as np
import pytest

from ensembudget.records import TRAINING_ABI, Run
from ensembudget.training.loop import train

# First five logits of the first test image, two epochs on 100 digits, seeds 0 and 1; key of seed 0.
GOLDEN = {
    "wide_resnet": (
        {"depth": 10},
        0.0,
        [[0.0638, -0.013, 0.167, -0.3162, -0.0595], [0.0649, -0.1765, 0.1477, -0.065, -0.0655]],
        "40d5c1c0da76d3a2",
    ),
    "vgg": (
        {"depth": 16, "batch_norm": True},
        0.25,
        [[-0.0618, 0.1611, 0.0185, -0.1251, 0.2261], [-0.1521, 0.1543, 0.0264, 0.2507, 0.1566]],
        "60beadc0ef91b6bf",
    ),
}


@pytest.mark.parametrize("family", GOLDEN)
def test_the_same_run_still_trains_to_the_same_logits(make_cell, digits, family):
    options, dropout, expected, key = GOLDEN[family]
    cell = make_cell(family=family, options=options, learning_rate=0.02, dropout=dropout)
    runs = [Run(cell=cell, seed=seed) for seed in (0, 1)]
    found = [one.test_logits[0, :5] for one in train(runs, digits)]
    # Other processors round otherwise; another meaning differs in the first digit.
    assert np.array(found) == pytest.approx(np.array(expected), abs=2e-3)
    assert runs[0].key.startswith(key)
    assert TRAINING_ABI == 2
