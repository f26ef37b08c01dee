"""Other ways to predict a plane: forms of the law that lost, and the papers' one law at a time."""

from collections.abc import Mapping, Sequence

import numpy as np

from ensembudget.arrays import Array
from ensembudget.laws._fit import curve, fit_points
from ensembudget.prediction import forms
from ensembudget.prediction.forms import ALONG_MEMBERS, ALONG_WIDTH, INTERACTING, Exponent, Form
from ensembudget.prediction.plane import Plane

SLOPE = Exponent(0.15, 0.7, np.geomspace(0.02, 1.5, 10))  # of the gain along width, by itself
DRIFT = Exponent(1.0, 0.1, np.linspace(0.85, 1.15, 9))  # of the exponent along members, per e-fold of width
MIXTURE = Exponent(0.75, 0.5, np.geomspace(0.1, 2.5, 26))  # how much a member is worth in parameters

AVERAGED = "averaged"  # over the forms that a prediction averages over
SINGLE: Mapping[str, Form] = {
    "interacting": INTERACTING,
    "additive": Form(
        "c + b n^-alpha + d q^-beta",
        (ALONG_MEMBERS, ALONG_WIDTH),
        lambda n, q, widest, a, b: (1.0, n**-a, q**-b),
    ),
    "separate": Form(
        "c + d q^-beta + b n^-alpha q^-gamma",
        (ALONG_MEMBERS, ALONG_WIDTH, SLOPE),
        lambda n, q, widest, a, b, g: (1.0, q**-b, n**-a * q**-g),
    ),
    "varying": Form(
        "c + d q^-beta + (b + e q^-beta) n^-(alpha q^drift)",
        (ALONG_MEMBERS, ALONG_WIDTH, DRIFT),
        lambda n, q, widest, a, b, d: (
            1.0,
            q**-b,
            n ** -(a * q ** np.log(d)),
            n ** -(a * q ** np.log(d)) * q**-b,
        ),
    ),
    "effective": Form(
        "c + d (q n^kappa)^-beta",
        (MIXTURE, ALONG_WIDTH),
        lambda n, q, widest, k, b: (1.0, (q * n**k) ** -b),
    ),
}
FORMS: Mapping[str, Sequence[Form]] = {AVERAGED: forms.FORMS} | {k: (form,) for k, form in SINGLE.items()}
PAPERS = "one at a time"


def one_at_a_time(plane: Plane, members: Array, parameters: Array) -> Array:
    """The papers' way: a law along n for each width, then one along width at each n; NaN where one refuses.

    Args:
        plane: What was measured.
        members: Of each ensemble, (place,).
        parameters: Of one member, (place,).
    """

    def at(size: float) -> Array:
        """CNLL of this size at every measured width, from the law where it was not measured."""
        found = []
        for column in plane.curves:
            seen = dict(zip(column.sizes, column.cnll, strict=True))
            law = fit_points(column.sizes, column.cnll)
            found.append(seen.get(size, curve(law, np.array([size]))[0] if law.reach else np.nan))
        return np.array(found)

    widths = np.array([float(curve.parameters) for curve in plane.curves])
    values = []
    for size, each in zip(members, parameters, strict=True):
        y = at(float(size))
        if each in widths:
            values.append(y[widths == each][0])
            continue
        good = np.isfinite(y)
        law = fit_points(widths[good], y[good])
        values.append(curve(law, np.array([each]))[0] if law.reach else np.nan)
    return np.array(values)
