"""What the pools of one comparison share besides their budget: a point on the axes of a study."""

from typing import NamedTuple

from pydantic import NonNegativeInt, PositiveInt

from ._base import Record


class Setting(NamedTuple):
    """One value of each axis that a study has; an axis that it does not have is "" or None.

    Attributes:
        arm: The arm's name, then the swept values.
        tuned: Whether the recipe was tuned on validation images.
        train_size: Training images.
        subset: Which of the disjoint draws of training images, counted from 0.
        dtype: How trained weights are stored.
    """

    arm: str = ""
    tuned: bool | None = None
    train_size: int | None = None
    subset: int | None = None
    dtype: str = ""

    @property
    def way(self) -> "Setting":
        """Its arm and dtype alone: what holds at all data sizes and subsets, tuned or not."""
        return Setting(self.arm, dtype=self.dtype)

    @property
    def label(self) -> str:
        """The setting in words; "" where the study has no axis.

        >>> Setting("sphere", train_size=1000, subset=0).label
        'sphere, 1,000 images, subset 0'
        """
        words = [
            self.arm,
            {True: "tuned", False: "untuned", None: ""}[self.tuned],
            "" if self.train_size is None else f"{self.train_size:,} images",
            "" if self.subset is None else f"subset {self.subset}",
            self.dtype,
        ]
        return ", ".join(word for word in words if word)


class Placed(Record):
    """A record that belongs to one setting of a study."""

    arm: str = ""
    tuned: bool | None = None
    train_size: PositiveInt | None = None
    subset: NonNegativeInt | None = None
    dtype: str = ""

    @property
    def setting(self) -> Setting:
        return Setting(self.arm, self.tuned, self.train_size, self.subset, self.dtype)
