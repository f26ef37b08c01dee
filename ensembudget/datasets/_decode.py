"""Compressed images to uint8 arrays, with the file's name in every complaint."""

import io

import numpy as np
from PIL import Image

from ..errors import DatasetError
from ._base import Images

MOST_PIXELS = 2**20  # a byte's worth of header must not ask for gigabytes of memory


def decode_image(content: bytes, name: str) -> Images:
    """An image as (row, column, channel) in uint8: grey stays grey, all else becomes RGB.

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
