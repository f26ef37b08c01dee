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
        [[-0.0187, 0.112, 0.0802, 0.2085, -0.1083], [0.2007, 0.1644, -0.1526, -0.0545, 0.1585]],
        "ff90d84e570522c5",
    ),
    "vgg": (
        {"depth": 16, "batch_norm": True},
        0.25,
        [[-0.024, 0.0638, -0.0364, 0.1906, -0.1328], [-0.1422, 0.1453, -0.1671, 0.0665, 0.0095]],
        "421521b47345800b",
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
    assert TRAINING_ABI == 1
