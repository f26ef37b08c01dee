"""Decodes one compressed image to a uint8 array; every error names the file."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..errors import DatasetError
from ._base import AS_THEY_ARE, Images, Treatment

# A small file with a false header must not take gigabytes of memory.
MOST_PIXELS = 2**20  # where images keep their size, and all of them lie in memory at once
MOST_AT_ONCE = 2**26  # where each is resized, or dropped, before the next is decoded
GREY = {"1", "L", "LA", "La"}  # Pillow's modes
# What Pillow raises on damaged files.
FAULTS = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
# Of Pillow's readers those of images alone: that of EPS runs a program on what it is given.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "GIF", "PPM", "TIFF")
MODES = {"rgb": "RGB", "grey": "L"}


class CorruptImageError(DatasetError):
    """Bytes that are no image, or not all of one."""


class Decoded(NamedTuple):
    """An image (row, column, channel), uint8; how its file stores it (Pillow's mode, several frames)."""

    pixels: Images
    mode: str
    animated: bool


def decode_image(
    content: bytes, name: str, form: Treatment = AS_THEY_ARE, *, most: int = MOST_PIXELS
) -> Decoded:
    """Decodes the first frame of an image.

    Args:
        content: The file's bytes.
        name: What messages call it.
        form: What becomes of the image.
        most: Pixels beyond which it is refused.

    Raises:
        CorruptImageError: Not an image, or cut short.
        DatasetError: Too many pixels, or numbers whose range nobody can know.
    """
    with _opened(content, name) as image:
        if image.width * image.height > most:
            raise DatasetError(
                f"{name} has {image.width}x{image.height} pixels; at most {most:,} are read"
                + (f", or {MOST_AT_ONCE:,} where a study sets image_size." if most == MOST_PIXELS else ".")
            )
        mode = image.mode
        found = pixels_of(image, name, form)
        return Decoded(found, mode, _animated(image))


def pixels_of(image: Image.Image, name: str = "the image", form: Treatment = AS_THEY_ARE) -> Images:
    """The pixels of a Pillow image, (row, column, channel), uint8.

    It is turned upright as its EXIF says, and laid on white where it is transparent. Numbers of 16 bits lose
    the lower 8. Grey images have one channel and others three, unless `form.colour` says. With
    `form.image_size` it is cut to its central square and resized by Pillow's antialiased bilinear filter.

    Raises:
        DatasetError: Numbers of 32 bits.

    Example:
        >>> transparent = Image.new("RGBA", (9, 7), (255, 0, 0, 0))
        >>> pixels_of(transparent, form=Treatment(image_size=2, colour="grey")).tolist()
        [[[255], [255]], [[255], [255]]]
    """
    size = form.image_size
    if size:
        image.draft(None, (4 * size, 4 * size))  # a JPEG far too large is decoded at 1/2, 1/4 or 1/8
    image = _on_white(_eight_bits(_upright(image), image.format, name))
    if form.colour:
        image = image.convert(MODES[form.colour])
    if size:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        if side != size:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
    found = np.asarray(image)
    return found[..., None] if found.ndim == 2 else found


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """An image whose pixels are not decoded yet; what Pillow raises around it becomes one error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful metadata: pixels are whole, or it raises
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                yield image
    except FAULTS as error:
        raise CorruptImageError(f"{name} cannot be decoded ({len(content)} bytes): {error}.") from None


def _animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # later frames are damaged, and the first is whole
        return False


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises almost anything on a damaged EXIF block, and the pixels are whole
        return image


def _eight_bits(image: Image.Image, kind: str | None, name: str) -> Image.Image:
    # Pillow reads PGM of 16 bits into 32, and scales it to 65,535.
    if image.mode.startswith("I;16") or (image.mode == "I" and kind == "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DatasetError(
            f"{name} holds numbers of 32 bits (mode {image.mode}), of which nobody can know what is black"
            " and what is white. Save it with 8 or 16 bits."
        )
    return image


def _on_white(image: Image.Image) -> Image.Image:
    """The image in grey ("L") or RGB, on white where it is transparent."""
    mode = "L" if image.mode in GREY else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    if image.mode == "La":  # which Pillow converts to LA alone
        image = image.convert("LA")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert(mode)
