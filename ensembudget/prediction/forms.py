"""The forms that the law of a plane can have, and their priors.

Few widths cannot tell these forms apart, and beyond the widest they part: so a prediction averages over them.
"""

import re
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
ALONG_MEMBERS = Exponent(0.75, 0.4, np.geomspace(0.2, 2.5, 18))
# Variance falls as one over width (Geiger et al. 2020, arXiv:1901.01608): parameters to the power -0.5.
ALONG_WIDTH = Exponent(0.5, 0.4, np.geomspace(0.1, 2.5, 18))
# What grows with width: nothing is known of it but that it does.
GROWTH = Exponent(0.5, 0.8, np.geomspace(0.2, 1.6, 4))
# Where width stops helping, as a power of the widest: anywhere from the middle of the plane on.
LAST = Exponent(0.85, np.inf, np.linspace(0.5, 1.0, 6))
USUAL_GROWTH = (
    0.2  # of what grows with width, at the widest: half-normal prior, fraction of the range of CNLL
)


class Form(NamedTuple):
    """One form of the law.

    Attributes:
        formula: As people write it.
        exponents: The parameters in which it is not linear.
        terms: `terms(n, q, widest, *exponents)` are the terms that its coefficients multiply, the constant
            first; widest is the largest q that was measured.
        belief: Prior weight beside the other forms.
        letters: Of the coefficients in the formula, in the order of the terms.
        names: Of the exponents in the formula, in their order.
    """

    formula: str
    exponents: tuple[Exponent, ...]
    terms: Callable[..., Sequence[Array | float]]
    belief: float = 1.0
    letters: str = "cbde"
    names: tuple[str, ...] = ("alpha", "beta")

    @property
    def grid(self) -> Array:
        """Every combination of exponents, (node, exponent)."""
        return np.array(list(product(*(exponent.grid for exponent in self.exponents))))

    def surprise(self) -> Array:
        """How far each combination lies from the prior's centre, in standard deviations, (node, exponent)."""
        centres, spreads = (np.array([e[i] for e in self.exponents]) for i in (0, 1))
        found: Array = (np.log(self.grid) - np.log(centres)) / spreads
        return found

    def prior(self) -> Array:
        """Log probability of each combination of exponents, times the belief in the form, (node,)."""
        logs = -0.5 * (self.surprise() ** 2).sum(1)
        found: Array = logs - np.logaddexp.reduce(logs) + np.log(self.belief)
        return found

    def design(self, members: Array, q: Array, widest: float, exponents: Array) -> Array:
        """Terms at some places, (node, place, coefficient)."""
        terms = self.terms(members, q, widest, *exponents.T[..., None])
        shape = (len(exponents), len(members))
        return np.stack([np.broadcast_to(term, shape) for term in terms], -1)

    def written(self, coefficients: Array, exponents: Array) -> str:
        """The formula with numbers.

        Example:
            >>> INTERACTING.written(np.array([0.5, 0.3, 0.6, 0.1]), np.array([0.75, 0.5]))
            '0.5 + 0.3 n^-0.75 + 0.6 q^-0.50 + 0.1 n^-0.75 q^-0.50'
        """
        numbers = {letter: f"{x:.4g}" for letter, x in zip(self.letters, coefficients, strict=False)}
        numbers |= {name: f"{x:.2f}" for name, x in zip(self.names, exponents, strict=False)}
        return re.sub("[a-z]+", lambda word: numbers.get(word[0], word[0]), self.formula)


INTERACTING = Form(
    "c + b n^-alpha + d q^-beta + e n^-alpha q^-beta",
    (ALONG_MEMBERS, ALONG_WIDTH),
    lambda n, q, widest, a, b: (1.0, n**-a, q**-b, n**-a * q**-b),
    belief=4.0,
)
_FEWER = (
    ALONG_MEMBERS._replace(grid=np.geomspace(0.2, 2.5, 7)),
    ALONG_WIDTH._replace(grid=np.geomspace(0.1, 2.5, 7)),
)


def _growing(what: str, term: Callable[[Array, Array], Array], belief: float) -> Form:
    """The interacting form with a term that grows with width; `term(n^-alpha, growth)`."""
    return Form(
        f"{INTERACTING.formula} + g {what}",
        (*_FEWER, GROWTH),
        lambda n, q, widest, a, b, g: (
            *INTERACTING.terms(n, q, widest, a, b), USUAL_GROWTH * term(n**-a, (q / widest) ** g)
        ),
        belief,
        "cbdeg",
        ("alpha", "beta", "gamma"),
    )  # fmt: skip


GAINING = _growing("(q/widest)^gamma (n^-alpha - 1)", lambda along, grown: (along - 1) * grown, 1.0)
RISING = _growing("(q/widest)^gamma", lambda along, grown: grown, 0.5)
VARYING = _growing("n^-alpha (q/widest)^gamma", lambda along, grown: along * grown, 0.5)
STOPPING = Form(
    "c + b n^-alpha + (d + e n^-alpha) min(q, widest^last)^-beta",
    (*_FEWER, LAST),
    lambda n, q, widest, a, b, last: INTERACTING.terms(n, np.minimum(q, widest**last), widest, a, b),
    names=("alpha", "beta", "last"),
)
FORMS = (INTERACTING, GAINING, RISING, VARYING, STOPPING)
