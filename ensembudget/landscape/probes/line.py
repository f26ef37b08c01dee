"""Loss along the straight line between two members; with `aligned`, after weight matching."""

from ...records import Values
from ..paths import between, spread
from ..site import Site, evaluate
from ._base import Findings, OnShare, Probe
from ._shared import CURVATURE, PAIRS, curved, ends, lengths, pairs, pairs_need, within


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """Points evenly spaced from one member to the other."""
    start, end = ends(site, options)
    places = spread(int(options["points"]))
    found = evaluate(site, between(start, end, places), places, within(on_share, 0, 1, len(places)))
    middle = between(start, end, [0.5])[0]
    return Findings(found, lengths(start, end) | curved(site, options, {"end": start, "middle": middle}))


def fault(options: Values, parameters: int) -> str | None:
    if int(options["points"]) >= 3:
        return None
    return (
        f"points = {options['points']}: a barrier needs a point between two ends. Set points to at least 3."
    )


probe = Probe(
    measure, pairs, pairs_need, shows="straight", options={**PAIRS, "points": 17, **CURVATURE}, fault=fault
)
