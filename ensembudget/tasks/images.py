"""Square images, one class each; in training they may be cropped at random and mirrored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Generator, Tensor

from ..records import Recipe, Task
from ._base import Draws, Kind

SMALLEST_IMAGE = 8  # pixels a side

# Channel means and standard deviations of images in [0, 1], as the papers' code has them.
NORMALISATIONS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Scale:
    """The mean and standard deviation that images are normalised by, each (channel,)."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalises bytes, (..., channel), to zero mean and unit deviation, in the dtype of the mean."""
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Scale":
        return Scale(self.mean.to(device, dtype), self.std.to(device, dtype))


def scale_of(normalisation: str, images: Tensor) -> Scale:
    """The named constants, or, for "dataset", the statistics of the training images.

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
class Pixels:
    """The feed of images: random crops and mirrors with the distribution of torchvision's.

    Attributes:
        scale: Normalises the images.
        padding: Black pixels added on every side before an image is cropped; 0 for no crops.
        flip: Whether half of the images are mirrored.
        size: Pixels of one image.
    """

    scale: Scale
    padding: int = 0
    flip: bool = False
    size: int = 1

    @property
    def device(self) -> torch.device:
        return self.scale.mean.device

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        return replace(self, scale=self.scale.to(device, dtype))

    def draw(self, count: int, generator: Generator) -> Draws:
        """The order, each crop's `shift`, (sample, 2), 0 to 2 x padding, and `flip`, (sample,)."""
        order = torch.randperm(count, generator=generator)
        shift = torch.randint(2 * self.padding + 1, (count, 2), generator=generator)
        if self.flip:
            return Draws(order, {"shift": shift, "flip": torch.rand(count, generator=generator) < 0.5})
        flip = torch.zeros(count, dtype=torch.bool)
        return Draws(order, {"shift": shift, "flip": flip} if self.padding else {})

    def augment(self, inputs: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
        return cut(inputs, changes["shift"], changes["flip"], self.padding)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Bytes (member, sample, row, column, channel) to (sample, members x channel, row, column)."""
        return pack_images(self.scale(inputs))


def feed(recipe: Recipe, task: Task, inputs: Tensor) -> Pixels:
    scale = scale_of(recipe.normalisation, inputs)
    return Pixels(scale, recipe.crop_padding, recipe.flip, inputs.shape[1] * inputs.shape[2])


def cut(images: Tensor, shift: Tensor, flip: Tensor, padding: int) -> Tensor:
    """Crops of zero-padded images, some mirrored, as torchvision's RandomCrop(size, padding) and a flip.

    Args:
        images: uint8, (sample, row, column, channel).
        shift: int64, (sample, 2), the row and column of the padded image at which the crop starts.
        flip: bool, (sample,), whether the columns are reversed.
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


def pack_images(images: Tensor) -> Tensor:
    """(member, sample, row, column, channel) to (sample, members x channel, row, column)."""
    together = images.permute(1, 2, 3, 0, 4).flatten(3)  # channels last, which convolutions are fastest on
    packed: Tensor = together.permute(0, 3, 1, 2)
    return packed


def example(task: Task) -> Tensor:
    """One image of one member, (1, channel, row, column), float32, on the meta device."""
    return torch.empty(1, task.channels, task.image_size, task.image_size, device="meta")


def random(task: Task, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    shape = (count, task.image_size, task.image_size, task.channels)
    images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return images, torch.randint(task.classes, (count,), generator=generator)


task = Kind(
    "images",
    feed,
    example,
    random,
    smallest=Task(classes=2, channels=1, image_size=SMALLEST_IMAGE),
    augmented=frozenset(("crop_padding", "flip", "normalisation")),
    layouts=True,
)
