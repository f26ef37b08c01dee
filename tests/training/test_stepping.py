"""Ways of stepping a pack: whichever is taken, the same members; and what cannot be is refused."""

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ensembudget.datasets._base import Arrays, Data
from ensembudget.errors import PlanError
from ensembudget.families._build import describe
from ensembudget.packing.batches import scale_of
from ensembudget.packing.parts import parts_of
from ensembudget.records import Recipe, Recording, Run, Stepping
from ensembudget.stepping import step as stepping
from ensembudget.stepping.step import WAYS, faults
from ensembudget.training import loop
from ensembudget.training.loop import train

SEEDS = (3, 0, 5)
STEPS, PER_EPOCH = 20, 4  # 100 samples in batches of 32, the last of 4
MODES = {
    "bn_wd": {"learning_rate": 0.02},
    "sphere": {
        "mode": "sphere", "learning_rate": 0.02, "effective_learning_rate": 3e-3, "weight_decay": 0.0,
        "momentum": 0.0,
    },
}  # fmt: skip
FAMILIES = {
    "wide_resnet": {"options": {"depth": 10}},
    "vgg": {"options": {"depth": 11, "batch_norm": True}},
    "convnet": {"options": {}},
    "resnet18": {"options": {}},
}
CASES = [
    pytest.param({"family": family, **FAMILIES[family], **MODES[mode]}, id=f"{family}-{mode}")
    for family, mode in itertools.product(FAMILIES, MODES)
]
PLAIN_VGG = {"family": "vgg", "options": {"depth": 11}, "learning_rate": 0.01}
QUICK = [Stepping(pack=3, way=way) for way in WAYS]
SLOW = [
    Stepping(pack=3, layout="contiguous"),
    Stepping(pack=3, way="separate", layout="contiguous"),
    Stepping(pack=3, way="vmap", layout="contiguous"),
    Stepping(pack=3, compiled=True),
    Stepping(pack=3, layout="contiguous", compiled=True),
]


class Trace(NamedTuple):
    """What training gave, with every step's losses: (step, member)."""

    losses: np.ndarray
    results: list


@pytest.fixture(scope="module")
def few(digits) -> Data:
    """The digits with few test images: most of a test's time would go into them."""
    arrays = digits.arrays
    return Data(
        digits.name,
        digits.digest,
        Arrays(*arrays[:2], arrays.test_images[:30], arrays.test_labels[:30], arrays.classes),
    )


@pytest.fixture(scope="module")
def trace(few):
    """`trace(cell, seeds, stepping)` trains with every step's losses looked at.

    `like` is a cell whose members' random streams are taken: another cell's start from other weights.
    """

    def traced(cell, seeds, how=None, like=None, **options) -> Trace:
        losses = []

        def watched(*arguments):
            step = stepping.stepper(*arguments)

            def watching(*batch):
                losses.append(step(*batch))
                return losses[-1]

            return watching

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "stepper", watched)
            runs = [Run(cell=cell, seed=seed) for seed in seeds]
            for run in runs if like else ():
                vars(run)["stream_key"] = Run(cell=like, seed=run.seed).stream_key
            results = train(runs, few, stepping=how, keep_weights=True, **options)
        return Trace(torch.stack(losses).numpy(), results)

    return traced


@pytest.fixture(scope="module")
def alone(trace):
    """Every member of a cell trained by itself, the ordinary way."""

    @cache
    def trained(cell_json: str) -> Trace:
        run = Run.from_json(cell_json)
        each = [trace(run.cell, [seed]) for seed in SEEDS]
        return Trace(np.concatenate([one.losses for one in each], 1), [one.results[0] for one in each])

    return lambda cell: trained(Run(cell=cell, seed=0).to_json())


def exact_cell(make_cell, changes):
    return make_cell(**{"width": 2, "epochs": STEPS // PER_EPOCH, "precision": "float64", **changes})


def assert_as_alone(found: Trace, wanted: Trace, tolerance: float = 1e-8) -> None:
    """Agreement far beyond float32; rounding grows along twenty steps, so not to the last bit."""
    assert found.losses.shape == wanted.losses.shape == (STEPS, len(SEEDS))
    assert np.isfinite(wanted.losses).all()
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=0, atol=tolerance)
    for one, other in zip(found.results, wanted.results, strict=True):
        assert one.run == other.run
        assert one.weights.keys() == other.weights.keys()
        for name, tensor in other.weights.items():
            if name.endswith("num_batches_tracked"):
                assert one.weights[name] == tensor == STEPS, name
            else:
                np.testing.assert_allclose(one.weights[name], tensor, rtol=0, atol=tolerance, err_msg=name)
        # What a way gives in evaluation is float32.
        np.testing.assert_allclose(one.test_logits, other.test_logits, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-6)


@pytest.mark.parametrize("how", QUICK, ids=str)
@pytest.mark.parametrize("changes", CASES)
def test_every_way_gives_the_losses_and_statistics_of_members_alone(changes, how, make_cell, trace, alone):
    cell = exact_cell(make_cell, changes)
    wanted = alone(cell)
    assert any(name.endswith("running_var") for name in wanted.results[0].weights)
    assert_as_alone(trace(cell, SEEDS, how), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("how", SLOW, ids=str)
@pytest.mark.parametrize("changes", CASES)
def test_so_do_the_slower_and_the_compiled(changes, how, make_cell, trace, alone):
    cell = exact_cell(make_cell, changes)
    assert_as_alone(trace(cell, SEEDS, how), alone(cell))


@pytest.mark.parametrize("way", WAYS)
def test_so_does_every_way_in_the_other_layout(way, make_cell, trace, alone):
    cell = exact_cell(make_cell, {})
    assert_as_alone(trace(cell, SEEDS, Stepping(pack=3, way=way, layout="contiguous")), alone(cell))


@pytest.mark.parametrize("way", WAYS)
def test_a_network_without_batch_norm_goes_every_way_too(way, make_cell, trace, alone):
    cell = exact_cell(make_cell, PLAIN_VGG)
    assert_as_alone(trace(cell, SEEDS, Stepping(pack=3, way=way)), alone(cell))


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_a_pack_of_one_goes_every_way(way, make_cell, trace, alone):
    cell = exact_cell(make_cell, {})
    wanted = alone(cell)
    for i, seed in enumerate(SEEDS):
        found = trace(cell, [seed], Stepping(way=way))
        np.testing.assert_allclose(found.losses[:, 0], wanted.losses[:, i], rtol=0, atol=1e-8)


def test_the_last_pack_may_be_smaller_than_the_others(make_cell, trace, alone):
    cell = exact_cell(make_cell, {})
    for way in WAYS:
        assert_as_alone(trace(cell, SEEDS, Stepping(pack=8, way=way)), alone(cell))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_twice_is_the_same_to_the_bit(way, tiny_cell, trace):
    first, second = (trace(tiny_cell, SEEDS, Stepping(pack=3, way=way)) for _ in range(2))
    assert np.array_equal(first.losses, second.losses)
    for one, other in zip(first.results, second.results, strict=True):
        assert one.test_logits.tobytes() == other.test_logits.tobytes()


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_a_member_that_diverges_leaves_the_others_as_they_were_whatever_the_way(
    way, tiny_cell, trace, monkeypatch
):
    how = Stepping(pack=3, way=way)
    calm = trace(tiny_cell, SEEDS, how)
    build = loop.build_network

    def poisoned(*arguments):
        network = build(*arguments)
        with torch.no_grad():
            network.layers[0].weight.chunk(3)[1].fill_(float("inf"))
        return network

    monkeypatch.setattr(loop, "build_network", poisoned)
    found = trace(tiny_cell, SEEDS, how)
    assert [one.diverged_at for one in found.results] == [None, 0, None]
    for i in (0, 2):
        assert np.array_equal(found.losses[:, i], calm.losses[:, i])
        assert np.array_equal(found.results[i].test_logits, calm.results[i].test_logits)


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_a_history_is_the_same_whatever_the_way(way, make_cell, trace, tmp_path):
    record = Recording(
        every=2, test_size=20, fixed_pass=True, steps=2, curvature=2, curvature_size=10, eigenvalues=0
    )
    cell = make_cell(epochs=3, precision="float64", learning_rate=0.02, record=record)
    tables = {}
    for how in (Stepping(pack=3), Stepping(pack=3, way=way)):
        histories = tmp_path / how.way
        histories.mkdir()
        results = trace(cell, SEEDS, how, histories=histories).results
        tables[how.way] = [
            {path.name: pq.read_table(path).to_pydict() for path in sorted(one.history.iterdir())}
            for one in results
        ]
    for one, other in zip(tables["grouped"], tables[way], strict=True):
        assert sorted(one) == sorted(other) == ["epochs.parquet", "steps.parquet"]
        for name in one:
            assert one[name].keys() == other[name].keys()
            for column, values in one[name].items():
                if column != "seconds":
                    np.testing.assert_allclose(
                        np.array(other[name][column], float), np.array(values, float), rtol=1e-6, atol=1e-9,
                        err_msg=column,
                    )  # fmt: skip


# Which way a batch takes.


@pytest.mark.parametrize(("size", "batches"), [(100, [32, 32, 32]), (64, [32, 32]), (20, [20])])
def test_batches_of_another_size_take_the_ordinary_way(size, batches, make_cell, trace, monkeypatch):
    """Or a compiled network would be compiled once more for one step an epoch."""
    taken = []

    def counted(network, single, members):
        def forward(images):
            taken.append(len(images))
            return network(images)

        return forward

    monkeypatch.setitem(stepping.WAYS, "separate", counted)
    trace(make_cell(train_size=size, epochs=2), SEEDS, Stepping(pack=3, way="separate"))
    assert taken == 2 * batches


@pytest.mark.slow
def test_the_next_pack_finds_the_compiled_code_of_the_last(make_cell, trace):
    """Compiling takes longer than a short run, and a run has many packs."""
    graphs = torch._dynamo.utils.counters["stats"]
    cell = make_cell(width=3)
    trace(cell, SEEDS, Stepping(pack=3, compiled=True))
    before = graphs["unique_graphs"]
    assert before > 0
    trace(cell, (7, 8, 9), Stepping(pack=3, compiled=True))
    assert graphs["unique_graphs"] == before
    trace(cell, (7, 8), Stepping(pack=2, compiled=True))  # which is another shape
    assert graphs["unique_graphs"] > before


@pytest.mark.parametrize(("layout", "last"), [("channels_last", True), ("contiguous", False)])
def test_the_layout_is_that_of_the_weights(layout, last, make_cell, few):
    runs = [Run(cell=make_cell(), seed=seed) for seed in SEEDS]
    network = loop.build_network(runs, few, torch.device("cpu"), layout)
    weights = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert weights
    for weight in weights:
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
        assert weight.is_contiguous() != last


# What is rounded.


def test_rounded_steps_train_nearly_as_unrounded_ones(make_cell, trace):
    changes = {"epochs": 5, "width": 6, "train_size": 320, "crop_padding": 0, "flip": False}
    plain = make_cell(**changes)
    losses = []
    for cell in (plain, make_cell(precision="bfloat16", **changes)):
        found = trace(cell, SEEDS, Stepping(pack=3), like=plain)
        losses.append(np.stack([one.train_loss for one in found.results]))
        for one in found.results:
            assert one.diverged_at is None
            assert one.test_logits.dtype == one.validation_logits.dtype == np.float32
            types = {tensor.dtype for tensor in one.weights.values() if tensor.ndim}
            assert types == {np.dtype(np.float32)}
    assert not np.array_equal(*losses)
    assert (losses[1][:, -1] < losses[1][:, 0] / 3).all()
    np.testing.assert_allclose(losses[1][:, -1], losses[0][:, -1], rtol=0.2, atol=0.02)


@pytest.mark.parametrize(
    "how",
    [*QUICK, pytest.param(Stepping(pack=3, compiled=True), marks=pytest.mark.slow)],
    ids=str,
)
def test_rounded_losses_are_near_the_unrounded_whatever_the_way(how, make_cell, trace):
    plain, rounded = (make_cell(precision=p, learning_rate=0.02) for p in ("float32", "bfloat16"))
    wanted = trace(plain, SEEDS, how).losses
    found = trace(rounded, SEEDS, how, like=plain).losses
    assert found.dtype == np.float32
    assert abs(found - wanted).max() > 1e-4  # or nothing was rounded
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.03)


def test_logits_are_computed_unrounded_from_the_weights_that_rounded_steps_gave(make_cell, trace, few):
    cell = make_cell(precision="bfloat16")
    result = trace(cell, SEEDS, Stepping(pack=3)).results[1]
    network = describe("wide_resnet", 4, few.task, options={"depth": 10}).to_empty(device="cpu")
    network.load_state_dict({k: torch.from_numpy(v) for k, v in result.weights.items()})
    parts = parts_of(cell, few.arrays)
    images = scale_of("dataset", parts.images)(parts.test_images).permute(0, 3, 1, 2)
    network.eval()
    with torch.no_grad():
        unrounded = network(images).numpy()
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(images).float().numpy()
    np.testing.assert_allclose(result.test_logits, unrounded, rtol=1e-4, atol=1e-4)
    assert abs(rounded - unrounded).max() > 1e-3  # so that the line above can tell


def test_rounded_members_are_other_members(make_cell):
    keys = {make_cell(precision=precision).key for precision in ("float32", "float64", "bfloat16")}
    assert len(keys) == 3


# What cannot be.


SPECIAL = [
    Stepping(pack=2, way="separate"),
    Stepping(pack=2, way="vmap"),
    Stepping(pack=2, compiled=True),
    Stepping(pack=2, layout="contiguous", compiled=True),
]


def recipe(**changes) -> Recipe:
    return Recipe(**{"epochs": 1, "learning_rate": 0.1, "weight_decay": 0.0, **changes})


@pytest.mark.parametrize("how", [Stepping(), *QUICK, *SLOW, *SPECIAL], ids=str)
@pytest.mark.parametrize("recorded", [False, True])
def test_without_dropout_nothing_that_is_not_captured_is_refused(how, recorded):
    for device in ("cpu", "cuda", "cuda:1"):
        assert faults(how, recipe(), device, recorded=recorded) == []


@pytest.mark.parametrize("how", SPECIAL, ids=str)
def test_dropout_is_refused_whatever_is_special(how):
    for device in ("cpu", "cuda"):
        (fault,) = faults(how, recipe(dropout=0.3), device, recorded=False)
        assert "dropout 0.3" in fault
        words = [how.way] if how.way != "grouped" else []
        assert all(word in fault.split("this is")[1] for word in words + ["compiled"] * how.compiled)
        assert fault.endswith(".")


def test_dropout_is_not_refused_in_grouped_packs_of_any_layout():
    for layout in ("channels_last", "contiguous"):
        assert faults(Stepping(pack=9, layout=layout), recipe(dropout=0.3), "cpu", recorded=True) == []


def test_captured_steps_need_cuda_and_nobody_who_looks():
    captured = Stepping(captured=True)
    (no_gpu,) = faults(captured, recipe(), "cpu", recorded=False)
    assert "CUDA" in no_gpu
    assert "'cpu'" in no_gpu
    (looked_at,) = faults(captured, recipe(), "cuda:0", recorded=True)
    assert "recorded" in looked_at
    assert faults(captured, recipe(), "cuda", recorded=False) == []


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_compiled_steps_are_grouped(way):
    (fault,) = faults(Stepping(way=way, compiled=True), recipe(), "cpu", recorded=False)
    assert "'grouped'" in fault
    assert repr(way) in fault


def test_all_faults_are_named_at_once():
    found = faults(Stepping(way="vmap", captured=True), recipe(dropout=0.5), "cpu", recorded=True)
    assert len(found) == 3
    assert "captured, vmap" in found[2]


@pytest.mark.parametrize(
    ("how", "changes", "word"),
    [
        (Stepping(captured=True), {}, "CUDA"),
        (Stepping(captured=True), {"record": Recording()}, "recorded"),
        (Stepping(way="vmap", compiled=True), {}, "'grouped'"),
        *((how, {"dropout": 0.3}, "dropout 0.3") for how in SPECIAL),
    ],
    ids=str,
)
def test_training_refuses_what_cannot_be(how, changes, word, make_cell, few, monkeypatch):
    monkeypatch.setattr(loop, "build_network", lambda *arguments: pytest.fail("it began"))
    with pytest.raises(PlanError, match=word):
        train([Run(cell=make_cell(**changes), seed=0)], few, stepping=how)
