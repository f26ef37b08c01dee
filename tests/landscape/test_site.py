"""Points of parameter space: loaded, evaluated and differentiated as single networks are."""

import pytest
import torch
import torch.nn.functional as F

from ensembudget.families._build import describe
from ensembudget.landscape.site import evaluate, finite, gradients, load, train_losses
from ensembudget.stepping.step import batch_losses
from ensembudget.training.evaluation import evaluate_logits
from ensembudget.training.statistics import refit_statistics


def alone(site, point):
    """The single network at a point, made without packs."""
    cell = site.cell
    network = describe(cell.family, cell.width, site.task, options=cell.options).to_empty(device="cpu")
    network.load_state_dict(dict(site.states[0]))
    with torch.no_grad():
        first = 0
        for tensor in network.parameters():
            tensor.copy_(point[first : first + tensor.numel()].view(tensor.shape))
            first += tensor.numel()
    return network


def test_a_point_has_all_parameters_of_a_member_in_order(make_site, trained):
    site = make_site(2)
    network = alone(site, site.points[1])
    for name, tensor in network.named_parameters():
        assert torch.equal(tensor, torch.from_numpy(trained[1].weights[name]))
    assert site.dimension == site.points.shape[1] == trained[0].parameters


def test_a_member_at_its_point_gives_its_logits_again(make_site, trained):
    """With its own running statistics."""
    site = make_site(1)
    network = alone(site, site.points[0])
    logits = evaluate_logits(network, site.parts.test, site.feed, 1)[0]
    torch.testing.assert_close(logits, torch.from_numpy(trained[0].test_logits), rtol=1e-4, atol=1e-4)


def test_points_are_evaluated_as_single_networks(make_site):
    site = make_site(3)
    points = torch.cat([site.points, site.points.mean(0, keepdim=True)])
    found = evaluate(site, points, [0.0, 1.0, 2.0, 3.0])
    assert [one.at for one in found] == [0.0, 1.0, 2.0, 3.0]
    for point, one in zip(points, found, strict=True):
        network = alone(site, point)
        refit_statistics(network, site.parts.inputs, site.feed, 1, site.cell.recipe.batch_size)
        for images, labels, loss, error in (
            (site.parts.inputs, site.parts.labels, one.train_loss, one.train_error),
            (site.parts.test.inputs, site.parts.test.labels, one.test_nll, one.test_error),
        ):
            with torch.no_grad():
                logits = network.eval()(site.feed(images[None]))
            assert loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-4)
            assert error == pytest.approx(float((logits.argmax(1) != labels).float().mean()), abs=1e-6)


def test_more_points_than_go_together_are_evaluated_in_order(make_site):
    site = make_site(2)
    shares = [i / 9 for i in range(10)]
    points = torch.stack([(1 - t) * site.points[0] + t * site.points[1] for t in shares])
    done = []
    found = evaluate(site, points, shares, done.append)
    assert done == [8, 10]
    (ninth,) = evaluate(site, points[8:9], [shares[8]])
    assert found[8].train_loss == pytest.approx(ninth.train_loss, rel=1e-5)
    torch.testing.assert_close(
        train_losses(site, points), torch.tensor([one.train_loss for one in found]), rtol=1e-5, atol=1e-6
    )


def test_gradients_are_those_of_each_point_alone(make_site):
    site = make_site(2)
    network = site.network(site.points).train()
    some, labels = next(site.batches(2, site.stream("batches")))
    batch_losses(network, some, labels).sum().backward()
    together = gradients(network, 2)
    for number in range(2):
        single = alone(site, site.points[number]).train()
        images = some.unflatten(1, (2, -1))[:, number]
        F.cross_entropy(single(images), labels[number]).backward()
        own = torch.cat([tensor.grad.flatten() for tensor in single.parameters()])
        torch.testing.assert_close(together[number], own, rtol=1e-3, atol=1e-5)


def test_a_network_moves_to_the_points_that_are_loaded(make_site):
    site = make_site(2)
    network = site.network(site.points)
    load(network, site.points.flip(0))
    swapped = site.network(site.points.flip(0))
    for one, other in zip(network.parameters(), swapped.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_not_finite_is_no_number():
    assert [finite(float("nan")), finite(torch.tensor(float("inf"))), finite(torch.tensor(1.5))] == [
        None,
        None,
        1.5,
    ]
