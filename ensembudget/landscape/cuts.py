"""Training inside random affine subspaces, and where loss is low in the middle of several members.

Sources: Fort & Jastrzebski 2019, arXiv:1906.04724; random subspaces, Li et al. 2018, arXiv:1804.08838.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..families._build import materialise
from ..packing.network import single
from .descent import descend, normal_to, orthonormal, within
from .site import Site


def trained_in_cut(
    site: Site,
    dimension: int,
    *,
    epochs: int,
    rate: float,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Tensor:
    """Where training ends inside a random subspace through new initial weights, (parameter,).

    Args:
        site: Where; its key names the initial weights and the subspace.
        dimension: Of the subspace.
        epochs: As of `descend`.
        rate: As of `descend`.
        on_epoch: As of `descend`.
    """
    network = materialise(single(site.cell, site.task), [site.stream("start")])
    origin = site.point(network.state_dict())
    drawn = torch.randn(dimension, len(origin), generator=site.stream("cut"), dtype=origin.dtype)
    chart = within(origin, orthonormal(drawn))
    start = origin.new_zeros(1, dimension)
    end = descend(site, start, chart, epochs=epochs, rate=rate, purpose="inside", on_epoch=on_epoch)
    return chart(end, site.stream("inside"))[0][0].detach()


def hull_centre(
    site: Site, *, epochs: int, rate: float, on_epoch: Callable[[int], None] = lambda epoch: None
) -> Tensor:
    """The centre of an m-connector: the mean of m + 1 members, moved to lower training loss.

    It moves only at right angles to all directions between the members.

    Returns:
        (parameter,).
    """
    points = site.points
    plane = normal_to(orthonormal(points[1:] - points[:1]))
    centre = points.mean(0, keepdim=True)
    return descend(site, centre, plane, epochs=epochs, rate=rate, purpose="hull", on_epoch=on_epoch)[0]
