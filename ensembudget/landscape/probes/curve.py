"""A curve with one bend between two members, its bend trained: the baseline of optimised connectors.

Source: Bezier curve and polygonal chain of Garipov et al. 2018, arXiv:1802.10026.
"""

from typing import cast

from ...records import Values
from ..paths import Shape, bent, curve, spread
from ..site import Site, evaluate
from ._base import Findings, OnShare, Probe
from ._shared import CURVATURE, DESCENT, PAIRS, curved, descent, ends, lengths, pairs, pairs_need, within
from .line import fault


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """Points evenly spaced in the parameter of the curve."""
    start, end = ends(site, options)
    shape, how = cast("Shape", options["shape"]), descent(site, options)
    bend = bent(site, start, end, shape, **how, on_epoch=within(on_share, 0, 0.8, how["epochs"]))
    places = spread(int(options["points"]))
    points = curve(start, bend, end, shape, places)
    found = evaluate(site, points, places, within(on_share, 0.8, 1, len(places)))
    middle = curve(start, bend, end, shape, [0.5])[0]
    return Findings(found, lengths(start, end) | curved(site, options, {"end": start, "middle": middle}))


probe = Probe(
    measure,
    pairs,
    pairs_need,
    shows="path",
    options={**PAIRS, "shape": "bezier", "points": 17, **DESCENT, **CURVATURE},
    choices={"shape": ("bezier", "chain")},
    fault=fault,
)
