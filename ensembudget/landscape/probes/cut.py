"""Training in a random affine subspace through new initial weights, beside the whole network's training.

Sources: Fort & Jastrzebski 2019, arXiv:1906.04724; Li et al. 2018, arXiv:1804.08838.
"""

import torch

from ...records import Values
from ..cuts import trained_in_cut
from ..site import Site, evaluate
from ._base import Findings, OnShare, Probe
from ._shared import DESCENT, descent, within
from .tunnel import groups, needs

MOST_NUMBERS = 500_000_000  # of the subspace's basis: 2 GB in float32


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """The end of training in the cut at its dimension, and the member at the dimension of the network."""
    dimension, how = int(options["dimension"]), descent(site, options)
    end = trained_in_cut(site, dimension, **how, on_epoch=within(on_share, 0, 0.9, how["epochs"]))
    points, places = torch.stack([end, site.points[0]]), [float(dimension), float(site.dimension)]
    return Findings(evaluate(site, points, places, within(on_share, 0.9, 1, 2)))


def fault(options: Values, parameters: int) -> str | None:
    dimension = int(options["dimension"])
    if not 1 <= dimension <= parameters:
        return (
            f"dimension = {dimension:,} is no subspace of a network of {parameters:,} parameters. Set"
            f" dimension from 1 to {parameters:,}."
        )
    if dimension * parameters > MOST_NUMBERS:
        return (
            f"dimension = {dimension:,}: a basis in {parameters:,} parameters has"
            f" {dimension * parameters:,} numbers, above {MOST_NUMBERS:,}. Set dimension to at most"
            f" {MOST_NUMBERS // parameters:,}."
        )
    return None


probe = Probe(
    measure, groups, needs, shows="cut", options={"members": 3, "dimension": 100, **DESCENT}, fault=fault
)
