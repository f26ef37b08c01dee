"""Array types."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Integers = NDArray[np.int64]

Mask = NDArray[np.bool_]
