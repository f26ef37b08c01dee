"""Layers of several members, against torch's own in double precision."""

import pytest
import torch
from torch import nn

from ensembudget.families._layers import Conv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("channels", [3, 5, 7, 8])
@pytest.mark.parametrize("size", [8, 9])
def test_a_strided_pointwise_convolution_equals_torchs_in_double_precision(size, channels, members, layout):
    """With AVX2, fewer than 8 channels and channels last, oneDNN's own corrupts memory."""
    generator = torch.Generator().manual_seed(channels)
    layer = Conv2d(channels, 2 * channels, 1, members=members, stride=2)
    exact = nn.Conv2d(members * channels, 2 * members * channels, 1, 2, groups=members, dtype=torch.float64)
    with torch.no_grad():
        layer.initialise([torch.Generator().manual_seed(one) for one in range(members)])
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(16, members * channels, size, size, generator=generator).to(memory_format=layout)
    for _ in range(3):  # what overruns its memory does not always fail the first time
        inputs = x.clone().requires_grad_(), x.double().requires_grad_()
        found, expected = layer(inputs[0]), exact(inputs[1])
        (found**2).sum().backward()
        (expected**2).sum().backward()
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(inputs[0].grad.double(), inputs[1].grad, atol=1e-4, rtol=1e-4)
        for one, other in zip(layer.parameters(), exact.parameters(), strict=True):
            torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-3, rtol=1e-4)
            one.grad = other.grad = None
