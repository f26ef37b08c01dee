"""Batches cut from one uint8 tensor on the device: no files, no worker processes, no loop over samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

# Channel means and standard deviations of images in [0, 1], as the papers' code has them.
NORMALISATIONS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Scale:
    """Per-channel mean and standard deviation that images are normalised by, each (channel,)."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Bytes (..., channel), normalised to zero mean and unit deviation, in the dtype of the mean."""
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Scale":
        return Scale(self.mean.to(device, dtype), self.std.to(device, dtype))


def scale_of(normalisation: str, images: Tensor) -> Scale:
    """The named constants, or for "dataset" the statistics of the training images.

    Args:
        normalisation: `dataset`, `cifar10` or `imagenet`.
        images: uint8, (sample, row, column, channel).
    """
    if normalisation == "dataset":
        values = images.double() / 255
        mean, std = values.mean((0, 1, 2)), values.std((0, 1, 2)).clamp_min(1e-3)
        return Scale(mean.float(), std.float())
    mean, std = (torch.tensor(numbers) for numbers in NORMALISATIONS[normalisation])
    channels = images.shape[-1]
    # A grey image takes the mean over the named channels.
    return (
        Scale(mean, std)
        if channels == len(mean)
        else Scale(mean.mean().expand(channels), std.mean().expand(channels))
    )


@dataclass(frozen=True)
class EpochDraws:
    """One member's random choices for one epoch, one row a sample."""

    order: Tensor  # (sample,) int64
    shift: Tensor  # (sample, 2) int64, rows and columns, 0 to 2 x padding
    flip: Tensor  # (sample,) bool


def draw(count: int, padding: int, flip: bool, generator: Generator) -> EpochDraws:
    """Order, crop and flip of every sample, in distribution as torchvision's transforms."""
    order = torch.randperm(count, generator=generator)
    shift = torch.randint(2 * padding + 1, (count, 2), generator=generator)
    flips = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    return EpochDraws(order, shift, flips)


def still_draw(count: int) -> EpochDraws:
    """No augmentation: the samples in order, uncropped and unflipped."""
    zeros = torch.zeros(count, 2, dtype=torch.int64)
    return EpochDraws(torch.arange(count), zeros, torch.zeros(count, dtype=torch.bool))


def cut(images: Tensor, shift: Tensor, flip: Tensor, padding: int) -> Tensor:
    """Random crops of zero-padded images, some mirrored: RandomCrop(size, padding) and a flip.

    Args:
        images: uint8, (sample, row, column, channel).
        shift: int64, (sample, 2), where the crop starts in the padded image.
        flip: bool, (sample,), whether its columns run backwards.
        padding: Black pixels on every side, at least 0.

    Returns:
        uint8, as `images`.

    Example:
        >>> image = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).reshape(1, 2, 2, 1)
        >>> cut(image, torch.tensor([[1, 2]]), torch.tensor([True]), 1).squeeze()
        tensor([[0, 2],
                [0, 4]], dtype=torch.uint8)
    """
    count, size = images.shape[0], images.shape[1]
    span = torch.arange(size, device=images.device)
    rows = shift[:, :1] - padding + span
    columns = shift[:, 1:] - padding + torch.where(flip[:, None], span.flip(0), span)
    inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
    sample = torch.arange(count, device=images.device)[:, None, None]
    picked = images[sample, rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None, :]]
    return picked * inside[..., None]


def epoch_batches(
    images: Tensor,
    labels: Tensor,
    draws: list[EpochDraws],
    batch_size: int,
    padding: int,
    scale: Scale,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch for all members of a pack, each in its own order with its own crops.

    Args:
        images: uint8, (sample, row, column, channel), on the device.
        labels: int64, (sample,).
        draws: One a member.
        batch_size: Samples of each member in a step. The last batch may be smaller; a last batch of one
            sample is left out, since batch norm has no statistics of one.
        padding: Of the crop; without padding and flips, images stay as they are.
        scale: Normalises the images.

    Yields:
        Images, of the scale's type, (sample, members x channel, row, column) and labels (member, sample).
    """
    order = torch.stack([d.order for d in draws]).to(images.device)
    shift = torch.stack([d.shift for d in draws]).to(images.device)
    flip = torch.stack([d.flip for d in draws]).to(images.device)
    augmented = padding > 0 or any(bool(d.flip.any()) for d in draws)
    for start in range(0, order.shape[1], batch_size):
        span = slice(start, start + batch_size)
        index = order[:, span]
        if start > 0 and index.shape[1] == 1:
            return
        chosen = images[index.flatten()]
        if augmented:
            chosen = cut(chosen, shift[:, span].flatten(0, 1), flip[:, span].flatten(), padding)
        yield pack_images(scale(chosen).unflatten(0, index.shape)), labels[index]


def pack_images(images: Tensor) -> Tensor:
    """(member, sample, row, column, channel) to (sample, members x channel, row, column)."""
    together = images.permute(1, 2, 3, 0, 4).flatten(3)  # channels last, which convolutions are fastest on
    packed: Tensor = together.permute(0, 3, 1, 2)
    return packed


def unpack_logits(logits: Tensor, members: int) -> Tensor:
    """(sample, members x class) to (member, sample, class)."""
    unpacked: Tensor = logits.unflatten(1, (members, -1)).transpose(0, 1)
    return unpacked
