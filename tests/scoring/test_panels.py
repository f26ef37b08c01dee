import numpy as np
import pytest
from torch.nn.functional import one_hot

from ensembudget.scoring.curves import Curves
from ensembudget.scoring.mixing import group_matrix, log_means, means_and_slopes
from ensembudget.scoring.panels import NODES, basis, bottoms, ends, inverse_at, panel_of, place_of

from . import oracle
from .draws import calibrated

INSIDE = np.linspace(0, NODES - 1, 40)


@pytest.mark.parametrize("degree", [0, 1, 5, NODES - 1])
def test_a_polynomial_of_the_nodes_degree_is_met_everywhere(degree):
    coefficients = np.random.default_rng(degree).normal(size=degree + 1)
    at_nodes = np.polynomial.chebyshev.chebval(np.linspace(-1, 1, NODES), coefficients)
    expected = np.polynomial.chebyshev.chebval(np.linspace(-1, 1, 40), coefficients)
    assert basis(INSIDE) @ at_nodes == pytest.approx(expected, abs=1e-12)


def test_at_a_node_only_its_own_value_counts():
    assert np.array_equal(basis(np.arange(NODES, dtype=float)), np.eye(NODES))


def test_panels_meet_at_their_ends_and_places_are_found_again():
    assert ends(3)[1] == ends(4)[0]
    assert panel_of(np.array([1.0, 1.5])).tolist() == [0, 2]
    assert place_of(inverse_at(INSIDE, -7), -7) == pytest.approx(INSIDE, abs=1e-12)
    assert set(panel_of(inverse_at(INSIDE[1:-1], -7)).tolist()) == {-7}


@pytest.mark.parametrize("panel", [-25, -3, 0, 4, 30])
@pytest.mark.parametrize("classes", [2, 10, 500])
@pytest.mark.parametrize("members", [1, 4])
def test_interpolated_losses_agree_with_direct_evaluation_between_the_nodes(panel, classes, members):
    logits, labels = calibrated(0, samples=50, classes=classes, members=members)
    logits += 4 * one_hot(labels, classes)  # so that classes compete about T = 1
    matrix = group_matrix(members, [slice(None)])
    at_nodes = np.stack([log_means(one, matrix)[0] for one in Curves(logits, labels).on(panel).values])
    found = basis(INSIDE) @ at_nodes
    for one, inverse in zip(found, inverse_at(INSIDE, panel), strict=True):
        expected = -oracle.tempered_losses(logits.numpy(), labels.numpy(), inverse)
        assert one == pytest.approx(expected, rel=1e-11, abs=1e-10)
        assert one.mean() == pytest.approx(expected.mean(), rel=1e-12, abs=1e-12)


def test_where_losses_stop_falling_is_exact():
    places = np.array([0.0, 0.3, 4.0, 7.77, NODES - 1.2])
    slopes = np.sinh((np.arange(NODES) - places[:, None]) / NODES)
    assert bottoms(slopes) == pytest.approx(places, abs=1e-12)


def test_what_only_falls_or_only_rises_has_its_bottom_at_an_end():
    rising = np.linspace(1.0, 2.0, NODES)
    assert bottoms(np.stack([rising, -rising, 0 * rising])).tolist() == [0, NODES - 1, 0]


def test_slopes_of_mixtures_are_those_of_a_complex_step():
    logits, labels = calibrated(1, samples=40, members=3)
    values, slopes = Curves(logits, labels).on(2)
    _, (found,) = means_and_slopes(values[0], slopes[0], group_matrix(3, [slice(None)]))
    losses = oracle.tempered_losses(logits.numpy(), labels.numpy(), ends(2)[0] + 1e-30j)
    assert found == pytest.approx(-losses.imag / 1e-30, rel=1e-10, abs=1e-12)
