"""A law fitted to a plane, and everything that the data leave open about it.

Sources: law and deviations, Kennedy & O'Hagan 2001; draws by refitting perturbed data, Bardsley et al. 2014
(randomise, then optimise); pathwise conditioning (Matheron's rule), Wilson et al. 2021, arXiv:2011.04026.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from ..arrays import Array
from ..threads import blas_threads
from .forms import Form
from .plane import Plane
from .projection import Fitted, project
from .scatter import Scatter, kernel, scatters_of, split_off

DRAWS = 1000
UNLIKELY = 0.01  # scales of deviations less likely than this are left out


class _At(NamedTuple):
    """The plane at one scale of deviations: the factor that whitens it, and its whitened design."""

    scatter: Scatter
    factor: Array
    design: Array  # (node, cell, coefficient)


@dataclass(frozen=True)
class Posterior:
    """A law fitted to a plane, with what is not known about it.

    Attributes:
        plane: What was measured.
        form: The law's.
        noise: Covariance of the measurements, (cell, cell), larger for widths that are doubted.
    """

    plane: Plane
    form: Form
    noise: Array

    @cached_property
    def _design(self) -> Array:
        """Of the measured cells at every node, (node, cell, coefficient)."""
        return self.form.design(self.plane.members, self._q(self.plane.parameters), self.form.grid)

    def _q(self, parameters: Array) -> Array:
        found: Array = parameters / self.plane.parameters.min()
        return found

    def _at(self, scatter: Scatter) -> _At:
        covariance = kernel(self.plane.members, self.plane.parameters, scatter) + self.noise
        factor: Array = np.asarray(np.linalg.cholesky(covariance))
        return _At(scatter, factor, _whiten(factor, self._design.transpose(1, 0, 2)).transpose(1, 0, 2))

    def _refit(self, at: _At, y: Array, moved: Array) -> Fitted:
        """The law of each data set, (cell, draw), with priors moved by (exponent, draw) deviations."""
        penalty = ((self.form.surprise()[:, :, None] - moved) ** 2).sum(1)
        return project(at.design, _whiten(at.factor, y), penalty)

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
    def _scatters(self) -> list[tuple[_At, Fitted, float]]:
        """Scales of deviations, with the law at them and their probability (REML)."""
        y, still = self.plane.cnll[:, None], np.zeros((len(self.form.exponents), 1))
        found, logs = [], []
        for scatter, belief in scatters_of(self.plane):
            at = self._at(scatter)
            fitted = self._refit(at, y, still)
            terms = at.design[fitted.node[0]][:, fitted.coefficients[0] > 0]
            _, freedom = np.linalg.slogdet(terms.T @ terms)
            found.append((at, fitted))
            logs.append(belief - np.log(np.diag(at.factor)).sum() - 0.5 * fitted.loss[0] - 0.5 * freedom)
        shares = np.exp(np.array(logs) - max(logs))
        kept = shares >= UNLIKELY * shares.sum()
        total = shares[kept].sum()
        return [(*one, float(share / total)) for one, share, k in zip(found, shares, kept, strict=True) if k]

    @cached_property
    def best(self) -> tuple[Scatter, Fitted]:
        """The likeliest scales of deviations, and the law at them."""
        at, fitted, _ = max(self._scatters, key=lambda one: one[2])
        return at.scatter, fitted

    @property
    def exponents(self) -> Array:
        """Of the likeliest law, (exponent,)."""
        found: Array = self.form.grid[self.best[1].node[0]]
        return found

    def law(self, members: Array, parameters: Array) -> Array:
        """The likeliest law, without deviations, at some places.

        Args:
            members: Of each ensemble, (place,).
            parameters: Of one member, (place,).

        Returns:
            CNLL in nats per sample, (place,).
        """
        design = self.form.design(members, self._q(parameters), self.exponents[None])
        found: Array = design[0] @ self.best[1].coefficients[0]
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
        shares = rng.multinomial(count, [share for *_, share in self._scatters])
        parts = [
            self._draws(at, members, parameters, int(some), rng)
            for (at, *_), some in zip(self._scatters, shares, strict=True)
            if some
        ]
        drawn = np.concatenate(parts, 1)
        return drawn[:, rng.permutation(count)]

    def _draws(
        self, at: _At, members: Array, parameters: Array, count: int, rng: np.random.Generator
    ) -> Array:
        cells, plane = len(self.plane.cnll), self.plane
        true, error = split_off(at.scatter, plane)
        near = kernel(np.append(plane.members, members), np.append(plane.parameters, parameters), true)
        deviations = _root(near) @ rng.standard_normal((len(near), count))
        noise = _root(self.noise + error**2 * np.eye(cells)) @ rng.standard_normal((cells, count))
        y = plane.cnll[:, None] - deviations[:cells] - noise
        fitted = self._refit(at, y, rng.standard_normal((len(self.form.exponents), count)))
        exponents = self.form.grid[fitted.node]

        def law(members: Array, parameters: Array) -> Array:
            design = self.form.design(members, self._q(parameters), exponents)
            found: Array = np.einsum("dpc,dc->pd", design, fitted.coefficients)
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


def _root(covariance: Array) -> Array:
    """A square root, of matrices that are singular too."""
    values, vectors = np.linalg.eigh(covariance)
    found: Array = vectors * np.sqrt(np.maximum(values, 0))
    return found
