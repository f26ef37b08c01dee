"""What every dtype keeps, and each of them against torch's own rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ensembudget.budgets.bytes import RANGE_BYTES
from ensembudget.catalog import DTYPES, FAMILIES
from ensembudget.families._build import describe, materialise
from ensembudget.planning.widths import cost
from helpers import task_for

WIDTH = 4


def network_of(family: str) -> torch.nn.Module:
    return materialise(describe(family, WIDTH, task_for(family)), [torch.Generator().manual_seed(0)])


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("name", list(DTYPES))
def test_what_is_read_back_fits_the_network(name, family):
    network, dtype = network_of(family), DTYPES[name]
    state = network.state_dict()
    read = dtype.decode(dtype.encode(state))
    assert {key: one.shape for key, one in read.items()} == {key: one.shape for key, one in state.items()}
    assert {one.dtype for one in read.values() if one.is_floating_point()} == {torch.float32}
    network.load_state_dict(read)


@pytest.mark.parametrize("name", list(DTYPES))
def test_what_was_rounded_once_is_not_rounded_again(name):
    dtype = DTYPES[name]
    once = dtype.decode(dtype.encode(network_of("vgg").state_dict()))
    twice = dtype.decode(dtype.encode(once))
    for key in once:
        torch.testing.assert_close(twice[key], once[key], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("name", list(DTYPES))
def test_bytes_are_those_of_the_tensors_that_are_stored(name, family):
    """Counted on a network with memory, where `cost` counts on one without."""
    network, dtype = network_of(family), DTYPES[name]
    numbers = {
        key: one
        for key, one in [*network.named_parameters(), *network.named_buffers()]
        if one.is_floating_point()
    }
    stored = sum(one.untyped_storage().nbytes() for one in dtype.encode(numbers).values())
    lookups = family == "transformer"  # its table of tokens, whose inputs are whole numbers
    layers = sum(one.ndim > 1 for one in numbers.values()) - lookups
    ranges = layers if dtype.rounds_inputs else 0
    if name != "float32":  # which stores the very tensors
        assert cost(family, WIDTH, task_for(family), "bytes", dtype=name) == stored + ranges * RANGE_BYTES
    assert cost(family, WIDTH, task_for(family), "bytes", dtype="float32") == 4 * sum(
        one.numel() for one in numbers.values()
    )


@pytest.mark.parametrize(("name", "theirs"), [("float16", np.float16), ("float32", np.float32)])
@given(values=hnp.arrays(np.float32, 9, elements=st.floats(-1e4, 1e4, width=32)))
def test_casts_round_to_the_nearest_as_numpy_does(name, theirs, values):
    dtype = DTYPES[name]
    found = dtype.decode(dtype.encode({"bias": torch.from_numpy(values)}))["bias"]
    np.testing.assert_array_equal(found.numpy(), values.astype(theirs).astype(np.float32))


@given(values=hnp.arrays(np.float32, 9, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_bfloat16_keeps_the_upper_half_of_the_bits_rounded_to_even(values):
    bits = values.view(np.uint32).astype(np.uint64)
    upper = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    expected = upper.astype(np.uint32).view(np.float32)
    dtype = DTYPES["bfloat16"]
    found = dtype.decode(dtype.encode({"bias": torch.from_numpy(values.copy())}))["bias"]
    np.testing.assert_array_equal(found.numpy(), expected)


weights = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-1e3, 1e3, width=32)
)


@given(weights)
def test_int8_is_torchs_symmetric_quantization_per_channel(values):
    weight = torch.from_numpy(values)
    stored = DTYPES["int8"].encode({"w": weight})
    assert stored["w"].dtype == torch.int8
    assert stored["w.scale"].dtype == torch.float32
    theirs = torch.fake_quantize_per_channel_affine(
        weight, stored["w.scale"], torch.zeros(len(weight), dtype=torch.int32), 0, -127, 127
    )
    found = DTYPES["int8"].decode(stored)["w"]
    # Theirs multiplies by the inverse of the scale: halfway cases may fall to the other side, and of weights
    # below 1e-36 the inverse is infinite.
    step = stored["w.scale"].view(-1, *[1] * (weight.ndim - 1))
    assert ((found - theirs).abs() <= step * 1.001 + 1e-30).all()
    assert (((found - weight).abs()) <= step * 0.5001 + 1e-30).all()
    largest = weight.flatten(1).abs().amax(1)
    torch.testing.assert_close(found.flatten(1).abs().amax(1), largest, rtol=1e-6, atol=1e-30)


def test_int8_gives_each_output_channel_its_own_scale():
    weight = torch.tensor([[1.0, -0.5], [100.0, 50.0], [0.0, 0.0]])
    stored = DTYPES["int8"].encode({"w": weight, "bias": torch.tensor([0.123456789])})
    assert stored["w"].tolist() == [[127, -64], [127, 64], [0, 0]]
    torch.testing.assert_close(stored["w.scale"], torch.tensor([1 / 127, 100 / 127, 1.0]))
    assert stored["bias"].dtype == torch.float32
    torch.testing.assert_close(DTYPES["int8"].decode(stored)["bias"], torch.tensor([0.123456789]))


def test_what_is_beyond_float16_is_not_finite():
    read = DTYPES["float16"].decode(DTYPES["float16"].encode({"w": torch.tensor([65_504.0, 70_000.0])}))
    assert read["w"].isfinite().tolist() == [True, False]
