"""A dataset in memory."""

from dataclasses import dataclass

from ..records import Task
from ._base import Arrays


@dataclass(frozen=True)
class Data:
    """A decoded dataset: the name that tables use, the digest of its arrays, and the arrays."""

    name: str
    digest: str
    arrays: Arrays

    @property
    def task(self) -> Task:
        size, _, channels = self.arrays.train_images.shape[1:]
        return Task(self.arrays.classes, channels, size)
