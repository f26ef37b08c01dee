"""The temperature with the lowest loss, for all groups of a pool and several sets of samples at once."""

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Integers, Mask
from .mixtures import Mixtures
from .panels import NODES, basis, bottoms, ends, inverse_at, panel_of, place_of

HOTTEST = 1e3  # temperatures are sought in [1 / HOTTEST, HOTTEST]
GRID = 28  # points, a factor of 1.67 apart
FLAT = 1e-12  # nats: less than this is rounding
PLATEAU = 1e-9  # nats: a loss this flat down to the coldest temperature has no minimum
UNDETERMINED = 1.0  # the temperature of samples without a best one: nothing is rescaled


_STRIDE = 2 * math.log(HOTTEST) / (GRID - 1)
# 1 / T, coldest first, with one point beyond each end: a minimum near an end has neighbours on both sides.
_POINTS = np.exp(np.linspace(math.log(HOTTEST) + _STRIDE, -math.log(HOTTEST) - _STRIDE, GRID + 2))
_COLDEST, _HOTTEST = 1, GRID
_AT_ONCE = 8  # points that are tabulated together
# Values at -2, -1, 0, 1, 2 to the coefficients of x, x^2, x^3 and x^4 in the quartic through them.
_QUARTIC = np.array([[2, -16, 0, 16, -2], [-1, 16, -30, 16, -1], [-2, 4, 0, -4, 2], [1, -4, 6, -4, 1]]) / 24
_NEWTON_STEPS = 3


class _Valleys(NamedTuple):
    """Grid points where the loss is lower than on either side."""

    problem: Integers  # which group and set, (valley,)
    start: Array  # 1 / T near the minimum, (valley,)


def fit_temperatures(mixtures: Mixtures, weights: Array) -> Array:
    """The temperature with the lowest mean loss, of each group on each set of samples.

    Losses on a grid over [1/1000, 1000] find the valley, and Newton's method its minimum. (There can be
    several valleys where members are tempered before they are averaged.) Where the loss falls all the way
    as T goes to 0, as it does when every sample is right, there is no best temperature, and the coldest
    would cost hundreds of nats for the first mistake on other samples: T is then 1. Where it falls all
    the way up to T = 1000, that is the answer.

    Args:
        mixtures: Of members.
        weights: Of the samples in each set, (sample, set), summing to 1 over the samples.

    Returns:
        (group, set).

    Example:
        Over-confident by a factor of two in the logits: 2 of 3 are right at a stated 4 in 5.

        >>> import torch
        >>> from .curves import Curves
        >>> logits = torch.tensor([0.8, 0.2], dtype=torch.float64).log().expand(1, 3, 2)
        >>> mixtures = Mixtures(Curves(logits, torch.tensor([0, 0, 1])), np.ones((1, 1)))
        >>> fit_temperatures(mixtures, np.full((3, 1), 1 / 3)).round(9)
        array([[2.]])
    """
    means = _scan(mixtures, weights)
    valleys = _valleys(means, whole=not mixtures.alone)
    inverse, loss = _descend(mixtures, weights, valleys)
    loss[inverse <= 1 / HOTTEST] = np.inf
    depth = means[:, _HOTTEST].copy()
    np.minimum.at(depth, valleys.problem, loss)
    answer = np.full_like(depth, HOTTEST)
    deepest = (loss == depth[valleys.problem]) & (loss < means[valleys.problem, _HOTTEST])
    answer[valleys.problem[deepest]] = 1 / inverse[deepest]
    determined = (means[:, _COLDEST] > depth + PLATEAU) & (answer > 1 / HOTTEST)
    return np.where(determined, answer, UNDETERMINED).reshape(-1, weights.shape[1])


def tempered_losses(mixtures: Mixtures, temperatures: Array, weights: Array) -> Array:
    """Losses at a temperature for each group and set, summed over the sets.

    Args:
        mixtures: Of members.
        temperatures: T above 0, (group, set).
        weights: Of each sample's loss in each set, (sample, set).

    Returns:
        Nats, (group, sample).
    """
    inverses = 1 / temperatures
    if mixtures.group_matrix is None:
        return mixtures.curves.losses_at(inverses, weights)
    panels = panel_of(inverses)
    losses = np.zeros((len(temperatures), len(weights)))
    for panel in np.unique(panels).tolist():
        some = np.flatnonzero((panels == panel).any(1))
        here = (panels[some] == panel)[..., None]
        counts = np.where(here, basis(place_of(inverses[some], panel)), 0.0)
        own = losses[some]
        mixtures.some(some).add_losses_on(panel, counts.transpose(0, 2, 1), weights, own)
        losses[some] = own
    return losses


def _scan(mixtures: Mixtures, weights: Array) -> Array:
    """Mean losses at the grid's points, (problem, point); infinite where none is needed.

    A single member's loss is convex in 1 / T, so its valley is found going down from about T = 1.
    """
    wanted = np.array([_COLDEST, GRID // 2, GRID // 2 + 1, _HOTTEST])
    wanted = wanted if mixtures.alone else np.arange(GRID + 2)
    means = np.full((mixtures.groups * weights.shape[1], GRID + 2), np.inf)
    while len(wanted):
        for some in np.split(wanted, range(_AT_ONCE, len(wanted), _AT_ONCE)):
            means[:, some] = mixtures.means_at(_POINTS[some], weights)
        least = means.argmin(1)
        beside = np.unique(np.clip([least - 1, least + 1], 0, GRID + 1))
        wanted = beside[np.isinf(means[0, beside])]
    return means


def _valleys(means: Array, *, whole: bool) -> _Valleys:
    """Where losses have a minimum.

    Args:
        means: At the grid's points, (problem, point).
        whole: Whether every loss is known at every point. Where some are known only because other problems
            needed those points, starts must not depend on them.
    """
    left, here, right = means[:, :-2], means[:, 1:-1], means[:, 2:]
    around = np.maximum(left, right)
    lowest = (here <= left) & (here <= right) & (here < around - FLAT) & np.isfinite(around)
    problem, place = lowest.nonzero()
    left, here, right = left[lowest], here[lowest], right[lowest]
    # The minimum of a parabola through the three points.
    shift = np.clip((left - right) / (2 * (left - 2 * here + right)), -0.9, 0.9)
    if whole:
        inner = (place > 0) & (place < GRID - 1)
        five = means[problem[inner, None], place[inner, None] + np.arange(-1, 4)]
        shift[inner] = _lowest_of_quartic(five, shift[inner])
    return _Valleys(problem, _POINTS[place + 1] * np.exp(-shift * _STRIDE))


def _lowest_of_quartic(five: Array, shift: Array) -> Array:
    """A minimum of the quartic through five points, in strides from the third, (valley,).

    It is on the right panel 93 to 98 times in 100, where a parabola's is 74 to 77 times.

    Args:
        five: (valley, 5), the third no higher than its neighbours.
        shift: Where Newton's method starts, (valley,).
    """
    c1, c2, c3, c4 = _QUARTIC @ five.T
    for _ in range(_NEWTON_STEPS):
        slope = c1 + shift * (2 * c2 + shift * (3 * c3 + shift * 4 * c4))
        bend = 2 * c2 + shift * (6 * c3 + shift * 12 * c4)
        # Only where it is curved like a valley; elsewhere the place stays.
        shift = np.clip(shift - slope / np.where(bend > 0, bend, np.inf), -0.9, 0.9)
    return shift


def _descend(mixtures: Mixtures, weights: Array, valleys: _Valleys) -> tuple[Array, Array]:
    """The valleys' minima, 1 / T, and the losses there, each (valley,).

    Starts on the panel where a minimum is expected and moves to the next as long as the loss falls.
    """
    bottom, depth = np.empty_like(valleys.start), np.empty_like(valleys.start)
    left, panels = np.arange(len(bottom)), panel_of(valleys.start)
    came = np.zeros_like(panels)
    coldest, hottest = panel_of(_POINTS[[0, -1]])
    tables = _Tables(mixtures, weights)
    while len(left):
        panel = int(panels.min())
        here = panels == panel
        values, slopes = tables.of(panel, valleys.problem[left[here]])
        step = _downhill(slopes, panel)
        step[(step == -came[here]) | (panel + step < hottest) | (panel + step > coldest)] = 0
        place = bottoms(slopes)
        bottom[left[here]] = inverse_at(place, panel)
        depth[left[here]] = (basis(place) * values).sum(1)
        panels[here] += step
        came[here] = step
        going = ~here
        going[here] = step != 0
        left, panels, came = left[going], panels[going], came[going]
    return bottom, depth


class _Tables:
    """Mean losses and slopes at the nodes of panels, for the groups that come there.

    Args:
        mixtures: All groups.
        weights: Of the samples in each set, (sample, set).
    """

    def __init__(self, mixtures: Mixtures, weights: Array) -> None:
        self._mixtures, self._weights, self._sets = mixtures, weights, weights.shape[1]
        self._known: dict[int, tuple[Array, Array, Mask]] = {}

    def of(self, panel: int, problems: Integers) -> tuple[Array, Array]:
        """Values and slopes on a panel, each (problem, node)."""
        groups = self._mixtures.groups
        if panel not in self._known:
            shape = (groups * self._sets, NODES)
            self._known[panel] = np.empty(shape), np.empty(shape), np.zeros(groups, bool)
        values, slopes, done = self._known[panel]
        come = np.unique(problems // self._sets)
        new = come[~done[come]]
        if len(new):
            rows = (new[:, None] * self._sets + np.arange(self._sets)).ravel()
            values[rows], slopes[rows] = self._mixtures.some(new).means_on(panel, self._weights)
            done[new] = True
        return values[problems], slopes[problems]


def _downhill(slopes: Array, panel: int) -> Integers:
    """Which way the loss falls beyond a panel's ends: 1 to colder, -1 to hotter, 0 for neither."""
    low, high = ends(panel)
    # A slope below rounding is none.
    return np.where(low * slopes[:, 0] > FLAT, -1, (high * slopes[:, -1] < -FLAT).astype(np.int64))
