"""Cycles of the learning rate: their rates in closed form, and one cycle is the cosine schedule."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.methods.snapshots import ends, rate
from ensembudget.records import Recipe, Run
from ensembudget.training.loop import train

from .runs import runs_of


@given(st.integers(1, 300), st.data())
def test_cycles_are_as_even_as_whole_epochs_allow(epochs, data):
    cycles = data.draw(st.integers(1, epochs))
    found = ends(epochs, cycles)
    lengths = np.diff([0, *found])
    assert (len(found), found[-1]) == (cycles, epochs)
    assert lengths.min() >= 1
    assert lengths.max() - lengths.min() <= 1


@pytest.mark.parametrize(("epochs", "cycles"), [(12, 3), (40, 8), (5, 5), (9, 1)])
def test_rates_are_those_of_the_paper_where_cycles_are_even(epochs, cycles):
    """Huang et al. 2017, equation 2, with epochs in place of iterations, counted from 1."""
    recipe, length = Recipe(epochs=epochs, learning_rate=0.1, weight_decay=0.0), math.ceil(epochs / cycles)
    for t in range(1, epochs + 1):
        wanted = (math.cos(math.pi * ((t - 1) % length) / length) + 1) / 2
        assert rate(recipe, {"predictors": cycles}, t - 1, 0.3) == pytest.approx(wanted)


def test_one_cycle_is_a_network_trained_by_the_schedule_cosine(make_cell, digits):
    cell = make_cell(epochs=3)
    cosine = make_cell(epochs=3, schedule="cosine")
    found = train(runs_of(cell, "snapshots", predictors=1), digits, keep_weights=True)
    alone = train([Run(cell=cosine, seed=seed) for seed in (0, 1)], digits, keep_weights=True)
    for one, other in zip(found, alone, strict=True):
        assert np.array_equal(one.test_logits, other.test_logits)
        assert np.array_equal(one.train_loss, other.train_loss)
        assert one.unit is None
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in other.weights)
