"""2 bytes a number: 8 significant bits, the range of float32."""

import torch

from ._cast import cast

dtype = cast(torch.bfloat16)
