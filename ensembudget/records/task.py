"""What a dataset asks of a network."""

from typing import NamedTuple


class Task(NamedTuple):
    """Number of classes, image channels, and pixels along a side of the square images."""

    classes: int
    channels: int
    image_size: int
