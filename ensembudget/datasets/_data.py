"""A dataset in memory."""

from dataclasses import dataclass

from ..records import AnyTask, Task
from ._base import Arrays


@dataclass(frozen=True)
class Data:
    """A decoded dataset.

    Attributes:
        name: What tables call it.
        digest: Of the arrays, without the names of classes.
        arrays: Samples and labels.
        notes: A sentence on each thing that whoever reads results must know, such as files left out; none
            where the dataset was opened by its digest alone.
    """

    name: str
    digest: str
    arrays: Arrays
    notes: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class; none where the source gives none, or as with `notes`."""
        return self.arrays.class_names

    @property
    def task(self) -> AnyTask:
        if self.arrays.task is not None:
            return self.arrays.task
        size, _, channels = self.arrays.train_inputs.shape[1:]
        return Task(self.arrays.classes, channels, size)
