"""Training: alone or in a pack, the same run, the same member."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ensembudget.catalog import MODES
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.families._build import describe, materialise
from ensembudget.families._invariance import invariant_of
from ensembudget.packing.network import build_network
from ensembudget.packing.parts import parts_of
from ensembudget.packing.streams import stream
from ensembudget.records import Recipe, Run, Stepping, Task
from ensembudget.stepping.step import train_batch
from ensembudget.stepping.ways._base import Way
from ensembudget.tasks.images import Pixels, Scale, scale_of
from ensembudget.training.evaluation import evaluate_logits
from ensembudget.training.loop import first_fault, train
from ensembudget.training.schedules import SCHEDULES, factor


def order_of(count, generator):
    """Of images that are neither cut out nor mirrored."""
    return Pixels(Scale(torch.zeros(1), torch.ones(1))).draw(count, generator).order


def runs_of(cell, *seeds):
    return [Run(cell=cell, seed=seed) for seed in seeds]


def assert_same(one, other, **tolerance):
    """Two results of the same run agree, to the bit where no tolerance is given."""
    assert one.run == other.run
    assert one.diverged_at == other.diverged_at
    for field in ("train_loss", "validation_logits", "test_logits"):
        np.testing.assert_allclose(
            getattr(one, field), getattr(other, field), **{"rtol": 0, "atol": 0, **tolerance}, err_msg=field
        )


CELLS = [
    pytest.param({}, id="wide_resnet"),
    pytest.param({"dropout": 0.3}, id="wide_resnet-dropout"),
    pytest.param(
        {"family": "vgg", "options": {"depth": 11}, "learning_rate": 0.01, "dropout": 0.3}, id="vgg-dropout"
    ),
    pytest.param(
        {"family": "vgg", "options": {"depth": 11, "batch_norm": True}, "learning_rate": 0.01}, id="vgg-bn"
    ),
]


@pytest.mark.parametrize("changes", CELLS)
def test_a_member_of_a_pack_is_the_member_trained_alone(make_cell, digits, changes):
    cell = make_cell(**changes)
    together = train(runs_of(cell, 5, 0, 2), digits, keep_weights=True)
    for i, seed in enumerate((5, 0, 2)):
        (alone,) = train(runs_of(cell, seed), digits, keep_weights=True)
        assert_same(together[i], alone, rtol=1e-4, atol=1e-4)
        assert together[i].parameters == alone.parameters
        assert together[i].weights.keys() == alone.weights.keys()
        for name, tensor in alone.weights.items():
            np.testing.assert_allclose(together[i].weights[name], tensor, rtol=1e-3, atol=1e-4, err_msg=name)


def test_the_same_run_twice_is_the_same_to_the_bit(tiny_cell, digits):
    first, second = (train(runs_of(tiny_cell, 0, 1), digits) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert_same(one, other)


def test_seeds_make_different_members(tiny_cell, digits):
    first, second = train(runs_of(tiny_cell, 0, 1), digits)
    assert not np.allclose(first.test_logits, second.test_logits, atol=0.01)


def test_the_global_random_states_are_neither_read_nor_touched(make_cell, digits):
    cell = make_cell(family="vgg", options={"depth": 11}, dropout=0.3, epochs=1)
    results = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
            results += train(runs_of(cell, 0), digits)
            assert torch.equal(torch.get_rng_state(), before)
            assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert_same(*results)


def test_a_result_has_the_shapes_it_says(tiny_cell, digits):
    (result,) = train(runs_of(tiny_cell, 3), digits)
    assert result.validation_logits.shape == (50, 10)
    assert result.test_logits.shape == (797, 10)
    assert result.train_loss.shape == (2,)
    assert {a.dtype for a in (result.validation_logits, result.test_logits, result.train_loss)} == {
        np.dtype(np.float32)
    }
    assert result.diverged_at is None
    assert result.weights is None
    assert result.parameters == sum(
        p.numel() for p in describe("wide_resnet", 4, digits.task, options={"depth": 10}).parameters()
    )
    assert result.seconds > 0


def test_without_validation_there_are_no_validation_logits(make_cell, digits):
    (result,) = train(runs_of(make_cell(validation_size=0, epochs=1), 0), digits)
    assert len(result.validation_logits) == 0
    assert np.isfinite(result.test_logits).all()


def test_every_epoch_is_told(make_cell, digits):
    told = []
    train(runs_of(make_cell(epochs=3), 0), digits, on_epoch=told.append)
    assert told == [1, 2, 3]


def test_kept_weights_make_the_network_that_gave_the_logits(tiny_cell, digits):
    result = train(runs_of(tiny_cell, 0, 1), digits, keep_weights=True)[1]
    network = describe("wide_resnet", 4, digits.task, options={"depth": 10}).to_empty(device="cpu")
    network.load_state_dict({k: torch.from_numpy(v) for k, v in result.weights.items()})
    parts = parts_of(tiny_cell, digits.arrays)
    scale = scale_of("dataset", parts.inputs)
    with torch.no_grad():
        logits = network.eval()(scale(parts.test.inputs).permute(0, 3, 1, 2))
    np.testing.assert_allclose(result.test_logits, logits.numpy(), rtol=1e-4, atol=1e-4)


def test_logits_do_not_depend_on_the_batch(tiny_cell, digits):
    runs = runs_of(tiny_cell, 0, 1)
    network = build_network(runs, digits.task, torch.device("cpu"))
    parts = parts_of(tiny_cell, digits.arrays)
    feed = Pixels(scale_of("dataset", parts.inputs), size=64)
    whole = evaluate_logits(network, parts.test, feed, 2)
    few = evaluate_logits(network, parts.test, feed, 2, at_once=13 * 64 * 2)
    torch.testing.assert_close(few, whole, rtol=1e-5, atol=1e-5)
    assert evaluate_logits(network, parts.test.some(0), feed, 2).shape[:2] == (2, 0)


# Divergence.


def test_a_recipe_that_diverges_is_recorded_with_its_step(make_cell, digits):
    cell = make_cell(learning_rate=1e12, epochs=4, schedule="constant")
    results = train(runs_of(cell, 0, 1), digits)
    for result in results:
        assert result.diverged_at is not None
        per_epoch = 4  # 100 samples in batches of 32, the last of 4
        assert 0 < result.diverged_at < 4 * per_epoch
        finite = np.isfinite(result.train_loss)
        assert not finite[result.diverged_at // per_epoch :].any()
        assert finite[: result.diverged_at // per_epoch].all()
    for seed, together in enumerate(results):
        assert train(runs_of(cell, seed), digits)[0].diverged_at == together.diverged_at


def poisoned(network, single, members):
    """A way to step whose member 1 diverges at once."""
    with torch.no_grad():
        network.layers[0].weight.chunk(members)[1].fill_(float("inf"))
    return network


def test_a_member_that_diverges_leaves_the_others_as_they_were(tiny_cell, digits, plug_in):
    plug_in("ways", "poisoned", way=Way(poisoned))
    calm = train(runs_of(tiny_cell, 0, 1, 2), digits)
    results = train(runs_of(tiny_cell, 0, 1, 2), digits, stepping=Stepping(pack=3, way="poisoned"))
    assert [r.diverged_at for r in results] == [None, 0, None]
    for i in (0, 2):
        assert_same(results[i], calm[i])


def test_logits_that_are_not_finite_are_a_divergence_after_the_last_step():
    losses = torch.zeros(7)
    bad, good = torch.tensor([[0.0, float("nan")]]), torch.zeros(1, 2)
    assert first_fault(losses, good, bad) == 7
    assert first_fault(losses, good, good) is None
    losses[3:5] = float("inf")
    assert first_fault(losses, good, good) == 3


# What is trained on.


def numbered(train=40, test=7):
    """A dataset whose images and labels are their own numbers."""
    images = np.arange(train, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    labels = np.arange(train, dtype=np.int64)
    return Arrays(images, labels, images[:test], labels[:test], classes=train)


def test_validation_is_the_last_images(make_cell):
    parts = parts_of(make_cell(train_size=20, validation_size=9), numbered())
    assert parts.validation.labels.tolist() == list(range(31, 40))
    assert (parts.validation.inputs[:, 0, 0, 0] == parts.validation.labels).all()
    assert set(parts.labels.tolist()) <= set(range(31))


def test_smaller_training_sets_nest_in_larger(make_cell):
    sets = [
        parts_of(make_cell(train_size=n, validation_size=9), numbered()).labels.tolist() for n in (5, 12, 31)
    ]
    assert sets[0] == sets[1][:5] == sets[2][:5]
    assert sets[1] == sets[2][:12]
    assert sorted(sets[2]) == list(range(31))


def test_training_images_keep_their_labels(make_cell):
    parts = parts_of(make_cell(train_size=31, validation_size=0), numbered())
    assert (parts.inputs[:, 3, 5, 0] == parts.labels).all()
    assert len(parts.validation.labels) == 0
    assert parts.test.labels.tolist() == list(range(7))


def test_the_test_images_do_not_change_what_is_learned(tiny_cell, digits):
    fewer = Arrays(*digits.arrays[:2], digits.arrays.test_inputs[:5], digits.arrays.test_labels[:5], 10)
    whole, part = (
        train(runs_of(tiny_cell, 0), data)[0] for data in (digits, Data("digits", "0" * 64, fewer))
    )
    assert np.array_equal(whole.train_loss, part.train_loss)
    np.testing.assert_allclose(whole.test_logits[:5], part.test_logits, rtol=1e-4, atol=1e-4)


# The update step.


def test_a_step_is_sgd_with_momentum_and_weight_decay():
    recipe = Recipe(epochs=1, learning_rate=0.1, weight_decay=0.03, momentum=0.8)
    generator = torch.Generator().manual_seed(0)
    network = describe("wide_resnet", 2, Task(3, 1, 8), options={"depth": 10}, members=2)
    materialise(network, [torch.Generator().manual_seed(s) for s in (1, 2)]).double()
    optimizer = MODES["bn_wd"].optimizer(network, recipe, invariant_of(network))
    batches = [
        (
            torch.randn(5, 2, 8, 8, dtype=torch.float64, generator=generator),
            torch.randint(3, (2, 5), generator=generator),
        )
        for _ in range(3)
    ]
    weights = {k: v.detach().clone() for k, v in network.named_parameters()}
    buffers = {k: v.clone() for k, v in network.named_buffers()}
    losses = [train_batch(network.train(), optimizer, *batch) for batch in batches]

    velocity = {k: torch.zeros_like(v) for k, v in weights.items()}
    for step, (images, labels) in enumerate(batches):
        leaves = {k: v.clone().requires_grad_() for k, v in weights.items()}
        logits = torch.func.functional_call(network, (leaves, buffers), images).reshape(5, 2, 3)
        each = [F.cross_entropy(logits[:, i], labels[i]) for i in range(2)]
        torch.testing.assert_close(losses[step], torch.stack(each).detach(), rtol=1e-10, atol=1e-12)
        gradients = torch.autograd.grad(sum(each), list(leaves.values()))
        for name, gradient in zip(leaves, gradients, strict=True):
            velocity[name] = 0.8 * velocity[name] + gradient + 0.03 * weights[name]
            weights[name] = weights[name] - 0.1 * velocity[name]
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), weights[name], rtol=1e-10, atol=1e-12)


def test_the_whole_loop_is_what_it_says(make_cell, digits):
    """Written out for one member, with torch's own optimiser and nothing of the loop."""
    cell = make_cell(
        epochs=4, momentum=0.5, weight_decay=1e-2, learning_rate=0.02, crop_padding=0, flip=False
    )
    (run,) = runs_of(cell, 3)
    (result,) = train([run], digits)

    parts = parts_of(cell, digits.arrays)
    x = (parts.inputs / 255).permute(0, 3, 1, 2)
    mean, std = x.mean(), x.double().std().float()
    network = describe("wide_resnet", 4, digits.task, options={"depth": 10})
    materialise(network, [stream(run.stream_key, "weights")]).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1, momentum=0.5, weight_decay=1e-2, foreach=False)
    losses = []
    for epoch, times in enumerate((1, 1, 1 - 0.99 * 0.25 / 0.4, 0.01)):
        optimizer.param_groups[0]["lr"] = 0.02 * times
        order = order_of(100, stream(run.stream_key, "data", epoch))
        of_epoch = []
        for index in order.split(32):
            loss = F.cross_entropy(network((x[index] - mean) / std), parts.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            of_epoch.append(loss.item())
        losses.append(np.mean(of_epoch))
    test = (parts.test.inputs / 255).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = network.eval()((test - mean) / std)
    np.testing.assert_allclose(result.train_loss, losses, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(result.test_logits, logits.numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("progress", np.linspace(0, 0.999, 23).tolist())
def test_schedules_are_the_published(progress):
    wanted = np.interp(progress, [0, 0.5, 0.9, 1], [1, 1, 0.01, 0.01])
    assert SCHEDULES["plateau_linear"].factor(progress) == pytest.approx(wanted)
    assert SCHEDULES["cosine"].factor(progress) == pytest.approx(np.cos(np.pi * progress / 2) ** 2)
    assert SCHEDULES["constant"].factor(progress) == 1


def official_factor(epoch, epochs):
    """As in the code of Lobacheva et al. 2020: epochs from 1 to E, and factors by its three branches."""
    alpha = epoch / epochs
    if alpha <= 0.5:
        return 1.0
    return 1.0 - (alpha - 0.5) / 0.4 * 0.99 if alpha <= 0.9 else 0.01


@pytest.mark.parametrize("epochs", [1, 7, 200])
def test_the_plateau_schedule_counts_epochs_from_1_as_the_papers_code_does(epochs):
    recipe = Recipe(epochs=epochs, learning_rate=0.1, weight_decay=0.0)
    found = [factor(recipe, epoch, 0, 1) for epoch in range(epochs)]
    assert found == pytest.approx([official_factor(epoch, epochs) for epoch in range(1, epochs + 1)])


def test_the_factors_of_200_epochs_sum_to_the_papers_sum():
    recipe = Recipe(epochs=200, learning_rate=0.1, weight_decay=0.0)
    assert sum(factor(recipe, epoch, 0, 1) for epoch in range(200)) == pytest.approx(140.105)


def test_streams_differ_by_run_purpose_and_epoch():
    asked = [("a", "data", 0), ("b", "data", 0), ("a", "weights", 0), ("a", "data", 1)]
    drawn = [torch.rand(4, generator=stream(*key)) for key in asked]
    assert len({tuple(d.tolist()) for d in drawn}) == 4
    assert torch.equal(torch.rand(4, generator=stream("a", "data", 0)), drawn[0])


# Learning.


def test_digits_are_learned(make_cell, digits):
    cell = make_cell(width=8, epochs=8, train_size=600, batch_size=50, crop_padding=0, flip=False)
    for result in train(runs_of(cell, 0, 1), digits):
        accuracy = (result.test_logits.argmax(1) == digits.arrays.test_labels).mean()
        assert accuracy > 0.9
        assert result.train_loss[-1] < 0.3 < result.train_loss[0]


@pytest.mark.parametrize("size", [{"train_size": 1}, {"batch_size": 2, "train_size": 5}], ids=str)
def test_the_smallest_batches_train_too(make_cell, digits, size):
    (result,) = train(runs_of(make_cell(epochs=1, **size), 0), digits)
    assert result.diverged_at is None
