"""Pictures as people have them, made into what the members were trained on."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..datasets._base import Images, Treatment
from ..datasets._decode import MOST_AT_ONCE, decode_image, pixels_of
from ..errors import ArgumentError, DatasetError, reason, told
from ..records import Task

KINDS = "a path, a PIL picture, an array of uint8 (row, column) or (row, column, channel), or a list of these"


def prepared(pictures: Any, task: Task) -> Images:
    """Pictures as the members see them: in their colours, the central square, resized.

    A colour picture becomes grey where the members were trained on grey images, and a grey one gets three
    equal channels where they were trained on colour. Transparent pixels are laid on white.

    Args:
        pictures: A path, a PIL picture, an array of uint8, or several of these. An array is (row, column),
            (row, column, channel) or (sample, row, column, channel), with 1, 3 or 4 channels.
        task: Channels, and pixels a side.

    Returns:
        uint8, (sample, row, column, channel).

    Raises:
        ArgumentError: Not such pictures, or none.
        DatasetError: A file that is missing or is no picture.

    Example:
        >>> prepared(np.zeros((2, 40, 60, 3), np.uint8), Task(10, 1, 8)).shape
        (2, 8, 8, 1)
    """
    form = Treatment(task.image_size, "grey" if task.channels == 1 else "rgb")
    found = [_prepared(one, form) for one in _each(pictures)]
    if not found:
        raise ArgumentError(f"there are no images. Give {KINDS}.")
    return np.stack(found)


def _each(pictures: Any) -> Iterable[Any]:
    if isinstance(pictures, str | os.PathLike | Image.Image):
        return [pictures]
    if hasattr(pictures, "__array__"):
        array = np.asarray(pictures)
        return array if array.ndim == 4 else [array]
    if isinstance(pictures, Iterable):
        return pictures
    raise ArgumentError(f"images of type {type(pictures).__name__} are not read. Give {KINDS}.")


def _prepared(picture: Any, form: Treatment) -> Images:
    """One picture as (row, column, channel), prepared as training images are."""
    if isinstance(picture, str | os.PathLike):
        try:
            return decode_image(
                Path(picture).read_bytes(), repr(os.fspath(picture)), form, most=MOST_AT_ONCE
            ).pixels
        except (OSError, ValueError) as error:  # a null byte in the name
            raise DatasetError(f"{told(os.fspath(picture))} cannot be read: {reason(error)}.") from None
    image = picture if isinstance(picture, Image.Image) else _image(picture)
    return pixels_of(image, form=form)


def _image(picture: Any) -> Image.Image:
    """An array as a Pillow image."""
    if not hasattr(picture, "__array__"):
        raise ArgumentError(f"an image of type {type(picture).__name__} is not read. Give {KINDS}.")
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        raise ArgumentError(
            f"images are of type {pixels.dtype}; they must be uint8, from 0 to 255. Multiply those from 0 to"
            " 1 by 255 and round them."
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] not in (3, 4)):
        raise ArgumentError(
            f"an image has shape {np.shape(picture)}; it must be (row, column) or (row, column, channel),"
            " with 1, 3 or 4 channels."
        )
    if 0 in pixels.shape:
        raise ArgumentError(f"an image has no pixels: its shape is {pixels.shape}.")
    return Image.fromarray(np.ascontiguousarray(pixels))
