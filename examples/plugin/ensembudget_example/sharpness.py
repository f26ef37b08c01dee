"""How much the training loss rises when every weight of a member changes by 5%, up or down at random."""

import torch

from ensembudget.landscape.probes._base import Findings, OnShare, Probe
from ensembudget.landscape.site import Site, evaluate, finite, train_losses
from ensembudget.records import Values


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    centre = site.points[0]
    signs = torch.randint(2, centre.shape, generator=site.stream("signs")) * 2 - 1
    share = float(options["share"])
    points = torch.stack([centre, centre * (1 + share * signs)])
    found = evaluate(site, points, [0.0, share], lambda done: on_share(done / 2))
    losses = train_losses(site, points)
    return Findings(found, {"rise": finite(losses[1] - losses[0])})


probe = Probe(
    measure,
    groups=lambda pool, options: [(member,) for member in range(pool)],
    needs=lambda options: 1,
    options={"share": 0.05},
)
