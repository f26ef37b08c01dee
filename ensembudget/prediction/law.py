"""One law of CNLL over members and widths, fitted to a whole plane at once.

    CNLL(n, N) = c + b n^-alpha + d q^-beta + e n^-alpha q^-beta,    q = N / smallest N,

with N the parameters of one member and c, b, d, e >= 0. Of five forms it has, with one that has more
exponents, the smallest held-out error (`benchmarks/test_prediction.py`).

The exponents lie on a grid, and for each the coefficients follow by non-negative least squares, weighted by
the covariance of the measured means (`projection`). What the law leaves is modelled too (`scatter`), at
scales that the data choose (REML). Uncertainty is by resampling (`posterior`): the members' noise, the
deviations and the prior of the exponents are drawn, the law is fitted again, and the deviations are
conditioned on the residuals. In the linear case these are exact draws from the posterior.
"""

import numpy as np

from ..arrays import Array
from .forms import INTERACTING, Form
from .plane import Plane
from .posterior import Posterior
from .scatter import kernel

FAR = 2.5  # standard deviations from where the other widths expect a width: beyond it the width counts less
HONEST = 5  # at most one width in so many is doubted: fewer show no law to doubt it by


def fit_plane(plane: Plane, form: Form = INTERACTING) -> Posterior:
    """The law of a plane; widths that lie far from where all others expect them count less.

    Args:
        plane: What was measured.
        form: The law's.

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
    noise = plane.covariance
    for _ in range(len(plane.curves) // HONEST):
        doubt = _doubt(Posterior(plane, form, noise))
        if doubt is None:
            break
        noise = noise + doubt
    return Posterior(plane, form, noise)


def _doubt(posterior: Posterior) -> Array | None:
    """Noise that brings the farthest width within `FAR` of where the others expect it, (cell, cell).

    What a Gaussian expects of a block without it follows from the inverse covariance of the whole.
    """
    plane, (scatter, _) = posterior.plane, posterior.best
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
