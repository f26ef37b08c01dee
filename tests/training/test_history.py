"""Histories: what is recorded is what independent sums give, and nobody trains otherwise for it."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.datasets._order import permutation
from ensembudget.families._build import describe, materialise
from ensembudget.families._invariance import invariant_of
from ensembudget.packing.parts import parts_of
from ensembudget.packing.streams import stream
from ensembudget.records import Recording, Run, Stepping
from ensembudget.stepping.ways._base import Way
from ensembudget.tasks.images import Pixels, Scale, scale_of
from ensembudget.training.curvature import curvature
from ensembudget.training.history import EPOCHS, ROWS, STEPS, Log
from ensembudget.training.loop import train

WRN = {"depth": 10, "invariance": "full"}
EVERYTHING = Recording(
    every=2, test_size=100, fixed_pass=True, steps=3, curvature=2, curvature_size=10, eigenvalues=0
)
# Images as they are, so that batches can be written out by hand.
STILL = {"crop_padding": 0, "flip": False}


def order_of(count, generator):
    """Of images that are neither cut out nor mirrored."""
    return Pixels(Scale(torch.zeros(1), torch.ones(1))).draw(count, generator).order


def runs_of(cell, *seeds):
    return [Run(cell=cell, seed=seed) for seed in seeds]


def table(path):
    return {name: np.array(column) for name, column in pq.read_table(path).to_pydict().items()}


def epochs_of(result):
    return table(result.history / EPOCHS)


def steps_of(result):
    return table(result.history / STEPS)


# Training is the same.


DROPOUT = {"family": "wide_resnet", "options": {"depth": 10, "invariance": "practical"}}
WATCHED = [
    pytest.param({"record": Recording()}, id="epochs"),
    pytest.param({"record": Recording(steps=1)}, id="steps"),
    pytest.param({"record": Recording(fixed_pass=True)}, id="fixed_pass"),
    pytest.param({"record": Recording(curvature=1, curvature_size=10, eigenvalues=1)}, id="curvature"),
    pytest.param({"record": EVERYTHING, "precision": "float64"}, id="everything"),
    pytest.param({"record": EVERYTHING, **DROPOUT, "dropout": 0.3}, id="wide_resnet-dropout"),
    pytest.param(
        {
            "record": EVERYTHING,
            "family": "vgg",
            "options": {"depth": 11, "batch_norm": True, "invariance": "practical"},
            "learning_rate": 0.01,
            "dropout": 0.3,
        },
        id="vgg-dropout",
    ),
    pytest.param(
        {
            "record": EVERYTHING,
            "family": "resnet18",
            "options": {},
            "width": 1,
            "mode": "sphere",
            "effective_learning_rate": 0.01,
            "weight_decay": 0.0,
            "momentum": 0.0,
        },
        id="sphere",
    ),
]


@pytest.mark.parametrize("changes", WATCHED)
@pytest.mark.parametrize("seeds", [(3,), (3, 0)], ids=["alone", "packed"])
def test_a_member_is_the_same_to_the_bit_with_a_history_and_without(
    make_cell, digits, tmp_path, changes, seeds
):
    cell = make_cell(**{"family": "convnet", "options": {}, "width": 2, "train_size": 70} | changes)
    watched = train(runs_of(cell, *seeds), digits, keep_weights=True, histories=tmp_path)
    unseen = train(runs_of(cell, *seeds), digits, keep_weights=True)
    for one, other in zip(watched, unseen, strict=True):
        assert one.history == tmp_path / one.run.key
        assert other.history is None
        assert one.diverged_at is other.diverged_at is None
        for field in ("train_loss", "validation_logits", "test_logits"):
            assert np.array_equal(getattr(one, field), getattr(other, field)), field
        assert one.weights.keys() == other.weights.keys()
        for name, tensor in other.weights.items():
            assert np.array_equal(one.weights[name], tensor), name


def test_a_cell_that_asks_for_nothing_has_no_history(tiny_cell, digits, tmp_path):
    (result,) = train(runs_of(tiny_cell, 0), digits, histories=tmp_path)
    assert result.history is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", [Recording(steps=1), EVERYTHING], ids=["steps", "everything"])
def test_neither_drawing_nor_touching_global_random_states(make_cell, digits, tmp_path, record):
    cell = make_cell(options=WRN, dropout=0.3, record=record)
    before = torch.get_rng_state()
    train(runs_of(cell, 0), digits, histories=tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# Steps: the identities of conventional training.


CONVENTIONAL = {
    "learning_rate": 0.1,
    "weight_decay": 1e-2,
    "momentum": 0.0,
    "schedule": "constant",
    "precision": "float64",
    **STILL,
}


def identities(steps, decay):
    """The squared norm after each step from what was before it, with the radial term and without."""
    rate, squared, gradient = steps["rate"], steps["squared_norm"], steps["squared_gradient_norm"]
    shrunk = 1 - rate * decay
    tangential = shrunk**2 * squared + rate**2 * gradient
    return tangential, tangential - 2 * rate * shrunk * steps["weights_dot_gradient"]


@pytest.fixture(scope="module")
def long_run(make_cell, digits, tmp_path_factory):
    """Forty epochs of a fully invariant ConvNet, a row at every step."""
    cell = make_cell(
        family="convnet", options={"invariance": "full"}, epochs=40, train_size=500, batch_size=64,
        record=Recording(steps=1, test_size=0), **CONVENTIONAL,
    )  # fmt: skip
    (result,) = train(runs_of(cell, 0), digits, histories=tmp_path_factory.mktemp("long"))
    return steps_of(result)


def test_the_norm_goes_as_decay_and_gradient_have_it(long_run):
    assert len(long_run["step"]) == 40 * 8
    wanted, _ = identities(long_run, 1e-2)
    change = np.abs(long_run["squared_norm_after"] - long_run["squared_norm"])
    assert (np.abs(long_run["squared_norm_after"] - wanted) <= 0.01 * change).all()


def test_the_angle_of_a_step_is_that_of_the_effective_rate_and_gradient(long_run):
    shrunk = 1 - long_run["rate"] * 1e-2
    effective = np.sqrt(long_run["squared_gradient_norm"] * long_run["squared_norm"])
    moved = long_run["effective_learning_rate"] * effective
    np.testing.assert_allclose(long_run["cosine"], shrunk / np.hypot(shrunk, moved), rtol=1e-5)
    assert (long_run["cosine"] < 1 - 1e-4).any()


def test_a_step_begins_where_the_last_one_ended(long_run):
    np.testing.assert_array_equal(long_run["squared_norm"][1:], long_run["squared_norm_after"][:-1])
    np.testing.assert_allclose(
        long_run["effective_learning_rate"], long_run["rate"] / long_run["squared_norm"], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("family", "options"),
    [
        pytest.param(family, {**options, "invariance": degree}, id=f"{family}-{degree}")
        for family, options in (("convnet", {}), ("resnet18", {}), ("wide_resnet", {"depth": 10}))
        for degree in ("full", "practical")
    ],
)
def test_with_the_radial_term_the_norm_is_exact(make_cell, digits, tmp_path, family, options):
    cell = make_cell(
        family=family, options=options, width=2, epochs=6, record=Recording(steps=1), **CONVENTIONAL
    )
    for result in train(runs_of(cell, 0, 1), digits, histories=tmp_path):
        steps = steps_of(result)
        _, wanted = identities(steps, 1e-2)
        np.testing.assert_allclose(steps["squared_norm_after"], wanted, rtol=1e-8)
        # To the change too: the norm hardly moves in a step.
        np.testing.assert_allclose(
            steps["squared_norm_after"] - steps["squared_norm"],
            wanted - steps["squared_norm"],
            rtol=1e-8,
            atol=1e-12,
        )


# Epochs, against sums of one's own.


def rebuilt(run, task, weights):
    """The single network of these weights, in training mode."""
    cell = run.cell
    network = describe(cell.family, cell.width, task, options=cell.options).to_empty(device="cpu").double()
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()})
    return network.train()


def normalised(parts):
    scale = scale_of("dataset", parts.inputs).to(torch.device("cpu"), torch.float64)
    return scale(parts.inputs).permute(0, 3, 1, 2)


def sums_over(network, images, labels, order, size, names):
    """Columns of an epoch from an autograd loop over the batches of an order."""
    tensors = [dict(network.named_parameters())[name] for name in names]
    norm = math.sqrt(sum(float(tensor.detach().square().sum()) for tensor in tensors))
    losses, gradients = [], []
    for index in order.split(size):
        loss = F.cross_entropy(network(images[index]), labels[index])
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, tensors)]).numpy())
        losses.append(loss.item())
    lengths, mean = np.linalg.norm(gradients, axis=1), np.mean(gradients, axis=0)
    return {
        "train_loss": np.mean(losses),
        "gradient_norm": lengths.mean(),
        "effective_gradient_norm": norm * lengths.mean(),
        "relative_gradient_norm": np.sqrt(np.mean(lengths**2)) / norm,
        "mean_gradient_norm": np.linalg.norm(mean),
        "gradient_deviation": np.sqrt(np.mean(np.sum((np.array(gradients) - mean) ** 2, axis=1))),
    }


def names_of(row):
    return [name.removeprefix("norm/") for name in row if name.startswith("norm/")]


FAMILIES_RECORDED = [
    pytest.param("convnet", {"invariance": "full"}, id="convnet-full"),
    pytest.param("convnet", {"invariance": "practical"}, id="convnet-practical"),
    pytest.param("resnet18", {"invariance": "practical"}, id="resnet18-practical"),
    pytest.param("wide_resnet", WRN, id="wide_resnet-full"),
    pytest.param("wide_resnet", {"depth": 10}, id="wide_resnet"),
    pytest.param("vgg", {"depth": 11, "batch_norm": True}, id="vgg"),
]


@pytest.mark.parametrize(("family", "options"), FAMILIES_RECORDED)
def test_a_fixed_pass_is_a_loop_over_the_batches_at_fixed_weights(
    make_cell, digits, tmp_path, family, options
):
    cell = make_cell(
        family=family, options=options, width=2, momentum=0.5, learning_rate=0.02,
        precision="float64", record=Recording(fixed_pass=True),
    )  # fmt: skip
    parts = parts_of(cell, digits.arrays)
    for result in train(runs_of(cell, 2, 0), digits, keep_weights=True, histories=tmp_path):
        row = {name: column[-1] for name, column in epochs_of(result).items()}
        network = rebuilt(result.run, digits.task, result.weights)
        wanted = sums_over(network, normalised(parts), parts.labels, torch.arange(100), 32, names_of(row))
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value, rel=1e-6), name


def test_a_fixed_pass_leaves_out_a_batch_of_one(make_cell, digits, tmp_path):
    cell = make_cell(
        family="convnet", options={"invariance": "full"}, train_size=65, precision="float64",
        record=Recording(fixed_pass=True),
    )  # fmt: skip
    (result,) = train(runs_of(cell, 0), digits, keep_weights=True, histories=tmp_path)
    row = {name: column[-1] for name, column in epochs_of(result).items()}
    parts, network = parts_of(cell, digits.arrays), rebuilt(result.run, digits.task, result.weights)
    wanted = sums_over(network, normalised(parts), parts.labels, torch.arange(64), 32, names_of(row))
    for name, value in wanted.items():
        assert row[name] == pytest.approx(value, rel=1e-6), name


def test_along_an_epoch_it_is_the_batches_that_train(make_cell, digits, tmp_path):
    """A rate of next to nothing holds the weights; the order is that of the member's own stream."""
    cell = make_cell(
        family="convnet", options={"invariance": "full"}, epochs=3, learning_rate=1e-14,
        precision="float64", record=Recording(), **STILL,
    )  # fmt: skip
    parts = parts_of(cell, digits.arrays)
    for result in train(runs_of(cell, 0, 1), digits, keep_weights=True, histories=tmp_path):
        rows = epochs_of(result)
        network = rebuilt(result.run, digits.task, result.weights)
        for epoch in range(3):
            order = order_of(100, stream(result.run.stream_key, "data", epoch))
            wanted = sums_over(network, normalised(parts), parts.labels, order, 32, names_of(rows))
            for name, value in wanted.items():
                assert rows[name][epoch] == pytest.approx(value, rel=1e-6), name


def test_an_epochs_gradients_are_the_means_of_its_steps(make_cell, digits, tmp_path):
    cell = make_cell(options=WRN, epochs=3, precision="float64", record=Recording(steps=1))
    for result in train(runs_of(cell, 0, 1), digits, histories=tmp_path):
        rows, steps = epochs_of(result), {k: v.reshape(3, 4) for k, v in steps_of(result).items()}
        lengths = np.sqrt(steps["squared_gradient_norm"])
        np.testing.assert_allclose(rows["gradient_norm"], lengths.mean(1), rtol=1e-10)
        effective = lengths * np.sqrt(steps["squared_norm"])
        np.testing.assert_allclose(rows["effective_gradient_norm"], effective.mean(1), rtol=1e-10)
        relative = (steps["squared_gradient_norm"] / steps["squared_norm"]).mean(1)
        np.testing.assert_allclose(rows["relative_gradient_norm"] ** 2, relative, rtol=1e-10)
        spread = rows["gradient_deviation"] ** 2 + rows["mean_gradient_norm"] ** 2
        np.testing.assert_allclose(spread, (lengths**2).mean(1), rtol=1e-10)
        np.testing.assert_allclose(rows["train_loss"], steps["train_loss"].mean(1), rtol=1e-10)
        np.testing.assert_allclose(rows["train_loss"], result.train_loss, rtol=1e-6)
        np.testing.assert_allclose(rows["norm"] ** 2, steps["squared_norm_after"][:, -1], rtol=1e-10)


@pytest.mark.parametrize("test_size", [10, 300, 797, 5000])
def test_the_test_columns_are_those_of_the_logits_of_the_first_images(make_cell, digits, tmp_path, test_size):
    cell = make_cell(options=WRN, precision="float64", record=Recording(test_size=test_size))
    shown = permutation(797)[:test_size]
    labels = digits.arrays.test_labels[shown]
    for result in train(runs_of(cell, 0, 1), digits, histories=tmp_path):
        logits = result.test_logits[shown].astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        rows = epochs_of(result)
        loss = -log_probs[np.arange(len(shown)), labels].mean()
        assert rows["test_loss"][-1] == pytest.approx(loss, rel=1e-5)
        assert rows["test_error"][-1] == pytest.approx((logits.argmax(1) != labels).mean(), abs=1e-6)


@pytest.mark.parametrize("every", [1, 2])
def test_norms_and_angles_are_those_of_the_weights_after_an_epoch(
    make_cell, digits, tmp_path, plug_in, every
):
    cell = make_cell(
        family="resnet18", options={}, width=2, epochs=4, precision="float64", record=Recording(every=every)
    )
    built, states = [], []

    def noted(network, single, members):
        built.append(network)
        return network

    plug_in("ways", "noted", way=Way(noted))
    runs = runs_of(cell, 0, 1)
    results = train(
        runs, digits, histories=tmp_path, stepping=Stepping(pack=2, way="noted"),
        on_epoch=lambda epoch: states.append(
            {name: p.detach().clone() for name, p in built[0].named_parameters()}
        ),
    )  # fmt: skip
    for i, result in enumerate(results):
        rows = epochs_of(result)
        names = names_of(rows)
        fresh = describe("resnet18", 2, digits.task, options={})
        materialise(fresh, [stream(result.run.stream_key, "weights")]).double()
        assert names == list(invariant_of(fresh).names)
        whole = [[state[name].chunk(2)[i].numpy() for name in names] for state in states[every - 1 :: every]]
        started = np.concatenate([fresh.state_dict()[name].numpy().ravel() for name in names])
        last = started
        for row, tensors in enumerate(whole):
            for name, tensor in zip(names, tensors, strict=True):
                assert rows[f"norm/{name}"][row] == pytest.approx(np.linalg.norm(tensor), rel=1e-10)
            now = np.concatenate([tensor.ravel() for tensor in tensors])
            assert rows["norm"][row] == pytest.approx(np.linalg.norm(now), rel=1e-10)
            assert rows["cosine_to_start"][row] == pytest.approx(cosine(now, started), rel=1e-10)
            assert rows["cosine_to_last"][row] == pytest.approx(cosine(now, last), rel=1e-10)
            last = now
        np.testing.assert_allclose(
            rows["effective_learning_rate"], rows["rate"] / rows["norm"] ** 2, rtol=1e-10
        )


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def test_the_curvature_columns_are_those_of_the_members_weights(make_cell, digits, tmp_path):
    record = Recording(curvature=2, curvature_size=30, eigenvalues=2)
    cell = make_cell(
        family="convnet", options={"invariance": "full"}, width=2, precision="float64", record=record
    )
    parts = parts_of(cell, digits.arrays)
    for result in train(runs_of(cell, 0, 1), digits, keep_weights=True, histories=tmp_path):
        rows = epochs_of(result)
        wanted = curvature(
            rebuilt(result.run, digits.task, result.weights), normalised(parts)[:30], parts.labels[:30],
            eigenvalues=2, generator=stream(result.run.stream_key, "curvature"),
        )  # fmt: skip
        assert list(wanted) == ["hessian_trace", "fisher_trace", "hessian_1", "hessian_2"]
        for name, value in wanted.items():
            assert math.isnan(rows[name][0])
            assert rows[name][1] == pytest.approx(value, rel=1e-6), name


# How much is recorded.


@pytest.mark.parametrize("fixed_pass", [False, True], ids=["along", "fixed_pass"])
@pytest.mark.parametrize("every", [1, 2, 4, 7])
def test_a_row_stands_at_every_so_many_epochs(make_cell, digits, tmp_path, every, fixed_pass):
    cell = make_cell(
        family="convnet", options={}, epochs=6, record=Recording(every=every, fixed_pass=fixed_pass)
    )
    (result,) = train(runs_of(cell, 0), digits, histories=tmp_path)
    assert not (result.history / STEPS).exists()
    if every > 6:
        assert list(result.history.iterdir()) == []
        return
    rows = epochs_of(result)
    assert rows["epoch"].tolist() == list(range(every, 7, every))
    assert rows["step"].tolist() == [4 * epoch for epoch in range(every, 7, every)]


@pytest.mark.parametrize("steps", [1, 3, 4, 100])
def test_a_row_stands_at_every_so_many_steps(make_cell, digits, tmp_path, steps):
    cell = make_cell(options=WRN, epochs=3, record=Recording(every=3, steps=steps))
    for result in train(runs_of(cell, 0, 1), digits, histories=tmp_path):
        assert steps_of(result)["step"].tolist() == list(range(0, 12, steps))
        assert epochs_of(result)["epoch"].tolist() == [3]


def test_a_sparse_history_has_the_rows_of_a_full_one(make_cell, digits, tmp_path):
    full = make_cell(options=WRN, epochs=4, record=Recording(steps=1))
    thin = full.model_copy(update={"record": Recording(every=2, steps=3)})
    whole, some = (Run(cell=cell, seed=0) for cell in (full, thin))
    (one,), (other,) = (
        train([run], digits, histories=tmp_path / name) for run, name in ((whole, "full"), (some, "thin"))
    )
    for name, column in epochs_of(other).items():
        if name != "cosine_to_last":
            assert column.tolist() == epochs_of(one)[name][1::2].tolist(), name
    for name, column in steps_of(other).items():
        assert column.tolist() == steps_of(one)[name][::3].tolist(), name


def test_without_test_images_there_are_no_test_columns(make_cell, digits, tmp_path):
    sizes = {0: False, 5: True}
    for size, there in sizes.items():
        cell = make_cell(options=WRN, record=Recording(test_size=size))
        (result,) = train(runs_of(cell, 0), digits, histories=tmp_path)
        assert ("test_loss" in epochs_of(result)) == ("test_error" in epochs_of(result)) == there


def test_the_curvature_stands_where_it_is_due(make_cell, digits, tmp_path):
    record = Recording(every=2, curvature=3, curvature_size=10, eigenvalues=1, test_size=0)
    cell = make_cell(options=WRN, width=2, epochs=12, train_size=10, batch_size=10, record=record)
    (result,) = train(runs_of(cell, 0), digits, histories=tmp_path)
    rows = epochs_of(result)
    for name in ("hessian_trace", "fisher_trace", "hessian_1"):
        assert rows["epoch"][np.isfinite(rows[name])].tolist() == [6, 12]
    assert "hessian_2" not in rows
    plain = make_cell(options=WRN, record=Recording())
    (result,) = train(runs_of(plain, 0), digits, histories=tmp_path)
    assert not any(name.startswith(("hessian", "fisher")) for name in epochs_of(result))


def test_without_eigenvalues_the_traces_are_left(make_cell, digits, tmp_path):
    record = Recording(curvature=1, curvature_size=10, eigenvalues=0)
    cell = make_cell(options=WRN, width=2, epochs=1, record=record)
    (result,) = train(runs_of(cell, 0), digits, histories=tmp_path)
    assert [n for n in epochs_of(result) if n.startswith(("hessian", "fisher"))] == [
        "hessian_trace",
        "fisher_trace",
    ]


# Tables on disk.


@pytest.mark.parametrize("count", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 5])
def test_a_long_table_goes_to_disk_in_groups_and_comes_back(tmp_path, count):
    log = Log(tmp_path / "log.parquet")
    for i in range(count):
        log.add({"a": i, "b": -1.5 * i})
    log.close()
    file = pq.ParquetFile(tmp_path / "log.parquet")
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [ROWS] * (count // ROWS) + [count % ROWS] * (count % ROWS > 0)
    read = table(tmp_path / "log.parquet")
    assert read["a"].tolist() == list(range(count))
    assert read["b"].tolist() == [-1.5 * i for i in range(count)]


def test_a_table_without_rows_is_no_file(tmp_path):
    log = Log(tmp_path / "log.parquet")
    log.close()
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, derandomize=True, max_examples=25)
@given(rows=st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=9), held=st.integers(1, 4))
def test_every_number_comes_back_to_the_bit(tmp_path_factory, rows, held):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    log = Log(path)
    for i, (one, other) in enumerate(rows):
        log.add({"one": one, "other": other})
        if i % held == 0:
            log.flush()
    log.close()
    read = table(path)
    np.testing.assert_array_equal(np.stack([read["one"], read["other"]], 1), np.array(rows))


# Packs.


ALIKE = [
    pytest.param({"options": WRN}, id="wide_resnet"),
    pytest.param({"options": {"depth": 10}, "dropout": 0.3}, id="wide_resnet-dropout"),
    pytest.param({"family": "convnet", "options": {}}, id="convnet"),
    pytest.param(
        {
            "family": "resnet18",
            "options": {"invariance": "full"},
            "mode": "sphere",
            "effective_learning_rate": 2e-3,
            "weight_decay": 0.0,
            "momentum": 0.0,
        },
        id="sphere",
    ),
]


@pytest.mark.parametrize("changes", ALIKE)
@pytest.mark.parametrize("fixed_pass", [False, True], ids=["along", "fixed_pass"])
def test_a_packed_members_history_is_that_of_the_member_alone(
    make_cell, digits, tmp_path, changes, fixed_pass
):
    record = Recording(steps=1, fixed_pass=fixed_pass, curvature=2, curvature_size=10, eigenvalues=0)
    tiny = {"width": 2, "train_size": 70, "learning_rate": 0.05, "precision": "float64", "record": record}
    runs = runs_of(make_cell(**tiny | changes), 4, 0)
    for run, together in zip(runs, train(runs, digits, histories=tmp_path / "pack"), strict=True):
        (alone,) = train([run], digits, histories=tmp_path / "alone")
        for read in (epochs_of, steps_of):
            packed, single = read(together), read(alone)
            assert packed.keys() == single.keys()
            for name, column in single.items():
                # A residue of batch norm's eps, next to nothing of the product of the norms.
                slack = 1e-12 if name == "weights_dot_gradient" else 0
                np.testing.assert_allclose(packed[name], column, rtol=1e-6, atol=slack, err_msg=name)


# Divergence.


LOST = {"learning_rate": 1e30, "epochs": 4, "schedule": "constant", "momentum": 0.0, "weight_decay": 1e-2}


@pytest.mark.parametrize("fixed_pass", [False, True], ids=["along", "fixed_pass"])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["alone", "packed"])
def test_a_run_that_diverges_keeps_its_history_up_to_there(make_cell, digits, tmp_path, seeds, fixed_pass):
    cell = make_cell(
        options={"depth": 10, "invariance": "practical"},
        record=Recording(steps=1, fixed_pass=fixed_pass),
        **LOST,
    )
    for result in train(runs_of(cell, *seeds), digits, histories=tmp_path):
        assert result.diverged_at is not None
        assert result.diverged_at > 0
        steps = steps_of(result)
        assert steps["step"].tolist() == list(range(len(steps["step"])))
        assert len(steps["step"]) > result.diverged_at
        losses = steps["train_loss"]
        assert np.isfinite(losses[: result.diverged_at]).all()
        assert not np.isfinite(losses[result.diverged_at])
        rows = epochs_of(result)
        assert rows["epoch"].tolist() == list(range(1, len(rows["epoch"]) + 1))
        assert len(rows["epoch"]) == len(losses) / 4
        assert not np.isfinite(rows["train_loss"][-1])


def test_a_run_that_diverges_may_be_asked_for_its_curvature(make_cell, digits, tmp_path):
    cell = make_cell(
        options={"depth": 10, "invariance": "practical"},
        record=Recording(curvature=1, curvature_size=20),
        **LOST,
    )
    (result,) = train(runs_of(cell, 0), digits, histories=tmp_path)
    assert result.diverged_at is not None
    assert not np.isfinite(epochs_of(result)["hessian_1"][-1])


def test_a_diverged_member_leaves_the_others_histories_as_they_were(make_cell, digits, tmp_path, plug_in):
    record = Recording(steps=1, curvature=1, curvature_size=10, eigenvalues=1)
    cell = make_cell(family="convnet", options={"invariance": "full"}, width=1, record=record)
    calm = train(runs_of(cell, 0, 1, 2), digits, histories=tmp_path / "calm")

    def poisoned(network, single, members):
        with torch.no_grad():
            network.features[0].weight.chunk(3)[1].fill_(float("inf"))
        return network

    plug_in("ways", "poisoned", way=Way(poisoned))
    how = Stepping(pack=3, way="poisoned")
    results = train(runs_of(cell, 0, 1, 2), digits, stepping=how, histories=tmp_path / "lost")
    assert [r.diverged_at for r in results] == [None, 0, None]
    for i in (0, 2):
        for read in (epochs_of, steps_of):
            for name, column in read(calm[i]).items():
                np.testing.assert_array_equal(read(results[i])[name], column, err_msg=name)
