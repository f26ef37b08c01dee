"""Laws fitted to a plane, and the uncertainty about them.

Sources: law and deviations, Kennedy & O'Hagan 2001; draws by refitting perturbed data, Bardsley et al. 2014
(randomise, then optimise); pathwise conditioning (Matheron's rule), Wilson et al. 2021, arXiv:2011.04026;
averaging over forms by their marginal likelihood, Hoeting et al. 1999.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from ..arrays import Array, Integers, covariance_root
from ..threads import blas_threads
from .beyond import Beyond, drifted
from .forms import Form
from .plane import Plane
from .projection import nonnegative
from .scatter import Scatter, kernel, scatters_of, split_off

DRAWS = 1000
UNLIKELY = 0.002  # a form at a scale of deviations that is less likely than this is left out


class Likeliest(NamedTuple):
    """The likeliest law: its form, exponents and coefficients, and the scales of deviations from it."""

    form: Form
    exponents: Array
    coefficients: Array
    scatter: Scatter


class _At(NamedTuple):
    """One form at one scale of deviations, fitted at every node of its exponents."""

    form: Form
    scatter: Scatter
    factor: Array  # that whitens the cells, (cell, cell)
    design: Array  # whitened, (node, cell, coefficient)
    gram: Array  # with the prior of the coefficients, (node, coefficient, coefficient)
    logs: Array  # marginal likelihood times prior, (node,)


@dataclass(frozen=True)
class Posterior:
    """Laws of some forms fitted to a plane, with what is not known about them.

    Attributes:
        plane: What was measured.
        forms: That the law may have.
        noise: Covariance of the measurements, (cell, cell), larger for widths that are doubted.
        beyond: How far CNLL may drift beyond the widest width.
    """

    plane: Plane
    forms: Sequence[Form]
    noise: Array
    beyond: Beyond

    def _q(self, parameters: Array) -> Array:
        found: Array = parameters / self.plane.parameters.min()
        return found

    def _design(self, form: Form, members: Array, parameters: Array, exponents: Array) -> Array:
        widest = float(self._q(self.plane.parameters).max())
        return form.design(members, self._q(parameters), widest, exponents)

    @cached_property
    def _precision(self) -> float:
        """Of a coefficient: its prior is a half-normal of the range of CNLL; the constant's is flat."""
        return float(np.ptp(self.plane.cnll)) ** -2

    @property
    def doubted(self) -> list[int]:
        """Widths that lie far from where all others expect them, and count less."""
        more = np.diag(self.noise) > np.diag(self.plane.covariance)
        return sorted({
            curve.width
            for curve in self.plane.curves
            if more[self.plane.parameters == curve.parameters].any()
        })  # fmt: skip

    @cached_property
    @blas_threads(1)  # matrices are small: on busy cores, waiting threads made fits eight times as slow
    def _fits(self) -> list[tuple[_At, Array]]:
        """Forms at scales of deviations, each with the probability of its nodes."""
        plane = self.plane
        designs = [self._design(form, plane.members, plane.parameters, form.grid) for form in self.forms]
        found = []
        for scatter, belief in scatters_of(plane):
            factor = np.asarray(np.linalg.cholesky(self._kernel(scatter) + self.noise))
            found += [
                self._fit(form, scatter, factor, design, belief)
                for form, design in zip(self.forms, designs, strict=True)
            ]
        total = np.logaddexp.reduce([np.logaddexp.reduce(at.logs) for at in found])
        shares = [np.exp(at.logs - total) for at in found]
        kept = [(at, share) for at, share in zip(found, shares, strict=True) if share.sum() >= UNLIKELY]
        whole = sum(share.sum() for _, share in kept)
        return [(at, share / whole) for at, share in kept]

    def _kernel(self, scatter: Scatter) -> Array:
        return kernel(self.plane.members, self.plane.parameters, scatter)

    def _fit(self, form: Form, scatter: Scatter, factor: Array, design: Array, belief: float) -> _At:
        """REML over the coefficients: they are integrated out, as if none were at its bound."""
        white = _whiten(factor, design.transpose(1, 0, 2)).transpose(1, 0, 2)
        y = _whiten(factor, self.plane.cnll[:, None])[:, 0]
        gram = np.einsum("gpc,gpd->gcd", white, white)
        free = np.arange(1, gram.shape[1])
        gram[:, free, free] += self._precision
        _, gained = nonnegative(gram, y @ white)
        _, freedom = np.linalg.slogdet(gram)
        logs = -0.5 * (y @ y - gained + freedom - len(free) * np.log(self._precision))
        logs += form.prior() + belief - np.log(np.diag(factor)).sum()
        return _At(form, scatter, factor, white, gram, logs)

    @cached_property
    def best(self) -> Likeliest:
        """The likeliest law."""
        at, shares = max(self._fits, key=lambda one: float(one[1].max()))
        node = int(shares.argmax())
        white, gram = at.design[node], at.gram[node]
        y = _whiten(at.factor, self.plane.cnll[:, None])[:, 0]
        coefficients, _ = nonnegative(gram[None], (y @ white)[None])
        return Likeliest(at.form, at.form.grid[node], coefficients[0], at.scatter)

    @property
    def shares(self) -> dict[str, float]:
        """How likely each form is, by its formula."""
        found = dict.fromkeys((form.formula for form in self.forms), 0.0)
        for at, shares in self._fits:
            found[at.form.formula] += float(shares.sum())
        return found

    def law(self, members: Array, parameters: Array) -> Array:
        """The likeliest law, without deviations, at some places.

        Args:
            members: Of each ensemble, (place,).
            parameters: Of one member, (place,).

        Returns:
            CNLL in nats per sample, (place,).
        """
        design = self._design(self.best.form, members, parameters, self.best.exponents[None])
        found: Array = design[0] @ self.best.coefficients
        return found

    @property
    def falls_along_width(self) -> bool:
        """Whether, by the law, single members improve from the narrowest width to the widest."""
        ends = np.array([self.plane.parameters.min(), self.plane.parameters.max()])
        narrow, wide = self.law(np.ones(2), ends)
        return bool(wide < narrow)

    @blas_threads(1)
    def draws(self, members: Array, parameters: Array, *, count: int = DRAWS, seed: int = 0) -> Array:
        """What the expected CNLL may be, over members, at all places together.

        Args:
            members: Of each ensemble, (place,).
            parameters: Of one member, (place,).
            count: How many draws.
            seed: Of the draws.

        Returns:
            Nats per sample, (place, draw).
        """
        rng = np.random.default_rng(seed)
        weights = np.array([shares.sum() for _, shares in self._fits])
        numbers = rng.multinomial(count, weights / weights.sum())  # their sum may exceed 1 by rounding
        parts = []
        for (at, shares), some in zip(self._fits, numbers, strict=True):
            if some:
                nodes = rng.choice(len(shares), size=int(some), p=shares / shares.sum())
                parts.append(self._draws(at, nodes, members, parameters, rng))
        drawn = np.concatenate(parts, 1)[:, rng.permutation(count)]
        return drawn + drifted(self.plane, self.beyond, members, parameters, rng.standard_normal((4, count)))

    def _draws(
        self, at: _At, nodes: Integers, members: Array, parameters: Array, rng: np.random.Generator
    ) -> Array:
        cells, plane, count = len(self.plane.cnll), self.plane, len(nodes)
        true, error = split_off(at.scatter, plane)
        near = kernel(np.append(plane.members, members), np.append(plane.parameters, parameters), true)
        deviations = covariance_root(near) @ rng.standard_normal((len(near), count))
        noise = covariance_root(self.noise + error**2 * np.eye(cells)) @ rng.standard_normal((cells, count))
        y = plane.cnll[:, None] - deviations[:cells] - noise
        right = np.einsum("dpc,pd->dc", at.design[nodes], _whiten(at.factor, y))
        right[:, 1:] += self._precision**0.5 * rng.standard_normal((count, right.shape[1] - 1))
        coefficients, _ = nonnegative(at.gram[nodes], right)
        exponents = at.form.grid[nodes]

        def law(members: Array, parameters: Array) -> Array:
            design = self._design(at.form, members, parameters, exponents)
            found: Array = np.einsum("dpc,dc->pd", design, coefficients)
            return found

        left = _whiten(at.factor, y - law(plane.members, plane.parameters))
        solved = solve_triangular(at.factor, left, lower=True, trans="T")
        found: Array = law(members, parameters) + deviations[cells:] + near[cells:, :cells] @ solved
        return found


def _whiten(factor: Array, values: Array) -> Array:
    """A triangular factor's inverse times (point, ...)."""
    flat = solve_triangular(factor, values.reshape(len(values), -1), lower=True)
    found: Array = flat.reshape(values.shape)
    return found
