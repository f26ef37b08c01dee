"""Batch norm's statistics gathered anew, against plain arithmetic in double precision."""

import pytest
import torch

from ensembudget.families._build import describe, materialise
from ensembudget.families._layers import BatchNorm2d
from ensembudget.packing.streams import stream
from ensembudget.records import Task
from ensembudget.tasks.images import Pixels, pack_images, scale_of
from ensembudget.training.statistics import refit_statistics

TASK = Task(10, 3, 8)


def refitted(members, images, batch_size):
    network = describe("convnet", 2, TASK, members=members)
    materialise(network, [stream("run", str(i)) for i in range(members)]).double()
    scale = scale_of("dataset", images).to(torch.device("cpu"), torch.float64)
    before = {name: value.clone() for name, value in network.named_parameters()}
    refit_statistics(network, images, Pixels(scale), members, batch_size)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    return network, scale


@pytest.fixture
def images():
    return torch.randint(256, (24, 8, 8, 3), generator=stream("images", "statistics"), dtype=torch.uint8)


def first_norm(network):
    return next(module for module in network.modules() if isinstance(module, BatchNorm2d))


@pytest.mark.parametrize("batch_size", [8, 24])
def test_statistics_are_means_over_batches(images, batch_size):
    network, scale = refitted(1, images, batch_size)
    seen = torch.stack(
        [network.features[0](pack_images(scale(some)[None])) for some in images.split(batch_size)]
    )
    norm = first_norm(network)
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 1, 3, 4)))
    each = seen.transpose(1, 2).flatten(2).var(2).mean(0)  # unbiased in each batch, as torch keeps it
    torch.testing.assert_close(norm.running_var, each)


def test_members_get_what_they_would_get_alone(images):
    together, _ = refitted(2, images, 12)
    alone, _ = refitted(1, images, 12)
    half = len(first_norm(alone).running_var)
    torch.testing.assert_close(first_norm(together).running_var[:half], first_norm(alone).running_var)


def test_a_last_batch_of_one_image_is_left_out(images):
    with_one, _ = refitted(1, images[:17], 16)
    norm = first_norm(with_one)
    assert int(norm.num_batches_tracked) == 1
    assert norm.momentum == 0.1  # of training, as before
