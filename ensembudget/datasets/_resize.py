"""Images at another size: the central square, then Pillow's antialiased bilinear filter."""

import numpy as np
from PIL import Image

from ._base import Arrays, Images

LARGEST = 1024  # pixels a side


def resized(arrays: Arrays, size: int) -> Arrays:
    """The same images, `size` pixels a side; what already has this size is unchanged.

    Args:
        arrays: Images (sample, row, column, channel), uint8, grey or RGB.
        size: Pixels a side.

    Example:
        >>> from .digits import dataset
        >>> resized(dataset.decode(""), 16).test_images.shape
        (797, 16, 16, 1)
    """
    return arrays._replace(
        train_images=_resized(arrays.train_images, size), test_images=_resized(arrays.test_images, size)
    )


def _resized(images: Images, size: int) -> Images:
    height, width, channels = images.shape[1:]
    if height == width == size or 0 in images.shape:
        return images
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    found = np.empty((len(images), size, size, channels), np.uint8)
    for image, to in zip(square, found, strict=True):
        # Pillow takes grey images without a channel.
        picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if channels == 1 else image))
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        to[...] = pixels.reshape(size, size, channels)
    return found
