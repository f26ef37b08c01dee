"""The optimised 1-connector: knots of a path, each moved to lower loss in a plane normal to the line.

Source: planes, Fort & Jastrzebski 2019, arXiv:1906.04724; where knots start is chosen here.
"""

from ...records import Values
from ..paths import along, spread, through_planes
from ..site import Site, evaluate
from ._base import Findings, OnShare, Probe
from ._shared import CURVATURE, DESCENT, PAIRS, curved, descent, ends, lengths, pairs, pairs_need, within


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """The knots of the path and the middles of its segments."""
    start, end = ends(site, options)
    segments, how = int(options["segments"]), descent(site, options)
    epochs = (segments - 1) * how["epochs"]
    knots = through_planes(site, start, end, segments, **how, on_epoch=within(on_share, 0, 0.8, epochs))
    places = spread(2 * segments + 1)
    found = evaluate(site, along(knots, places), places, within(on_share, 0.8, 1, len(places)))
    middle = along(knots, [0.5])[0]
    return Findings(found, lengths(start, end) | curved(site, options, {"end": start, "middle": middle}))


def fault(options: Values, parameters: int) -> str | None:
    if int(options["segments"]) >= 2:
        return None
    return (
        f"segments = {options['segments']}: there is nothing between two members. Set segments to at least 2."
    )


probe = Probe(
    measure,
    pairs,
    pairs_need,
    shows="path",
    options={**PAIRS, "segments": 8, **DESCENT, **CURVATURE},
    fault=fault,
    abi=2,  # 1: all knots started on the line, and neighbours moved apart
)
