"""How far one can go from a member in random directions before the training loss has risen.

Source: Fort & Jastrzebski 2019, arXiv:1906.04724; what rise ends a tunnel is not published.
"""

from ...records import Values
from ..site import Site, evaluate, finite
from ..tunnels import directions, radii
from ._base import Findings, OnShare, Probe
from ._shared import CURVATURE, curved, disjoint


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """The member at 0; the mean radius over directions and the member's norm among the facts."""
    centre = site.points[0]
    units = directions(len(centre), int(options["directions"]), site.stream("directions")).to(centre)
    (end,) = evaluate(site, centre[None], [0.0])
    on_share(0.1)
    found = radii(site, centre, units, float(options["rise"]))
    on_share(0.9)
    facts = {"radius": finite(found.mean()), "norm": finite(centre.norm())}
    return Findings([end], facts | curved(site, options, {"end": centre}))


def groups(pool: int, options: Values) -> list[tuple[int, ...]]:
    return disjoint(pool, 1, int(options["members"]))


def needs(options: Values) -> int:
    return int(options["members"])


def fault(options: Values, parameters: int) -> str | None:
    if float(options["rise"]) <= 0:
        return (
            f"rise = {options['rise']}: a tunnel ends where the loss has risen. Set a rise above 0, say 0.5."
        )
    return None


probe = Probe(
    measure,
    groups,
    needs,
    shows="radius",
    options={"members": 3, "directions": 8, "rise": 0.5, **CURVATURE},
    fault=fault,
)
