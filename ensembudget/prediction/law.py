"""The law of CNLL over members and widths, fitted to a whole plane at once.

    CNLL(n, N) = c + b n^-alpha + d q^-beta + e n^-alpha q^-beta,    q = N / smallest N,

with N the parameters of one member and c, b, d, e >= 0, or one of the forms that a plane of few widths cannot
tell from it (`forms`). Predictions average over all, each as likely as the data make it.

The exponents lie on a grid; the coefficients are integrated out (REML), under the covariance of the
measured means. What the law leaves is modelled too: deviations within the plane (`scatter`), at scales that
the data choose, and drift beyond its widest width (`beyond`). Draws (`posterior`) perturb the data by the
members' noise and by deviations, fit the coefficients again, not below zero (`projection`), and condition
the deviations on the residuals. In the linear case these are exact draws from the posterior.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Array
from .beyond import NOTHING, Beyond, learnt, prior_of
from .forms import FORMS, Form
from .plane import LEAST_WIDTHS, Plane
from .posterior import Posterior
from .scatter import kernel, split_off

FAR = 2.5  # standard deviations from where the other widths expect a width: beyond it the width counts less
HELD = 300  # draws of a column that is held out
HONEST = 5  # at most one width in so many is doubted: fewer show no law to doubt it by


def fit_plane(plane: Plane, forms: Sequence[Form] = FORMS) -> Posterior:
    """The law of a plane; widths that lie far from where all others expect them count less.

    Args:
        plane: What was measured.
        forms: That the law may have.

    Example:
        >>> from .plane import WidthCurve, checked
        >>> n = np.array([1.0, 2, 4, 8])
        >>> def curve(k):
        ...     cnll = 0.5 + 0.3 * n**-0.75 + 0.9 * k**-1.0
        ...     return WidthCurve(k, k * k, n, cnll, np.zeros((4, 4)))
        >>> found = fit_plane(checked([curve(k) for k in (4, 6, 8, 12)], "plane"))
        >>> [round(float(x), 1) for x in found.law(np.array([32.0]), np.array([400.0]))]  # 0.567 in truth
        [0.6]
    """
    noise, beyond = plane.covariance, prior_of(plane)
    for _ in range(len(plane.curves) // HONEST):
        doubt = _doubt(Posterior(plane, forms, noise, beyond))
        if doubt is None:
            break
        noise = noise + doubt
    found = Posterior(plane, forms, noise, beyond)
    return replace(found, beyond=_held_out(found)) if len(plane.curves) > LEAST_WIDTHS else found


def _held_out(posterior: Posterior) -> Beyond:
    """The drift beyond the widest width, where the widest is predicted from the others."""
    plane, widest = posterior.plane, posterior.plane.curves[-1]
    rest = plane.parameters < widest.parameters
    less = replace(plane, curves=plane.curves[:-1])
    if not np.ptp(less.cnll):
        return posterior.beyond
    fitted = Posterior(less, (posterior.best.form,), posterior.noise[np.ix_(rest, rest)], NOTHING)
    drawn = fitted.draws(widest.sizes, np.full(len(widest.sizes), float(widest.parameters)), count=HELD)
    _, error = split_off(fitted.best.scatter, less)
    covariance = np.cov(drawn) + posterior.noise[np.ix_(~rest, ~rest)]
    covariance = np.atleast_2d(covariance) + error**2 * np.eye(len(widest.sizes))
    return learnt(posterior.beyond, widest.sizes, widest.cnll - drawn.mean(1), covariance)


def _doubt(posterior: Posterior) -> Array | None:
    """Noise that brings the farthest width within `FAR` of where the others expect it, (cell, cell).

    What a Gaussian expects of a block without it follows from the inverse covariance of the whole.
    """
    plane, scatter = posterior.plane, posterior.best.scatter
    left = plane.cnll - posterior.law(plane.members, plane.parameters)
    precision = np.linalg.inv(kernel(plane.members, plane.parameters, scatter) + posterior.noise)
    farthest, found = FAR, None
    for curve in plane.curves:
        cells = np.flatnonzero(plane.parameters == curve.parameters)
        block = np.ix_(cells, cells)
        variance = np.linalg.inv(precision[block])
        off = variance @ (precision @ left)[cells]
        far = float(np.sqrt(off @ np.linalg.solve(variance, off) / len(off)))
        if far > farthest:
            farthest, found = far, np.zeros_like(precision)
            found[block] = variance * ((far / FAR) ** 2 - 1)
    return found
