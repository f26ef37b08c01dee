"""What a dataset asks of a network."""

from typing import NamedTuple


class Task(NamedTuple):
    """What a network must fit: number of classes, image channels, and pixels along a side."""

    classes: int
    channels: int
    image_size: int
