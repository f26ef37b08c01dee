"""The (members, width) plane as it was measured: CNLL, and how well each cell of it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from ..arrays import Array
from ..errors import FitError
from ..records import Network

LEAST_WIDTHS = 3  # a law along width has three parameters
LEAST_FALLS = 2  # widths with ensembles of two sizes or more: they show the law along members
# Sizes of one width share members. Measured on digits, 64 members of each of six widths: correlations of the
# means at sizes 1 to 62 lie between 0.45 and 0.9.
CORRELATION = 0.75


class WidthCurve(NamedTuple):
    """CNLL against ensemble size at one width: ensembles of several sizes from one pool.

    Attributes:
        width: The family's width factor.
        parameters: Of one member.
        sizes: Members per ensemble, ascending, (size,).
        cnll: Mean over disjoint ensembles, nats per sample, (size,).
        covariance: Of these means over fresh members, (size, size); zero where nothing is known.
    """

    width: int
    parameters: int
    sizes: Array
    cnll: Array
    covariance: Array


@dataclass(frozen=True)
class Plane:
    """Curves by ascending width, and the same as flat arrays, (cell,).

    Attributes:
        curves: One a width.
        network: What a member of any width costs; None where the plane does not say.
        arm: Of the study; "" where it has none.
    """

    curves: tuple[WidthCurve, ...]
    network: Network | None = None
    arm: str = ""

    @cached_property
    def members(self) -> Array:
        return np.concatenate([curve.sizes for curve in self.curves])

    @cached_property
    def parameters(self) -> Array:
        return np.concatenate([np.full(len(c.sizes), float(c.parameters)) for c in self.curves])

    @cached_property
    def cnll(self) -> Array:
        return np.concatenate([curve.cnll for curve in self.curves])

    @cached_property
    def covariance(self) -> Array:
        """Of the measurements, (cell, cell): widths share no members."""
        found: Array = block_diag(*(curve.covariance for curve in self.curves))
        return found

    @property
    def measured(self) -> dict[tuple[int, int], float]:
        """CNLL by (members, width)."""
        return {
            (int(size), curve.width): float(value)
            for curve in self.curves
            for size, value in zip(curve.sizes, curve.cnll, strict=True)
        }

    @property
    def has_errors(self) -> bool:
        """Whether the cells have standard errors."""
        return bool(self.covariance.any())


def checked(
    curves: Sequence[WidthCurve], name: str, *, network: Network | None = None, arm: str = ""
) -> Plane:
    """A plane that a law can be fitted to.

    Args:
        curves: One a width, in any order.
        name: Of the plane, for messages.
        network: As in `Plane`.
        arm: As in `Plane`.

    Raises:
        FitError: Too few widths or sizes, or parameters that do not grow with the width.
    """
    curves = sorted(curves, key=lambda curve: curve.width)
    widths = ", ".join(str(curve.width) for curve in curves)
    if len(curves) < LEAST_WIDTHS:
        raise FitError(
            f"{name} has {len(curves)} width{'s' * (len(curves) != 1)} ({widths}): a law along width needs"
            f" at least {LEAST_WIDTHS}. Measure {LEAST_WIDTHS - len(curves)} more."
        )
    largest = max(float(curve.sizes[-1]) for curve in curves)
    if sum(len(curve.sizes) > 1 for curve in curves) < LEAST_FALLS:
        raise FitError(
            f"{name} has ensembles of n = {largest:g} at most, and of two sizes at fewer than {LEAST_FALLS}"
            " widths: a law along members needs n = 1 and 2 at least. Train two members of each width."
        )
    if len({float(value) for curve in curves for value in curve.cnll}) == 1:
        raise FitError(
            f"{name} has cnll {curves[0].cnll[0]:g} in every cell: nothing falls, and there is no law."
        )
    for one, other in pairwise(curves):
        if one.parameters >= other.parameters:
            raise FitError(
                f"{name}: members of width {other.width} have {other.parameters:,} parameters and those of"
                f" width {one.width} {one.parameters:,}; parameters must grow with the width."
            )
    return Plane(tuple(curves), network, arm)
