"""m-connectors: the centre of m + 1 members, moved to lower loss at right angles to the plane they span.

Source: Fort & Jastrzebski 2019, arXiv:1906.04724.
"""

import torch

from ...records import Values
from ..cuts import hull_centre
from ..site import Site, evaluate
from ._base import Findings, OnShare, Probe
from ._shared import CURVATURE, DESCENT, curved, descent, disjoint, within


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """The members' mean at 0, the moved centre at 1, and the members themselves at 2."""
    how = descent(site, options)
    centre = hull_centre(site, **how, on_epoch=within(on_share, 0, 0.8, how["epochs"]))
    points = torch.cat([site.points.mean(0)[None], centre[None], site.points])
    places = [0.0, 1.0] + [2.0] * len(site.states)
    found = evaluate(site, points, places, within(on_share, 0.8, 1, len(points)))
    facts: dict[str, float | None] = {"directions": len(site.states) - 1.0}
    return Findings(found, facts | curved(site, options, {"end": site.points[0], "middle": centre}))


def groups(pool: int, options: Values) -> list[tuple[int, ...]]:
    return disjoint(pool, int(options["directions"]) + 1, int(options["groups"]))


def needs(options: Values) -> int:
    return (int(options["directions"]) + 1) * int(options["groups"])


def fault(options: Values, parameters: int) -> str | None:
    directions = int(options["directions"])
    if directions < 1:
        return f"directions = {directions}: a hull has one direction at least. Set directions to 1 or more."
    if directions >= parameters:
        return (
            f"directions = {directions:,} leave no direction to move in: a network has {parameters:,}"
            f" parameters. Set directions to at most {parameters - 1:,}."
        )
    return None


probe = Probe(
    measure,
    groups,
    needs,
    shows="hull",
    options={"directions": 2, "groups": 1, **DESCENT, **CURVATURE},
    fault=fault,
)
