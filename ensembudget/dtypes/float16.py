"""2 bytes a number: 11 significant bits, up to 65,504."""

import torch

from ._cast import cast

dtype = cast(torch.float16)
