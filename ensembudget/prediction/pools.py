"""The curve of a width, from its members."""

from collections.abc import Sequence

import numpy as np

from ..scoring.covariance import ScoredPool, mean_covariances
from .plane import WidthCurve


def curves_of(pools: Sequence[ScoredPool]) -> list[WidthCurve]:
    """A curve a pool, with the covariance that fresh members would show."""
    return [
        WidthCurve(
            width=one.width,
            parameters=one.parameters,
            sizes=np.array(list(one.cnll), float),
            cnll=np.array(list(one.cnll.values())),
            covariance=covariance,
        )
        for one, covariance in zip(pools, mean_covariances(pools), strict=True)
    ]
