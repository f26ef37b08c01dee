"""What every kind of budget keeps, and each of them against a count made by hand."""

import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ensembudget.budgets import activations
from ensembudget.budgets._parse import parse_budget
from ensembudget.catalog import BUDGETS, FAMILIES, TASKS
from ensembudget.errors import PlanError, UnknownPartError
from ensembudget.families._build import describe
from ensembudget.families._layers import Linear
from ensembudget.planning.widths import cost
from ensembudget.records import Task
from ensembudget.training.rounding import _layers


def measured(network, task, kind, dtype="float32"):
    return BUDGETS[kind].measure(network, task, dtype)


@pytest.mark.parametrize("kind", list(BUDGETS))
@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_kind_grows_with_width(kind, family):
    part = FAMILIES[family]
    step, tasks = part.multiple_of(part.options), [TASKS[one].smallest for one in sorted(part.tasks)]
    for task in tasks:
        costs = [cost(family, number * step, task, kind) for number in range(1, 13)]
        assert all(isinstance(c, int) and c > 0 for c in costs)
        assert all(a < b for a, b in itertools.pairwise(costs)), costs


@pytest.mark.parametrize("kind", list(BUDGETS))
def test_measuring_takes_no_memory_and_no_random_numbers(kind):
    before = torch.get_rng_state()
    assert cost("vgg", 4096, Task(10, 3, 32), kind) > 10**6  # its weights alone would be 250 GB
    assert torch.equal(torch.get_rng_state(), before)


class Small(nn.Module):
    """conv 1->2 3x3, batch norm, linear 2x8x8 -> 3, with biases."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2)
        self.head = nn.Linear(2 * 8 * 8, 3)

    def forward(self, x):
        return self.head(self.bn(self.conv(x)).flatten(1))


@pytest.fixture
def small():
    with torch.device("meta"):
        return Small()


TASK = Task(3, 1, 8)
CONV, NORM, HEAD = 2 * 9 + 2, 2 + 2, 3 * 128 + 3


def test_parameters_are_weights_and_biases(small):
    assert measured(small, TASK, "parameters") == CONV + NORM + HEAD


def test_frozen_parameters_count_for_they_are_stored_too(small):
    small.head.requires_grad_(False)
    assert measured(small, TASK, "parameters") == CONV + NORM + HEAD


def test_a_convnet_with_a_frozen_head_costs_its_scale_invariant_parameters_and_the_head():
    width, classes = 4, 10
    invariant, head = 27 * width + 378 * width**2, 8 * width * classes + classes
    task, options = Task(classes, 3, 32), {"invariance": "full"}
    assert cost("convnet", width, task, options=options) == invariant + head == 6_486
    network = describe("convnet", width, task, options=options)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == invariant == 6_156


@pytest.mark.parametrize(("dtype", "each"), [("float32", 4), ("float16", 2), ("bfloat16", 2)])
def test_bytes_are_parameters_and_running_statistics_at_the_dtype(small, dtype, each):
    statistics = 2 + 2  # mean and variance; the count of batches is not needed to predict
    assert measured(small, TASK, "bytes", dtype) == each * (CONV + NORM + HEAD + statistics)


def test_bytes_in_int8_are_a_byte_a_weight_and_four_for_all_else(small):
    weights, scales, others = 2 * 9 + 3 * 128, 2 + 3, (2 + 3) + NORM + (2 + 2)
    assert measured(small, TASK, "bytes", "int8") == weights + 4 * (scales + others)
    ranges = 2 * (4 + 1)  # of what goes into the convolution and the linear layer
    assert measured(small, TASK, "bytes", "int8_static") == weights + 4 * (scales + others) + ranges


@pytest.mark.parametrize("kind", sorted(FAMILIES["transformer"].tasks))
def test_int8_static_has_a_range_for_every_layer_whose_inputs_training_rounds(kind):
    """Embeddings take whole numbers, and have a range only where they are the output layer too."""
    task = TASKS[kind].smallest
    network = describe("transformer", 2, task, options={"layers": 1, "heads": 1})
    rounded = [*_layers(network)]
    more = measured(network, task, "bytes", "int8_static") - measured(network, task, "bytes", "int8")
    assert more == (4 + 1) * len(rounded)


def test_flops_of_a_small_network_are_two_a_multiplication(small):
    assert measured(small, TASK, "flops") == 2 * (8 * 8 * 2 * 9) + 2 * (128 * 3)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("vgg", {"depth": 11, "batch_norm": True}),
        ("vgg", {"depth": 16}),
        ("wide_resnet", {"depth": 10}),
        ("wide_resnet", {"depth": 28}),
    ],
)
@pytest.mark.parametrize("size", [9, 32])
def test_flops_are_those_of_convolutions_and_linears(family, options, size):
    task, total = Task(10, 3, size), 0
    network = describe(family, 5, task, options=options).eval()

    def convolution(module, inputs, out):
        nonlocal total
        kernel = module.kernel_size[0] * module.kernel_size[1]
        total += 2 * out.shape[1] * out.shape[2] * out.shape[3] * kernel * module.in_channels

    def linear(module, inputs, out):
        nonlocal total
        total += 2 * inputs[0].shape[1] * out.shape[1]

    hooks = {nn.Conv2d: convolution, Linear: linear}
    for module in network.modules():
        for kind, hook in hooks.items():
            if isinstance(module, kind):
                module.register_forward_hook(hook)
    network(torch.empty(1, 3, size, size, device="meta"))
    assert cost(family, 5, task, "flops", options=options) == total > 0


def test_activations_of_a_chain_peak_where_two_neighbours_are_widest():
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
    pixels = 8 * 8
    # The image stays; each layer has its input and its output: (1+2), (1+2+2), (1+2+3) x 64.
    assert activations.measure(network, TASK, "float32") == (1 + 2 + 3) * pixels


def test_activations_done_in_place_count_once():
    def chain(inplace):
        with torch.device("meta"):
            return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=inplace))

    assert activations.measure(chain(True), TASK, "float32") == (1 + 4) * 64
    assert activations.measure(chain(False), TASK, "float32") == (1 + 4 + 4) * 64


def test_activations_of_a_residual_block_hold_its_shortcut():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 3, 1)
            self.inner = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Conv2d(5, 3, 1))

        def forward(self, x):
            x = self.first(x)
            return x + self.inner(x)

    with torch.device("meta"):
        network = Residual()
    # image 1, shortcut 3, and within the branch 5 beside 3.
    assert activations.measure(network, TASK, "float32") == (1 + 3 + 5 + 3) * 64


def test_activations_of_wide_resnet_peak_where_its_second_stage_begins():
    # There the block's input (k) waits for the shortcut while the first convolution's output (2k) goes
    # through batch norm (2k more), beside the image. Python's frames hold at most the stem's output (k)
    # and the second convolution's result, a quarter as large (k/2), beyond that.
    for k in (4, 8):
        peak = cost("wide_resnet", k, Task(10, 3, 16), "activations", options={"depth": 10})
        assert (3 + 5 * k) * 16**2 <= peak <= (3 + 6.5 * k) * 16**2


def test_activations_do_not_depend_on_the_dtype_asked_for_bytes():
    costs = {cost("vgg", 4, Task(10, 3, 32), "activations", dtype=d) for d in ("float32", "int8")}
    assert len(costs) == 1


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("36.8M", None, (36_800_000, "parameters")),
        ("250k", None, (250_000, "parameters")),
        ("250K", None, (250_000, "parameters")),
        (" 1.5 G ", None, (1_500_000_000, "parameters")),
        ("36_755_940", None, (36_755_940, "parameters")),
        ("36,755,940", None, (36_755_940, "parameters")),
        (36_755_940, None, (36_755_940, "parameters")),
        ("1e6", None, (1_000_000, "parameters")),
        ("3B", None, (3_000_000_000, "parameters")),
        ("3B", "bytes", (3, "bytes")),
        ("40MB", None, (40_000_000, "bytes")),
        ("40MB", "bytes", (40_000_000, "bytes")),
        ("1GiB", None, (2**30, "bytes")),
        ("1.5KiB", None, (1536, "bytes")),
        ("12 bytes", None, (12, "bytes")),
        ("5.2GFLOP", None, (5_200_000_000, "flops")),
        ("5.2 GFLOPs", "flops", (5_200_000_000, "flops")),
        ("2M", "activations", (2_000_000, "activations")),
    ],
)
def test_a_budget_reads_as_people_write_it(text, kind, wanted):
    assert parse_budget(text, kind) == wanted


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**15), st.sampled_from([None, "parameters", "activations"]))
def test_a_whole_number_reads_as_itself(number, kind):
    for written in (number, str(number), f"{number:,}", f"{number:_}", f" {number} "):
        assert parse_budget(written, kind) == (number, kind or "parameters")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 99_999), st.sampled_from(["k", "M", "G", "T"]), st.sampled_from(["", "B", "FLOP"]))
def test_a_prefix_is_a_power_of_a_thousand(number, prefix, unit):
    kind = {"": "parameters", "B": "bytes", "FLOP": "flops"}[unit]
    factor = 1000 ** (1 + "kMGT".index(prefix))
    assert parse_budget(f"{number}{prefix}{unit}", kind) == (number * factor, kind)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("12 Q", None, ["'12 Q'", "unknown unit 'Q'", "36.8M"]),
        ("", None, ["budget ''", "not a number"]),
        ("-5", None, ["'-5'", "not a number"]),
        ("M", None, ["'M'", "not a number"]),
        ("nan", None, ["'nan'", "not a number"]),
        ("1.2.3", None, ["'1.2.3'", "not a number"]),
        ("36.8m", None, ["unknown unit 'm'"]),
        ("40MB", "parameters", ["'40MB'", "bytes", "'parameters'", "choose kind 'bytes'", "--budget-kind"]),
        ("5GFLOP", "bytes", ["FLOP", "'bytes'"]),
        ("0.2", None, ["0.2", "is 0 parameters", "at least 1"]),
        ("0", None, ["is 0 parameters"]),
        (-5, None, ["-5"]),
        ("5M", "memory", ["no budget 'memory'", "Known:"]),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_its_text(text, kind, words):
    with pytest.raises((PlanError, UnknownPartError)) as caught:
        parse_budget(text, kind)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("text", ["1e400", "9" * 400])
def test_a_budget_beyond_floating_point_is_refused(text):
    with pytest.raises(PlanError, match="budget"):
        parse_budget(text)


def test_a_whole_number_beyond_a_floats_precision_stays_exact():
    assert parse_budget(2**53 + 1) == (2**53 + 1, "parameters")


def test_a_comma_that_separates_no_thousands_is_refused():
    """1,5M is one and a half million where commas are decimal; 15 million is nobody's reading."""
    with pytest.raises(PlanError, match=re.escape("1,5M")):
        parse_budget("1,5M")


def test_a_bare_number_is_of_the_kind_that_is_asked_for():
    assert parse_budget(40_000_000, "bytes") == (40_000_000, "bytes")
    assert parse_budget("5200000000", "flops") == (5_200_000_000, "flops")
