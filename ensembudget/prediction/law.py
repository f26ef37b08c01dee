"""CNLL over members and widths as one law, and everything that the data leave open about it.

    CNLL(n, N) = c + b n^-alpha + d q^-beta + e n^-alpha q^-beta,    q = N / smallest N,

N the parameters of one member, c, b, d, e >= 0: along n, along width and along budget from the same numbers.
Of five forms it has, with one of more exponents, the least held-out error (`benchmarks/test_prediction.py`).

Fitted by variable projection: the exponents lie on a grid, and for each the coefficients follow by
non-negative least squares, weighted by the covariance of the measured means over members. What the law
leaves is modelled too: a smooth deviation along width (trained recipes differ) and one of each cell, of
scales that the data choose (REML). Uncertainty is by resampling: members' noise, deviations and the
prior of the exponents are drawn, the law is fitted again, and the deviations are conditioned on what is
left (Matheron's rule); in the linear case these are exact draws of the posterior.

Sources: variable projection, Golub & Pereyra 1973; law and deviations, Kennedy & O'Hagan 2001; draws by
refitting perturbed data, Bardsley et al. 2014 (randomise, then optimise); pathwise conditioning, Wilson
et al. 2021, arXiv:2011.04026. Priors: along members -0.75 with a spread of 1.5 times either way, about what
CNLL shows where theory has -1; along parameters -0.5, variance falling as one over width
(Geiger et al. 2020, arXiv:1901.01608), with a spread of 1.5 times.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..arrays import Array
from ..threads import blas_threads
from .plane import Plane

DRAWS = 1000
REACH = 0.7  # of deviations along width, in ln N: a factor of two is near
_CELL = np.geomspace(0.002, 0.05, 5)  # scales of deviations that are tried, of the range of CNLL
_WIDTH = np.geomspace(0.01, 0.2, 7)
_USUAL = 0.05  # of a width's: half-normal before the data
_UNLIKELY = 0.01  # scales that are left out
_FAR = 2.5  # standard deviations from where a width is expected without it: beyond it counts less
_HONEST = 5  # one width of so many at most is doubted: fewer show no law to doubt it by


class Exponent(NamedTuple):
    """What is believed of an exponent before the data: a log-normal, on a grid."""

    centre: float
    spread: float  # standard deviation of its logarithm
    grid: Array


ALONG_MEMBERS = Exponent(0.75, 0.4, np.geomspace(0.2, 2.5, 26))
ALONG_WIDTH = Exponent(0.5, 0.4, np.geomspace(0.1, 2.5, 26))


class Form(NamedTuple):
    """One form of the law.

    Attributes:
        formula: As people write it.
        exponents: What it is not linear in.
        terms: `terms(n, q, *exponents)` are what its coefficients multiply.
    """

    formula: str
    exponents: tuple[Exponent, ...]
    terms: Callable[..., Sequence[Array | float]]

    @property
    def grid(self) -> Array:
        """Every combination of exponents, (node, exponent)."""
        return np.array(list(product(*(exponent.grid for exponent in self.exponents))))

    def surprise(self) -> Array:
        """How far each combination lies from what was believed, in standard deviations, (node, exponent)."""
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


class Fitted(NamedTuple):
    """The best of a grid for each of several data, (draw,): node, coefficients, and the loss there."""

    node: NDArray[np.int64]
    coefficients: Array  # (draw, coefficient)
    loss: Array


class Scatter(NamedTuple):
    """How far CNLL lies from the law: one cell by itself, and a width with its neighbours; nats."""

    cell: float
    width: float


def project(design: Array, y: Array, penalty: Array) -> Fitted:
    """Variable projection with coefficients >= 0, for many data at one time.

    Args:
        design: Whitened, (node, point, coefficient).
        y: Whitened, (point, draw).
        penalty: Added to the squares, (node, draw).
    """
    gram = np.einsum("gpc,gpd->gcd", design, design)
    right = np.einsum("gpc,pd->gcd", design, y)
    shape = (len(design), y.shape[1])
    squares = (y * y).sum(0)
    best, which = np.broadcast_to(squares, shape).copy(), np.full(shape, -1)  # no coefficient at all
    supports = _supports(design.shape[-1])
    for number, some in enumerate(supports):
        solved = _solve(gram, right, some)
        left = squares - (solved * right[:, some]).sum(1)
        better = (left < best) & (solved >= 0).all(1)
        best[better], which[better] = left[better], number
    total = best + penalty
    node, draw = total.argmin(0), np.arange(y.shape[1])
    coefficients = np.zeros((y.shape[1], design.shape[-1]))
    for number, some in enumerate(supports):
        its = np.flatnonzero(which[node, draw] == number)
        found = _solve(gram[node[its]], right[node[its], :, its][..., None], some)
        coefficients[its[:, None], some] = found[..., 0]
    return Fitted(node, coefficients, total[node, draw])


def _supports(coefficients: int) -> list[list[int]]:
    """Every set of coefficients that may be above zero."""
    return [list(some) for r in range(coefficients) for some in combinations(range(coefficients), r + 1)]


def _solve(gram: Array, right: Array, some: list[int]) -> Array:
    """Normal equations of some coefficients: (node, coefficient, draw)."""
    part = gram[:, some][:, :, some]
    ridge = 1e-10 * np.trace(part, axis1=1, axis2=2)[:, None, None] / len(some)
    found: Array = np.linalg.solve(part + ridge * np.eye(len(some)), right[:, some])
    return found


def _kernel(members: Array, parameters: Array, scatter: Scatter) -> Array:
    """Covariance of deviations between places: of widths near each other, and of one cell with itself."""
    log = np.log(parameters)
    near = np.exp(-0.5 * ((log[:, None] - log) / REACH) ** 2)
    same = (members[:, None] == members) & (parameters[:, None] == parameters)
    found: Array = scatter.width**2 * near + scatter.cell**2 * same
    return found


def _split_off(scatter: Scatter, plane: Plane) -> tuple[Scatter, float]:
    """Deviations of what is true, and the standard deviation of what is error of measurement.

    Where nobody says how well cells were measured, what each deviates by itself is taken for error.
    """
    return (scatter, 0.0) if plane.has_errors else (scatter._replace(cell=0.0), scatter.cell)


def _whiten(factor: Array, values: Array) -> Array:
    """A triangular factor's inverse times (point, ...)."""
    flat = solve_triangular(factor, values.reshape(len(values), -1), lower=True)
    found: Array = flat.reshape(values.shape)
    return found


class _At(NamedTuple):
    """The plane at one scale of deviations: the factor that whitens it, and its whitened design."""

    scatter: Scatter
    factor: Array
    design: Array  # (node, cell, coefficient)


@dataclass(frozen=True)
class Posterior:
    """A law fitted to a plane, with what is not known of it.

    Attributes:
        plane: What was measured.
        form: The law's.
        noise: Covariance of measurement, (cell, cell), larger for widths that fit nowhere.
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

    def _at(self, scatter: Scatter) -> "_At":
        kernel = _kernel(self.plane.members, self.plane.parameters, scatter)
        factor: Array = np.asarray(np.linalg.cholesky(kernel + self.noise))
        return _At(scatter, factor, _whiten(factor, self._design.transpose(1, 0, 2)).transpose(1, 0, 2))

    def _refit(self, at: "_At", y: Array, moved: Array) -> Fitted:
        """The law of each of some data, (cell, draw), priors moved by (exponent, draw) deviations."""
        penalty = ((self.form.surprise()[:, :, None] - moved) ** 2).sum(1)
        return project(at.design, _whiten(at.factor, y), penalty)

    @property
    def doubted(self) -> list[int]:
        """Widths that lie far from where all others expect them, and count less."""
        more = np.diag(self.noise) > np.diag(self.plane.covariance)
        return [
            c.width
            for c, cells in zip(self.plane.columns, _blocks(self.plane), strict=True)
            if more[cells].any()
        ]

    @cached_property
    @blas_threads(1)  # matrices are small: on busy cores, waiting threads made fits eight times as slow
    def _scatters(self) -> list[tuple["_At", Fitted, float]]:
        """Scales of deviations, with the law at them and their probability (REML)."""
        y, still = self.plane.cnll[:, None], np.zeros((len(self.form.exponents), 1))
        scale = float(np.ptp(y))
        found, logs = [], []
        for at in (self._at(Scatter(scale * c, scale * w)) for c in _CELL for w in _WIDTH):
            fitted = self._refit(at, y, still)
            terms = at.design[fitted.node[0]][:, fitted.coefficients[0] > 0]
            _, freedom = np.linalg.slogdet(terms.T @ terms)
            belief = -0.5 * (at.scatter.width / (scale * _USUAL)) ** 2
            found.append((at, fitted))
            logs.append(belief - np.log(np.diag(at.factor)).sum() - 0.5 * fitted.loss[0] - 0.5 * freedom)
        shares = np.exp(np.array(logs) - max(logs))
        kept = shares >= _UNLIKELY * shares.sum()
        total = shares[kept].sum()
        return [(*one, float(share / total)) for one, share, k in zip(found, shares, kept, strict=True) if k]

    @cached_property
    def best(self) -> tuple[Scatter, Fitted]:
        """The likeliest scales, and the law at them."""
        at, fitted, _ = max(self._scatters, key=lambda one: one[2])
        return at.scatter, fitted

    @property
    def exponents(self) -> Array:
        """Of the likeliest law, (exponent,)."""
        found: Array = self.form.grid[self.best[1].node[0]]
        return found

    def law(self, members: Array, parameters: Array) -> Array:
        """The likeliest law, without deviations, at some places: CNLL in nats, (place,)."""
        design = self.form.design(members, self._q(parameters), self.exponents[None])
        found: Array = design[0] @ self.best[1].coefficients[0]
        return found

    @property
    def falls_along_width(self) -> bool:
        """Whether the law has lone members improve from the narrowest width to the widest."""
        ends = np.array([self.plane.parameters.min(), self.plane.parameters.max()])
        narrow, wide = self.law(np.ones(2), ends)
        return bool(wide < narrow)

    @blas_threads(1)
    def draws(self, members: Array, parameters: Array, *, count: int = DRAWS, seed: int = 0) -> Array:
        """What CNLL may be in expectation over members, at all places together.

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
        self, at: "_At", members: Array, parameters: Array, count: int, rng: np.random.Generator
    ) -> Array:
        cells, plane = len(self.plane.cnll), self.plane
        true, error = _split_off(at.scatter, plane)
        kernel = _kernel(np.append(plane.members, members), np.append(plane.parameters, parameters), true)
        deviations = _root(kernel) @ rng.standard_normal((len(kernel), count))
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
        found: Array = law(members, parameters) + deviations[cells:] + kernel[cells:, :cells] @ solved
        return found


def _root(covariance: Array) -> Array:
    """A square root, of matrices that are singular too."""
    values, vectors = np.linalg.eigh(covariance)
    found: Array = vectors * np.sqrt(np.maximum(values, 0))
    return found


def fit_plane(plane: Plane, form: Form = INTERACTING) -> Posterior:
    """The law of a plane; widths that lie far from where all others expect them count less.

    Args:
        plane: What was measured.
        form: The law's.

    Example:
        >>> from .plane import Column, checked
        >>> n = np.array([1.0, 2, 4, 8])
        >>> def column(k):
        ...     cnll = 0.5 + 0.3 * n**-0.75 + 0.9 * k**-1.0
        ...     return Column(k, k * k, n, cnll, np.zeros((4, 4)))
        >>> found = fit_plane(checked([column(k) for k in (4, 6, 8, 12)], "plane"))
        >>> [round(float(x), 1) for x in found.law(np.array([32.0]), np.array([400.0]))]  # 0.567 in truth
        [0.6]
    """
    noise = plane.covariance
    for _ in range(len(plane.columns) // _HONEST):
        doubt = _doubt(Posterior(plane, form, noise))
        if doubt is None:
            break
        noise = noise + doubt
    return Posterior(plane, form, noise)


def _doubt(posterior: Posterior) -> Array | None:
    """Noise that brings the farthest width back to `_FAR` from where it is expected without it, (cell, cell).

    What a Gaussian expects of a block without it follows from the inverse covariance of the whole.
    """
    plane, (scatter, _) = posterior.plane, posterior.best
    left = plane.cnll - posterior.law(plane.members, plane.parameters)
    precision = np.linalg.inv(_kernel(plane.members, plane.parameters, scatter) + posterior.noise)
    farthest, found = _FAR, None
    for cells in _blocks(plane):
        variance = np.linalg.inv(precision[cells, cells])
        off = variance @ (precision @ left)[cells]
        far = float(np.sqrt(off @ np.linalg.solve(variance, off) / len(off)))
        if far > farthest:
            farthest, found = far, np.zeros_like(precision)
            found[cells, cells] = variance * ((far / _FAR) ** 2 - 1)
    return found


def _blocks(plane: Plane) -> Iterator[slice]:
    """The cells of each width."""
    first = 0
    for column in plane.columns:
        yield slice(first, first + len(column.sizes))
        first += len(column.sizes)
