"""Drift beyond the widest width, against SciPy and by counting; and the forms that a plane may show."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ensembudget.prediction.beyond import (
    DRIFTS,
    GAIN_DRIFT,
    MEMBERS_DRIFT,
    NOTHING,
    drifted,
    learnt,
    prior_of,
    steps_beyond,
)
from ensembudget.prediction.forms import FORMS, GAINING, INTERACTING, RISING, STOPPING, VARYING
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import WidthCurve, checked

from .planes import EACH, SIZES, WIDTHS, Law, errors, places, plane_of

N = np.array(SIZES, float)


def test_steps_are_counted_as_between_the_two_widest_and_doublings():
    plane = plane_of(Law())  # 12 and 16 are widest: a factor of 16/9 in parameters
    steps = steps_beyond(plane, *places((1, 16), (8, 4), (16, 12), (1, 32), (32, 64)))
    step = 2 * np.log(16 / 12)
    assert steps.width == pytest.approx([0, 0, 0, 2 * np.log(2) / step, 2 * np.log(4) / step])
    assert steps.members == pytest.approx([0, 0, 1, 0, 2])


@pytest.mark.parametrize("error", [0.0, 0.02, 0.1])
def test_a_held_out_column_is_one_observation_of_the_drift(error):
    prior = prior_of(plane_of(Law()))
    covariance, gain = errors(0.01, len(N)), 1 - N**-0.75
    found = learnt(prior, N, np.full(len(N), error), covariance)
    whole = [covariance + s**2 * (1 + GAIN_DRIFT**2 * np.outer(gain, gain)) for s in prior.scales]
    expected = prior.weights * [
        multivariate_normal(np.zeros(len(N)), c).pdf(np.full(len(N), error)) for c in whole
    ]
    assert found.weights == pytest.approx(expected / expected.sum())
    usual = sum(weight * np.diag(c) for weight, c in zip(prior.weights, whole, strict=True))
    assert found.far == pytest.approx(np.sqrt((error**2 / usual).mean()))


def test_a_larger_error_means_a_larger_drift():
    prior = prior_of(plane_of(Law()))
    typical = [learnt(prior, N, np.full(len(N), e), errors(0.01, len(N))).typical for e in (0, 0.05, 0.2)]
    assert typical[0] < prior.typical < typical[2]
    assert typical[0] < typical[1] < typical[2]


def test_nothing_drifts_within_a_plane_and_a_step_beyond_it_drifts_by_the_scale():
    plane = plane_of(Law())
    normal = np.random.default_rng(0).standard_normal((4, 20_000))
    for beyond in (prior_of(plane), NOTHING):
        drawn = drifted(plane, beyond, *places((1, 16), (8, 4), (1, 64 / 3), (4, 64 / 3), (32, 16)), normal)
        assert (drawn[:2] == 0).all()
        expected = [beyond.typical * (1 + (GAIN_DRIFT * (1 - n**-0.75)) ** 2) ** 0.5 for n in (1.0, 4.0)]
        assert drawn[2:4].std(1) == pytest.approx(expected, rel=0.03)
        assert drawn[4].std() == pytest.approx(2 * MEMBERS_DRIFT * np.ptp(plane.cnll), rel=0.03)


def test_the_prior_is_in_fractions_of_the_range():
    one, other = (prior_of(plane_of(Law(), times=times)) for times in (1.0, 7.0))
    assert other.scales == pytest.approx(7 * one.scales)
    assert len(one.scales) == len(DRIFTS)


# Forms.

Q = np.array([(k / WIDTHS[0]) ** 2 for k in WIDTHS])
PLANTED = {
    INTERACTING.formula: lambda n, q: 0.5 + 0.3 * n**-0.75 + (0.6 + 0.3 * n**-0.75) * q**-0.5,
    GAINING.formula: lambda n, q: 1.0 + 0.6 * q**-0.5 + 0.4 * (q / Q[-1]) ** 0.8 * (n**-0.75 - 1),
    RISING.formula: lambda n, q: 0.5 + 0.3 * n**-0.75 + 0.6 * q**-0.5 + 0.3 * (q / Q[-1]) ** 1.6,
    VARYING.formula: lambda n, q: 0.5 + 0.3 * n**-0.75 + 0.6 * q**-0.5 + 0.5 * n**-0.75 * (q / Q[-1]) ** 1.6,
    STOPPING.formula: lambda n, q: 0.5 + 0.3 * n**-0.75 + 0.9 * np.minimum(q, Q[-1] ** 0.6) ** -0.5,
}


def planted(formula):
    """A plane of one form, known to a thousandth of its range."""
    curves = [
        WidthCurve(k, EACH * k * k, N, PLANTED[formula](N, q), errors(0.001, len(N)))
        for k, q in zip(WIDTHS, Q, strict=True)
    ]
    return checked(curves, "plane")


@pytest.mark.parametrize("formula", PLANTED)
def test_a_form_that_is_planted_and_well_measured_is_the_likeliest(formula):
    shares = fit_plane(planted(formula)).shares
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=shares.get) == formula


@pytest.mark.parametrize("formula", PLANTED)
def test_one_step_beyond_each_planted_form_lies_in_the_interval(formula):
    found = fit_plane(planted(formula))
    drawn = found.draws(N, np.full(len(N), EACH * 21.0**2), count=500)
    truth = PLANTED[formula](N, (21 / WIDTHS[0]) ** 2)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
    assert ((low <= truth) & (truth <= high)).all()


def test_what_data_cannot_tell_apart_keeps_its_prior():
    plane = plane_of(Law(), (4, 6, 8), (1, 2), stderr=0.5)
    shares = fit_plane(plane).shares
    believed = sum(form.belief for form in FORMS)
    for form in FORMS:
        assert shares[form.formula] == pytest.approx(form.belief / believed, abs=0.12)


def test_a_law_is_written_with_its_numbers():
    assert STOPPING.written(np.array([0.5, 0.3, 0.6, 0.1]), np.array([0.75, 0.5, 0.8])) == (
        "0.5 + 0.3 n^-0.75 + (0.6 + 0.1 n^-0.75) min(q, widest^0.80)^-0.50"
    )
