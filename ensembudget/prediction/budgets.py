"""The splits of a budget that a prediction or a search chooses from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..budgets._parse import parse_budget
from ..errors import PlanError
from ..planning.widths import TOLERANCE, cost, split
from ..records import Network, Study
from .network import study_network
from .plane import Plane

MOST_MEMBERS = 2**20  # of a split that is considered


class Candidate(NamedTuple):
    """A split that may be chosen; parameters are of one member."""

    members: int
    width: int
    parameters: int


class Budgeted(NamedTuple):
    """A budget, its kind, and the splits that spend it, the wide network first."""

    budget: int
    kind: str
    candidates: list[Candidate]


def plane_budget(plane: Plane, written: str | int, members: Sequence[int] | None = None) -> Budgeted:
    """The splits of a budget, none narrower than the plane's narrowest width.

    Widths are counted where the plane knows its network. Where it does not, the square root of the parameters
    is taken to be linear between measured widths, and beyond the widest as between the two widest.

    Args:
        plane: What was measured.
        written: The budget, as people write it.
        members: Ensemble sizes; the wide network is always among them. None for powers of two.

    Raises:
        PlanError: A budget below the smallest member, or, without a network, not in parameters.

    Example:
        >>> from .plane import WidthCurve, checked
        >>> n = np.array([1.0, 2])
        >>> curves = [WidthCurve(k, 100 * k * k, n, (1 + 1 / n) / k, np.zeros((2, 2))) for k in (4, 8, 16)]
        >>> [(one.members, one.width) for one in plane_budget(checked(curves, "plane"), "12.8k").candidates]
        [(1, 11), (2, 8), (4, 6), (8, 4)]
    """
    if plane.network is not None:
        return _counted(plane, plane.network, written, members)
    budget, kind = parse_budget(written)
    if kind != "parameters":
        raise PlanError(
            f"budget {written!r} is in {kind}, and a plane in CSV has only parameters. Write it like"
            " 36.8M, or predict from a study, which knows its networks."
        )
    found = []
    for size in _sizes(members):
        if size * plane.curves[0].parameters > budget * (1 + TOLERANCE):
            break
        found.append(_nearest(plane, budget / size, size))
    return _budgeted(plane, budget, kind, found)


def study_budget(
    study: Study,
    plane: Plane,
    written: str | int,
    arm: str | None = None,
    members: Sequence[int] | None = None,
) -> Budgeted:
    """The splits of a budget, counted in a study's own networks.

    Args:
        study: Whose family, options and kind of budget count.
        plane: What was measured.
        written: The budget, as people write it.
        arm: Of the study; None for the plane's, or else the only one.
        members: Ensemble sizes; None for powers of two.

    Raises:
        ArmError: No such arm, or several and none named.
        PlanError: No such budget, or one below the smallest member.
    """
    network = study_network(study, plane.arm or None if arm is None else arm)
    return plane_budget(replace(plane, network=network), written, members)


def _counted(plane: Plane, network: Network, written: str | int, members: Sequence[int] | None) -> Budgeted:
    kind = None if str(written)[-1:].isalpha() else network.budget_kind
    budget, kind = parse_budget(written, kind)
    least = plane.curves[0].width
    smallest = cost(network.family, least, network.task, kind, options=network.options, dtype=network.dtype)
    found = []
    for size in _sizes(members):
        if size * smallest > budget * (1 + TOLERANCE):
            break
        one = split(
            network.family, network.task, budget, size, kind,
            options=network.options, multiple_of=network.multiple_of, dtype=network.dtype,
        )  # fmt: skip
        if one.width >= least:
            found.append(Candidate(size, one.width, one.parameters_per_member))
    return _budgeted(plane, budget, kind, found)


def _sizes(members: Sequence[int] | None) -> Iterator[int]:
    """The sizes asked for and 1, the wide network; powers of two where none are asked for."""
    if members is not None:
        yield from sorted({1, *members})
        return
    size = 1
    while size <= MOST_MEMBERS:
        yield size
        size *= 2


def _nearest(plane: Plane, each: float, size: int) -> Candidate:
    widths = np.array([float(curve.width) for curve in plane.curves])
    roots = np.sqrt([float(curve.parameters) for curve in plane.curves])
    slope = (roots[-1] - roots[-2]) / (widths[-1] - widths[-2])

    def parameters(width: int) -> int:
        beyond = max(0.0, width - widths[-1]) * slope
        return round(float(np.interp(width, widths, roots) + beyond) ** 2)

    root = each**0.5
    width = np.interp(root, roots, widths) + max(0.0, root - roots[-1]) / slope
    near = min((int(width), int(width) + 1), key=lambda k: abs(parameters(k) - each))
    return Candidate(size, near, parameters(near))


def _budgeted(plane: Plane, budget: int, kind: str, found: list[Candidate]) -> Budgeted:
    narrowest = plane.curves[0]
    if not found:
        raise PlanError(
            f"a budget of {budget:,} {kind} is below the smallest member measured: width {narrowest.width}"
            f" with {narrowest.parameters:,} parameters. Ask for a budget that holds it, or measure narrower"
            " members."
        )
    return Budgeted(budget, kind, found)
