"""Ways of stepping a pack: whichever is taken, the same members; and what cannot be is refused."""

import itertools
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ensembudget.catalog import WAYS
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.errors import SteppingError
from ensembudget.families._build import describe
from ensembudget.packing.network import build_network
from ensembudget.packing.parts import parts_of
from ensembudget.records import Cell, Recipe, Recording, Run, Stepping
from ensembudget.stepping.check import faults
from ensembudget.stepping.pack import assemble
from ensembudget.stepping.ways._base import Way
from ensembudget.tasks.images import scale_of
from ensembudget.training.loop import Trained, train

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


@pytest.fixture(scope="module")
def few(digits) -> Data:
    """The digits with few test images: most of a test's time would go into them."""
    arrays = digits.arrays
    return Data(
        digits.name,
        digits.digest,
        Arrays(*arrays[:2], arrays.test_inputs[:30], arrays.test_labels[:30], arrays.classes),
    )


def runs_of(cell, seeds=SEEDS) -> list[Run]:
    return [Run(cell=cell, seed=seed) for seed in seeds]


@pytest.fixture(scope="module")
def trained(few):
    """`trained(cell, stepping)` is what training gives each member, weights too."""

    def members(cell, how=None, seeds=SEEDS, **options) -> list[Trained]:
        return train(runs_of(cell, seeds), few, stepping=how, keep_weights=True, **options)

    return members


@pytest.fixture(scope="module")
def alone(trained):
    """Every member of a cell trained by itself, the ordinary way."""

    @cache
    def each(cell_json: str) -> list[Trained]:
        return [trained(Cell.from_json(cell_json), seeds=[seed])[0] for seed in SEEDS]

    return lambda cell: each(cell.to_json())


@pytest.fixture(scope="module")
def losses(few):
    """`losses(cell, stepping, like=other)`: every step's, (step, member), from the weights of the other."""

    def found(cell, how, like) -> np.ndarray:
        parts = parts_of(cell, few.arrays)
        pack, other = (
            assemble(runs_of(one), parts, few.task, "cpu", how or Stepping()) for one in (cell, like)
        )
        pack.network.load_state_dict(other.network.state_dict())
        pack.network.train()
        orders = [torch.Generator().manual_seed(seed) for seed in SEEDS]
        steps = [pack.step(*batch, None) for _ in range(cell.recipe.epochs) for batch in pack.batches(orders)]
        return torch.stack(steps).numpy()

    return found


def exact_cell(make_cell, changes):
    return make_cell(**{"width": 2, "epochs": STEPS // PER_EPOCH, "precision": "float64", **changes})


def assert_as_alone(found: list[Trained], wanted: list[Trained], tolerance: float = 1e-8) -> None:
    """Agreement far beyond float32; rounding grows along twenty steps, so not to the last bit."""
    for one, other in zip(found, wanted, strict=True):
        assert one.run == other.run
        assert one.diverged_at is other.diverged_at is None
        assert one.weights.keys() == other.weights.keys()
        for name, tensor in other.weights.items():
            if name.endswith("num_batches_tracked"):
                assert one.weights[name] == tensor == STEPS, name
            else:
                np.testing.assert_allclose(one.weights[name], tensor, rtol=0, atol=tolerance, err_msg=name)
        # Logits and what is told of the losses are float32.
        np.testing.assert_allclose(one.test_logits, other.test_logits, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-6)


@pytest.mark.parametrize("how", QUICK, ids=str)
@pytest.mark.parametrize("changes", CASES)
def test_every_way_gives_the_losses_and_statistics_of_members_alone(changes, how, make_cell, trained, alone):
    cell = exact_cell(make_cell, changes)
    wanted = alone(cell)
    assert any(name.endswith("running_var") for name in wanted[0].weights)
    assert_as_alone(trained(cell, how), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("how", SLOW, ids=str)
@pytest.mark.parametrize("changes", CASES)
def test_so_do_the_slower_and_the_compiled(changes, how, make_cell, trained, alone):
    cell = exact_cell(make_cell, changes)
    assert_as_alone(trained(cell, how), alone(cell))


@pytest.mark.parametrize("way", list(WAYS))
def test_so_does_every_way_in_the_other_layout(way, make_cell, trained, alone):
    cell = exact_cell(make_cell, {})
    assert_as_alone(trained(cell, Stepping(pack=3, way=way, layout="contiguous")), alone(cell))


@pytest.mark.parametrize("way", list(WAYS))
def test_a_network_without_batch_norm_goes_every_way_too(way, make_cell, trained, alone):
    cell = exact_cell(make_cell, PLAIN_VGG)
    assert_as_alone(trained(cell, Stepping(pack=3, way=way)), alone(cell))


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_a_pack_of_one_goes_every_way(way, make_cell, trained, alone):
    cell = exact_cell(make_cell, {})
    wanted = alone(cell)
    for i, seed in enumerate(SEEDS):
        assert_as_alone(trained(cell, Stepping(way=way), [seed]), wanted[i : i + 1])


def test_the_last_pack_may_be_smaller_than_the_others(make_cell, trained, alone):
    cell = exact_cell(make_cell, {})
    for way in WAYS:
        assert_as_alone(trained(cell, Stepping(pack=8, way=way)), alone(cell))


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_twice_is_the_same_to_the_bit(way, tiny_cell, trained):
    first, second = (trained(tiny_cell, Stepping(pack=3, way=way)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.train_loss.tobytes() == other.train_loss.tobytes()
        assert one.test_logits.tobytes() == other.test_logits.tobytes()


@pytest.mark.parametrize("way", list(WAYS))
def test_a_member_that_diverges_leaves_the_others_as_they_were_whatever_the_way(
    way, tiny_cell, trained, plug_in
):
    def forward(network, single, members):
        with torch.no_grad():
            network.layers[0].weight.chunk(3)[1].fill_(float("inf"))
        return WAYS[way].forward(network, single, members)

    plug_in("ways", "poisoned", way=Way(forward))
    calm, found = (trained(tiny_cell, Stepping(pack=3, way=one)) for one in (way, "poisoned"))
    assert [one.diverged_at for one in found] == [None, 0, None]
    for i in (0, 2):
        assert np.array_equal(found[i].train_loss, calm[i].train_loss)
        assert np.array_equal(found[i].test_logits, calm[i].test_logits)


@pytest.mark.parametrize("way", ["separate", "vmap"])
def test_a_history_is_the_same_whatever_the_way(way, make_cell, trained, tmp_path):
    record = Recording(
        every=2, test_size=20, fixed_pass=True, steps=2, curvature=2, curvature_size=10, eigenvalues=0
    )
    cell = make_cell(epochs=3, precision="float64", learning_rate=0.02, record=record)
    tables = {}
    for how in (Stepping(pack=3), Stepping(pack=3, way=way)):
        histories = tmp_path / how.way
        histories.mkdir()
        results = trained(cell, how, histories=histories)
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
def test_batches_of_another_size_take_the_ordinary_way(size, batches, make_cell, trained, plug_in):
    """Or a compiled network would be compiled once more for one step an epoch."""
    taken = []

    def counted(network, single, members):
        def forward(images):
            taken.append(len(images))
            return network(images)

        return forward

    plug_in("ways", "counted", way=Way(counted))
    trained(make_cell(train_size=size, epochs=2), Stepping(pack=3, way="counted"))
    assert taken == 2 * batches


@pytest.mark.slow
def test_the_next_pack_finds_the_compiled_code_of_the_last(make_cell, trained):
    """Compiling takes longer than a short run, and a run has many packs."""
    graphs = torch._dynamo.utils.counters["stats"]
    cell = make_cell(width=3)
    trained(cell, Stepping(pack=3, compiled=True))
    before = graphs["unique_graphs"]
    assert before > 0
    trained(cell, Stepping(pack=3, compiled=True), (7, 8, 9))
    assert graphs["unique_graphs"] == before
    trained(cell, Stepping(pack=2, compiled=True), (7, 8))  # which is another shape
    assert graphs["unique_graphs"] > before


@pytest.mark.parametrize(("layout", "last"), [("channels_last", True), ("contiguous", False)])
def test_the_layout_is_that_of_the_weights(layout, last, make_cell, few):
    runs = [Run(cell=make_cell(), seed=seed) for seed in SEEDS]
    network = build_network(runs, few.task, torch.device("cpu"), layout)
    weights = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert weights
    for weight in weights:
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
        assert weight.is_contiguous() != last


# What is rounded.


def test_rounded_steps_train_nearly_as_unrounded_ones(make_cell, losses):
    changes = {"epochs": 5, "width": 6, "train_size": 320, "crop_padding": 0, "flip": False}
    changes["learning_rate"] = 0.03
    plain, rounded = (make_cell(precision=p, **changes) for p in ("float32", "bfloat16"))
    found = [losses(cell, None, like=plain).reshape(5, -1, len(SEEDS)).mean(1) for cell in (plain, rounded)]
    assert not np.array_equal(*found)
    assert (found[1][-1] < found[1][0] / 3).all()
    np.testing.assert_allclose(found[1][-1], found[0][-1], rtol=0.2, atol=0.02)


def test_rounded_steps_leave_unrounded_weights_and_logits(make_cell, trained):
    for one in trained(make_cell(precision="bfloat16"), Stepping(pack=3)):
        assert one.diverged_at is None
        assert one.test_logits.dtype == one.validation_logits.dtype == np.float32
        assert {tensor.dtype for tensor in one.weights.values() if tensor.ndim} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "how",
    [*QUICK, pytest.param(Stepping(pack=3, compiled=True), marks=pytest.mark.slow)],
    ids=str,
)
def test_rounded_losses_are_near_the_unrounded_whatever_the_way(how, make_cell, losses):
    plain, rounded = (make_cell(precision=p, learning_rate=0.02) for p in ("float32", "bfloat16"))
    wanted, found = (losses(cell, how, like=plain) for cell in (plain, rounded))
    assert found.dtype == np.float32
    assert abs(found - wanted).max() > 1e-4  # or nothing was rounded
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.03)


def test_logits_are_computed_unrounded_from_the_weights_that_rounded_steps_gave(make_cell, trained, few):
    cell = make_cell(precision="bfloat16")
    result = trained(cell, Stepping(pack=3))[1]
    network = describe("wide_resnet", 4, few.task, options={"depth": 10}).to_empty(device="cpu")
    network.load_state_dict({k: torch.from_numpy(v) for k, v in result.weights.items()})
    parts = parts_of(cell, few.arrays)
    images = scale_of("dataset", parts.inputs)(parts.test.inputs).permute(0, 3, 1, 2)
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
        assert ("compiled" if how.compiled else repr(how.way)) in fault
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
    assert all(word in said for word, said in zip(("CUDA", "recorded", "dropout 0.5"), found, strict=True))


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
def test_training_refuses_what_cannot_be(how, changes, word, make_cell, few):
    with pytest.raises(SteppingError, match=word):
        train([Run(cell=make_cell(**changes), seed=0)], few, stepping=how)
