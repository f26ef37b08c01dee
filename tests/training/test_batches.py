"""Batches against torchvision's transforms, pixel for pixel and in distribution."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from torch import Generator
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip
from torchvision.transforms import functional as tv

from ensembudget.packing.batches import epoch_batches, unpack_logits
from ensembudget.tasks._base import Draws
from ensembudget.tasks.images import NORMALISATIONS, Pixels, Scale, cut, pack_images, scale_of

PLAIN = Scale(torch.zeros(1), torch.ones(1) / 255)  # bytes as floats of the same value


def feed(padding=0, flip=False, scale=PLAIN):
    return Pixels(scale, padding, flip)


def draw(count, padding, flip, generator):
    return feed(padding, flip).draw(count, generator)


def generator(seed):
    return Generator().manual_seed(seed)


def pixels(count, size, channels, seed=0):
    shape = (count, size, size, channels)
    return torch.randint(1, 256, shape, generator=generator(seed), dtype=torch.uint8)


def crop_like_torchvision(image, top, left, flip, padding):
    """(row, column, channel) through torchvision's functions, which take channels first."""
    first = tv.pad(image.permute(2, 0, 1), [padding])
    first = tv.crop(first, top, left, *image.shape[:2])
    return (tv.hflip(first) if flip else first).permute(1, 2, 0)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 6),
    channels=st.sampled_from([1, 3]),
    padding=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_every_crop_is_torchvisions_to_the_pixel(size, channels, padding, seed):
    shifts = list(itertools.product(range(2 * padding + 1), repeat=2))
    cases = [(top, left, flip) for top, left in shifts for flip in (False, True)]
    images = pixels(len(cases), size, channels, seed)
    ours = cut(images, torch.tensor([c[:2] for c in cases]), torch.tensor([c[2] for c in cases]), padding)
    assert ours.dtype == torch.uint8
    for image, mine, case in zip(images, ours, cases, strict=True):
        assert torch.equal(mine, crop_like_torchvision(image, *case, padding))


def test_crops_are_distributed_as_torchvisions():
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(3, 3, 1)
    outcomes = {
        bytes(crop_like_torchvision(image, top, left, flip, 1).flatten().tolist())
        for top, left in itertools.product(range(3), repeat=2)
        for flip in (False, True)
    }
    assert len(outcomes) == 18  # all distinct, so that counting them counts the draws
    count = 5400

    draws = draw(count, 1, True, generator(0))
    mine = Counter(
        bytes(one.flatten().tolist())
        for one in cut(image.expand(count, 3, 3, 1), draws.changes["shift"], draws.changes["flip"], 1)
    )
    transform = Compose([RandomCrop(3, padding=1), RandomHorizontalFlip()])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = image.permute(2, 0, 1)
        theirs = Counter(bytes(transform(first).flatten().tolist()) for _ in range(count))

    assert set(mine) == set(theirs) == outcomes
    ordered = sorted(outcomes)
    assert chisquare([mine[o] for o in ordered]).pvalue > 1e-3
    assert chi2_contingency([[mine[o] for o in ordered], [theirs[o] for o in ordered]]).pvalue > 1e-3


def test_order_shift_and_flip_are_drawn_apart():
    draws = draw(6000, 2, True, generator(1))
    assert sorted(draws.order.tolist()) == list(range(6000))
    table = np.zeros((5, 10), int)
    np.add.at(
        table,
        (
            draws.changes["shift"][:, 0].numpy(),
            5 * draws.changes["flip"].numpy() + draws.changes["shift"][:, 1].numpy(),
        ),
        1,
    )
    assert chisquare(table.ravel()).pvalue > 1e-3
    assert abs(np.corrcoef(draws.order.numpy(), draws.changes["flip"].numpy())[0, 1]) < 0.05


def test_without_padding_or_flip_images_stay_as_they_are():
    assert draw(20, 0, False, generator(2)).changes == {}
    images = pixels(20, 4, 3)
    assert torch.equal(cut(images, torch.zeros(20, 2).long(), torch.zeros(20).bool(), 0), images)


def test_what_is_drawn_of_crops_does_not_depend_on_mirrors():
    with_flips, without = (draw(30, 2, flip, generator(3)) for flip in (True, False))
    assert torch.equal(with_flips.order, without.order)
    assert torch.equal(with_flips.changes["shift"], without.changes["shift"])


def test_drawing_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    draw(50, 4, True, generator(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_padding_is_black_before_normalisation():
    images = torch.full((8, 4, 4, 3), 255, dtype=torch.uint8)
    scale = scale_of("cifar10", images)
    draws = Draws(torch.arange(8), {"shift": torch.zeros(8, 2).long(), "flip": torch.zeros(8).bool()})
    ((batch, _),) = epoch_batches(images, torch.zeros(8).long(), [draws], 8, feed(2, scale=scale))
    mean, std = (torch.tensor(n) for n in NORMALISATIONS["cifar10"])
    torch.testing.assert_close(batch[:, :, :2], (-mean / std)[None, :, None, None].expand(8, 3, 2, 4))
    torch.testing.assert_close(
        batch[:, :, 2:, 2:], ((1 - mean) / std)[None, :, None, None].expand(8, 3, 2, 2)
    )


def batches_of(count, batch_size, members=1, padding=0, flip=False, size=2):
    """Batches over images whose every pixel is their label, so that each can be told apart."""
    labels = torch.arange(count)
    images = labels.to(torch.uint8).reshape(-1, 1, 1, 1).repeat(1, size, size, 1)
    draws = [draw(count, padding, flip, generator(seed)) for seed in range(members)]
    return list(epoch_batches(images, labels, draws, batch_size, feed(padding, flip)))


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 40), batch_size=st.integers(2, 50), members=st.integers(1, 3))
def test_every_sample_comes_once_but_a_single_leftover(count, batch_size, members):
    batches = batches_of(count, batch_size, members)
    sizes = [labels.shape[1] for _, labels in batches]
    whole, rest = divmod(count, batch_size)
    assert sizes == [batch_size] * whole + [rest] * (rest > 1)
    seen = torch.cat([labels for _, labels in batches], 1)
    for member in seen.tolist():
        assert len(set(member)) == len(member) == count - (rest == 1)


def test_images_and_labels_stay_together():
    for images, labels in batches_of(23, 5, members=3):
        assert images.dtype == torch.float32
        assert images.shape == (labels.shape[1], 3, 2, 2)
        torch.testing.assert_close(images[:, :, 0, 0].T, labels.float(), rtol=0, atol=1e-3)


def test_members_have_their_own_orders_and_crops():
    count = 30
    labels = torch.cat([labels for _, labels in batches_of(count, 7, members=3)], 1).tolist()
    assert len({tuple(order) for order in labels}) == 3
    images = pixels(1, 4, 1).expand(count, -1, -1, -1)
    draws = [draw(count, 2, True, generator(seed)) for seed in range(2)]
    ((batch, _),) = epoch_batches(images, torch.zeros(count).long(), draws, count, feed(2, True))
    assert not torch.equal(batch[:, 0], batch[:, 1])


def test_a_member_of_a_pack_sees_what_it_would_see_alone():
    images, labels = pixels(11, 4, 3), torch.arange(11)
    scale = scale_of("dataset", images)
    draws = [draw(11, 1, True, generator(seed)) for seed in range(3)]
    together = list(epoch_batches(images, labels, draws, 4, feed(1, True, scale)))
    for member in range(3):
        alone = epoch_batches(images, labels, [draws[member]], 4, feed(1, True, scale))
        for (packed, its), (own, wanted) in zip(together, alone, strict=True):
            assert torch.equal(packed.unflatten(1, (3, 3))[:, member], own)
            assert torch.equal(its[member], wanted[0])


@pytest.mark.parametrize(("count", "batch_size"), [(1, 4), (5, 2), (1, 2)])
def test_an_epoch_is_never_empty(count, batch_size):
    assert batches_of(count, batch_size)


def test_packing_keeps_members_apart_and_unpacking_undoes_it():
    images = torch.randn(3, 4, 2, 2, 5, generator=generator(0))
    packed = pack_images(images)
    assert packed.shape == (4, 15, 2, 2)
    assert packed.is_contiguous(memory_format=torch.channels_last)
    for member in range(3):
        assert torch.equal(packed[:, 5 * member : 5 * member + 5], images[member].permute(0, 3, 1, 2))
    logits = torch.arange(24).reshape(4, 6)
    assert torch.equal(unpack_logits(logits, 3)[1], logits[:, 2:4])


def test_the_scale_of_a_dataset_is_its_own():
    images = pixels(50, 5, 3)
    images[..., 1] //= 4
    scaled = scale_of("dataset", images)(images).double()
    assert scaled.mean((0, 1, 2)).numpy() == pytest.approx(0, abs=1e-5)
    assert scaled.std((0, 1, 2)).numpy() == pytest.approx(1, rel=1e-5)
    reference = images.numpy() / 255
    scale = scale_of("dataset", images)
    assert scale.mean.numpy() == pytest.approx(reference.mean((0, 1, 2)))
    assert scale.std.numpy() == pytest.approx(reference.std((0, 1, 2)), rel=1e-3)


def test_a_constant_channel_has_a_finite_scale():
    images = torch.full((4, 3, 3, 1), 7, dtype=torch.uint8)
    assert scale_of("dataset", images)(images).isfinite().all()


@pytest.mark.parametrize("name", list(NORMALISATIONS))
def test_a_named_scale_is_torchvisions_normalisation(name):
    images = pixels(4, 5, 3)
    wanted = tv.normalize(images.permute(0, 3, 1, 2) / 255, *NORMALISATIONS[name])
    torch.testing.assert_close(scale_of(name, images)(images).permute(0, 3, 1, 2), wanted)


@pytest.mark.parametrize("name", list(NORMALISATIONS))
def test_a_grey_image_takes_the_mean_of_a_named_scale(name):
    scale = scale_of(name, pixels(2, 3, 1))
    mean, std = (np.mean(numbers) for numbers in NORMALISATIONS[name])
    assert scale.mean.tolist() == pytest.approx([mean])
    assert scale.std.tolist() == pytest.approx([std])


def test_the_papers_normalisations_are_the_papers():
    assert NORMALISATIONS["imagenet"] == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert NORMALISATIONS["cifar10"] == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
