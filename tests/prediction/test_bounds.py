"""A CNLL is never below zero, and neither is its interval."""

from types import SimpleNamespace

import numpy as np

from ensembudget.prediction.budgets import Budgeted, Candidate
from ensembudget.prediction.predict import predict

from .planes import Law, plane_of


def test_a_predicted_interval_ends_at_zero_and_gains_may_be_below():
    plane = plane_of(Law(), stderr=0.01)
    drawn = np.array([np.linspace(-0.02, 0.06, 1001), np.linspace(0.05, 0.15, 1001)])
    posterior = SimpleNamespace(
        plane=plane,
        draws=lambda members, parameters, seed: drawn,
        law=lambda members, parameters: plane.cnll,
        beyond=SimpleNamespace(far=0.0),
        falls_along_width=True,
    )
    width, parameters = plane.curves[0].width, plane.curves[0].parameters
    budgeted = Budgeted(2 * parameters, "parameters", [Candidate(n, width, parameters) for n in (1, 2)])
    (found,) = predict(posterior, [budgeted])
    first, second = found.splits
    assert (first.cnll.low, first.cnll.high) == (0.0, np.quantile(drawn[0], 0.95))
    assert second.cnll.low == np.quantile(drawn[1], 0.05)
    assert second.gain.low == np.quantile(drawn[0] - drawn[1], 0.05) < 0
