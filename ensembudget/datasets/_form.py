"""Images that are decoded already, at another size and in other colours."""

import numpy as np
from PIL import Image

from ._base import Arrays, Images, Treatment
from ._decode import pixels_of

LARGEST = 1024  # pixels a side
CHANNELS = {"rgb": 3, "grey": 1}


def formed(arrays: Arrays, form: Treatment) -> Arrays:
    """The same images as `form` wants them, as if each had been decoded so.

    Args:
        arrays: Images (sample, row, column, channel), uint8, grey or RGB.
        form: Size and colours.

    Example:
        >>> from .digits import dataset
        >>> formed(dataset.decode(""), Treatment(image_size=16, colour="rgb")).test_inputs.shape
        (797, 16, 16, 3)
    """
    return arrays._replace(
        train_inputs=_formed(arrays.train_inputs, form), test_inputs=_formed(arrays.test_inputs, form)
    )


def _formed(images: Images, form: Treatment) -> Images:
    height, width, channels = images.shape[1:]
    size, colours = form.image_size or height, CHANNELS[form.colour] if form.colour else channels
    if (height, width, channels) == (size, size, colours) or 0 in images.shape:
        return images
    # Pillow takes grey images without a channel.
    pictures = (Image.fromarray(image[..., 0] if channels == 1 else image) for image in images)
    return np.stack([pixels_of(picture, form=form) for picture in pictures])
