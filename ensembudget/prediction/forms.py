"""Forms that the law of a plane can have, and what is believed of their exponents before the data."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ..arrays import Array


class Exponent(NamedTuple):
    """A log-normal prior of an exponent, on a grid."""

    centre: float
    spread: float  # standard deviation of its logarithm
    grid: Array


# CNLL along members is about n^-0.75 where theory has n^-1; a spread of 1.5 times either way.
ALONG_MEMBERS = Exponent(0.75, 0.4, np.geomspace(0.2, 2.5, 26))
# Variance falls as one over width (Geiger et al. 2020, arXiv:1901.01608): parameters to the power -0.5.
ALONG_WIDTH = Exponent(0.5, 0.4, np.geomspace(0.1, 2.5, 26))


class Form(NamedTuple):
    """One form of the law.

    Attributes:
        formula: As people write it.
        exponents: The parameters in which it is not linear.
        terms: `terms(n, q, *exponents)` are the terms that its coefficients multiply.
    """

    formula: str
    exponents: tuple[Exponent, ...]
    terms: Callable[..., Sequence[Array | float]]

    @property
    def grid(self) -> Array:
        """Every combination of exponents, (node, exponent)."""
        return np.array(list(product(*(exponent.grid for exponent in self.exponents))))

    def surprise(self) -> Array:
        """How far each combination lies from the prior's centre, in standard deviations, (node, exponent)."""
        centres, spreads = (np.array([e[i] for e in self.exponents]) for i in (0, 1))
        found: Array = (np.log(self.grid) - np.log(centres)) / spreads
        return found

    def design(self, members: Array, q: Array, exponents: Array) -> Array:
        """Terms at some places, (node, place, coefficient)."""
        terms = self.terms(members, q, *exponents.T[..., None])
        shape = (len(exponents), len(members))
        return np.stack([np.broadcast_to(term, shape) for term in terms], -1)


INTERACTING = Form(
    "c + b n^-alpha + d q^-beta + e n^-alpha q^-beta",
    (ALONG_MEMBERS, ALONG_WIDTH),
    lambda n, q, a, b: (1.0, n**-a, q**-b, n**-a * q**-b),
)
