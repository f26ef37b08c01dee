"""How many samples of a dataset are trained on, and which sizes are impossible."""

from typing import NamedTuple

from ..catalog import TASKS
from ..records import AnyTask, Study
from ..tasks._base import Kind
from .variants import train_sizes


class DatasetFacts(NamedTuple):
    """What a plan needs to know of a dataset.

    Attributes:
        task: The dataset's task.
        digest: The digest of the decoded samples.
        name: What tables call it.
        train_samples: How many training samples it has.
    """

    task: AnyTask
    digest: str
    name: str
    train_samples: int

    @property
    def kind(self) -> Kind:
        return TASKS[self.task.kind]

    @property
    def least(self) -> int:
        """The fewest training samples."""
        return self.kind.least(self.task)


def train_size(study: Study, size: int | None, data: DatasetFacts) -> int:
    """How many samples are trained on: `size`, or where it is None all that are not held out."""
    return size or data.train_samples - study.validation_size


def size_faults(study: Study, data: DatasetFacts) -> list[str]:
    """Why some data sizes cannot be, one sentence a fault."""
    left = data.train_samples - study.validation_size
    few = "2" if data.kind.positions else f"its {data.task.classes} classes"
    if left < data.least:
        return [
            f"validation_size {study.validation_size:,} leaves {max(0, left):,} of the {data.train_samples:,}"
            f" training {data.kind.samples} of {data.name!r}, fewer than {few}. Ask for"
            f" validation_size at most {max(0, data.train_samples - data.least):,}."
        ]
    most, faults = left // study.subsets, []
    several = study.subsets > 1
    for size in (train_size(study, one, data) for one in train_sizes(study)):
        if not 1 <= size <= most:
            remedies = [f"train_size at most {most:,}"] if most else []
            remedies += [f"at most {left // size:,} subsets"] if several and size <= left else []
            faults.append(
                f"train_size {size:,}{f' in {study.subsets} disjoint subsets' if several else ''} and"
                f" validation_size {study.validation_size:,} need more than the {data.train_samples:,}"
                f" training {data.kind.samples} of {data.name!r}. Ask for"
                f" {', or '.join(remedies) or 'fewer of both'}."
            )
        elif size < data.least and data.kind.positions:
            faults.append(f"train_size {size:,} is below 2, the smallest batch. Ask for at least 2.")
        elif size < data.least:
            faults.append(
                f"train_size {size:,} is below the {data.task.classes} classes of {data.name!r}: some class"
                f" would have no sample. Ask for at least {data.task.classes}."
            )
    return faults
