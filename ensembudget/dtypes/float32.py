"""4 bytes a number, as trained: nothing is rounded."""

import torch

from ._cast import cast

dtype = cast(torch.float32)
