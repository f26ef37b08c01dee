"""Logits of rounded networks, against the same network rounded by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.catalog import DTYPES
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._cache import digest_of
from ensembudget.datasets._data import Data
from ensembudget.families._build import describe
from ensembudget.families._layers import Linear
from ensembudget.packing.parts import parts_of
from ensembudget.records import FLOAT32, Run, Stepping, Task
from ensembudget.tasks.images import scale_of
from ensembudget.training.loop import train
from ensembudget.training.rounding import in_8_bits, round_inputs, rounded_logits


@pytest.fixture(scope="module")
def trained(make_cell, digits):
    runs = [Run(cell=make_cell(epochs=4), seed=seed) for seed in range(2)]
    return train(runs, digits, stepping=Stepping(pack=2), keep_weights=True)


def network_of(cell, state, data):
    """A network with these tensors: no packs, no hooks."""
    network = describe(cell.family, cell.width, data.task, options=cell.options).to_empty(device="cpu")
    network.load_state_dict(state)
    return network.eval()


@torch.no_grad()
def answers(network, cell, data, part):
    """Its logits on a part of the images."""
    parts = parts_of(cell, data.arrays)
    scale = scale_of(cell.recipe.normalisation, parts.inputs)
    images = (getattr(parts, part).inputs.float() / 255 - scale.mean) / scale.std
    return network(images.permute(0, 3, 1, 2)).numpy()


def by_hand(cell, state, data):
    """The test logits of a network with these tensors."""
    return answers(network_of(cell, state, data), cell, data, "test")


def tensors(member):
    return {name: torch.from_numpy(array) for name, array in member.weights.items()}


def rounded(member, dtype, data):
    cell = member.run.cell.model_copy(update={"dtype": dtype})
    return rounded_logits(cell, member.weights, data)


def test_in_float32_the_logits_are_those_of_training(trained, digits):
    for member in trained:
        validation, test = rounded(member, FLOAT32, digits)
        np.testing.assert_allclose(test, member.test_logits, atol=1e-5)
        np.testing.assert_allclose(validation, member.validation_logits, atol=1e-5)


@pytest.mark.parametrize(("dtype", "theirs"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)])
def test_casts_are_of_every_number_of_the_network(trained, digits, dtype, theirs):
    state = {
        name: one.to(theirs).float() if one.is_floating_point() else one
        for name, one in tensors(trained[0]).items()
    }
    _, test = rounded(trained[0], dtype, digits)
    np.testing.assert_allclose(test, by_hand(trained[0].run.cell, state, digits), atol=1e-5)
    assert np.abs(test - trained[0].test_logits).max() > 1e-5


def test_int8_is_of_weights_alone(trained, digits):
    state = {}
    for name, one in tensors(trained[0]).items():
        state[name] = one
        if one.ndim > 1:
            channels = one.numpy().reshape(len(one), -1)
            scale = np.abs(channels).max(1, keepdims=True) / np.float32(127)
            steps = np.rint(channels / scale).astype(np.int8)
            state[name] = torch.from_numpy(steps * scale).view(one.shape)
    _, test = rounded(trained[0], "int8", digits)
    np.testing.assert_allclose(test, by_hand(trained[0].run.cell, state, digits), atol=1e-4)


def test_static_int8_rounds_what_goes_into_every_layer(trained, digits):
    static = rounded(trained[0], "int8_static", digits)[1]
    weights_alone = rounded(trained[0], "int8", digits)[1]
    off = np.abs(static - weights_alone).max()
    assert 1e-4 < off < 1.0
    assert (static.argmax(1) == weights_alone.argmax(1)).mean() > 0.95


def test_static_int8_is_torchs_fake_quantization_of_every_input(trained, digits):
    """The whole network again: int8 weights, and torch's own rounding before every layer."""
    member, cell, int8 = trained[0], trained[0].run.cell, DTYPES["int8"]
    network = network_of(cell, int8.decode(int8.encode(tensors(member))), digits)
    layers = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d | Linear)]
    seen = {}

    def watch(module, inputs):
        seen[module] = inputs[0].aminmax()

    watching = [one.register_forward_pre_hook(watch) for one in layers]
    answers(network, cell, digits, "fitted")
    for one in watching:
        one.remove()

    def rounding(module, inputs):
        low, high = min(0.0, float(seen[module].min)), max(0.0, float(seen[module].max))
        step = (high - low) / 255
        return torch.fake_quantize_per_tensor_affine(inputs[0], step, round(-low / step), 0, 255)

    for one in layers:
        one.register_forward_pre_hook(rounding)
    expected = answers(network, cell, digits, "test")
    off = np.abs(rounded(member, "int8_static", digits)[1] - expected)
    # Halfway cases may fall to the other side, a step of one input, and change a few logits a little.
    assert np.median(off) < 1e-5
    assert off.max() < 0.1 * np.abs(member.test_logits).max()


def test_ranges_are_those_of_training_images(trained, digits):
    """Test images twice as bright change no range: their logits alone are clipped."""
    arrays = digits.arrays
    bright = Arrays(
        arrays.train_inputs, arrays.train_labels, 255 - arrays.test_inputs, arrays.test_labels, arrays.classes
    )
    changed = rounded(trained[0], "int8_static", replace(digits, arrays=bright))
    plain = rounded(trained[0], "int8_static", digits)
    np.testing.assert_array_equal(changed[0], plain[0])  # validation images are the same
    assert not np.array_equal(changed[1], plain[1])


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20),
    st.floats(-10, 0, width=32),
    st.floats(0.0625, 10, width=32),
)
def test_inputs_are_rounded_as_torch_does_it(values, low, high):
    step = (high - low) / 255
    zero = round(-low / step)
    some = torch.tensor(values)
    theirs = torch.fake_quantize_per_tensor_affine(some, step, zero, 0, 255)
    found = in_8_bits(some, low, high)
    assert ((found - theirs).abs() <= step * 1.001).all()  # halfway cases may fall to the other side
    inside = (some >= low + step) & (some <= high - step)
    assert ((found - some)[inside].abs() <= step * 0.501).all()
    assert float(in_8_bits(torch.zeros(1), low, high)) == 0.0


def test_inputs_that_are_always_zero_stay_zero():
    assert in_8_bits(torch.zeros(3), 0.0, 0.0).tolist() == [0.0, 0.0, 0.0]


def test_a_layer_of_ours_is_rounded_too():
    layer = torch.nn.Sequential(torch.nn.Flatten(), Linear(4, 2, members=1))
    with torch.no_grad():
        layer[1].weight.fill_(1.0)
        layer[1].bias.zero_()
    images = torch.tensor([[0.0, 1.0, 2.0, 2.55]]).view(1, 1, 2, 2)
    round_inputs(layer, images)
    found = layer(torch.tensor([[0.0, 0.994, 3.0, -1.0]]).view(1, 1, 2, 2))
    # Steps of 0.01 from 0 to 2.55: 0.99, then clipped at both ends.
    torch.testing.assert_close(found, torch.full((1, 2), 0.99 + 2.55))


def test_a_task_of_colour_images_is_rounded_too(make_cell):
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (80, 9, 9, 3), dtype=np.uint8)
    labels = np.arange(80) % 3
    arrays = Arrays(images[:60], labels[:60], images[60:], labels[60:], classes=3)
    data = Data("colours", digest_of(arrays), arrays)
    assert data.task == Task(3, 3, 9)
    cell = make_cell(family="vgg", options={"depth": 11}, train_size=40, validation_size=10, epochs=1)
    (member,) = train([Run(cell=cell, seed=0)], data, keep_weights=True)
    validation, test = rounded(member, "int8_static", data)
    assert (validation.shape, test.shape) == ((10, 3), (20, 3))
    assert np.isfinite(test).all()
