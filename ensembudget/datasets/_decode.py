"""Decodes compressed images to uint8 arrays; every error names the file."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from ..errors import DatasetError
from ._base import Images

MOST_PIXELS = 2**20  # a small file with a false header must not take gigabytes of memory


def decode_image(content: bytes, name: str) -> Images:
    """Decodes an image to (row, column, channel), uint8. Grey images keep one channel, others become RGB.

    Raises:
        DatasetError: Not an image, cut short, or larger than 2^20 pixels.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DatasetError(
                    f"{name} has {image.width}x{image.height} pixels; at most {MOST_PIXELS:,} are read."
                )
            if image.mode.startswith("I;16"):  # Pillow would clip it
                pixels = (np.asarray(image) >> 8).astype(np.uint8)
            else:
                pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{name} cannot be decoded ({len(content)} bytes): {error}.") from None
    return pixels[..., None] if pixels.ndim == 2 else pixels


def stack(images: Iterable[tuple[str, Images]], spec: str) -> Images:
    """Stacks decoded images of one size into (sample, row, column, channel).

    Raises:
        DatasetError: Two images differ in size or channels; the message names both.
    """
    kept: list[Images] = []
    first = ""
    for name, image in images:
        if kept and image.shape != kept[0].shape:
            raise DatasetError(
                f"dataset {spec!r} has images of several shapes: {first} is {kept[0].shape}, {name} is"
                f" {image.shape} (row, column, channel). Resize them first."
            )
        first = first or name
        kept.append(image)
    return np.stack(kept) if kept else np.empty((0, 0, 0, 0), np.uint8)
