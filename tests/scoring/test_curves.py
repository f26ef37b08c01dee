import numpy as np
import pytest
import torch

from ensembudget.scoring import blocks
from ensembudget.scoring.curves import Curves
from ensembudget.scoring.panels import NODES, ends

from . import oracle
from .draws import calibrated


def direct(logits, labels, inverse):
    """Log-probability of every member and sample by the oracle."""
    tempered = oracle.log_softmax(inverse * logits.numpy())
    return tempered[:, np.arange(len(labels)), labels.numpy()]


@pytest.mark.parametrize("inverse", [1e-3, 0.3, 1.0, 7.0, 1e3])
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_curves_are_the_log_probabilities_of_the_labels(inverse, scale):
    logits, labels = calibrated(0, samples=40, members=3)
    found = Curves(scale * logits, labels).at(np.array([inverse, 1.0]))
    assert found.shape == (2, 3, 40)
    assert found[0] == pytest.approx(direct(scale * logits, labels, inverse), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("panel", [-30, -7, -1, 0, 5, 20])
def test_a_table_agrees_with_direct_evaluation_at_its_nodes(panel):
    logits, labels = calibrated(1, samples=40, members=3)
    curves = Curves(logits, labels)
    values, slopes = curves.on(panel)
    for node, inverse in enumerate(np.linspace(*ends(panel), NODES)):
        assert values[node] == pytest.approx(direct(logits, labels, inverse), rel=1e-12, abs=1e-12)
        tilted = direct(logits, labels, inverse + 1e-30j).imag / 1e-30
        assert slopes[node] == pytest.approx(tilted, rel=1e-10, abs=1e-10)
    assert np.array_equal(curves.values_on(panel), values)


@pytest.mark.parametrize("numbers", [1, 10, 47, 10_000])
def test_curves_do_not_depend_on_how_much_is_handled_at_one_time(numbers, monkeypatch):
    logits, labels = calibrated(2, samples=23, members=3)
    whole = Curves(logits, labels).on(0)
    monkeypatch.setattr(blocks, "AT_ONCE", numbers)
    for one, other in zip(Curves(logits, labels).on(0), whole, strict=True):
        assert one == pytest.approx(other, abs=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_curves_are_computed_in_float64_whatever_logits_are_stored_in(dtype):
    logits, labels = calibrated(3, samples=20)
    stored = logits.to(dtype)
    assert np.array_equal(Curves(stored, labels).on(0), Curves(stored.double(), labels).on(0))
