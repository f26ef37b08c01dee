"""What a dataset asks of a network."""

from typing import NamedTuple


class Task(NamedTuple):
    """Images: number of classes, image channels, and pixels along a side of the square images."""

    classes: int
    channels: int
    image_size: int

    @property
    def kind(self) -> str:
        """The part of `ensembudget/tasks` that trains it."""
        return "images"


class TokenTask(NamedTuple):
    """Sequences of tokens: whole numbers from 0, where 0 is padding.

    Attributes:
        kind: The part of `ensembudget/tasks` that trains it, as `text_classification`.
        classes: How many classes, or tokens, a prediction chooses among.
        vocabulary: How many different tokens there are, padding included.
        length: Positions of one input; in a translation, of source and target together.
        source: In a translation, how many of them hold the source; 0 elsewhere.
    """

    kind: str
    classes: int
    vocabulary: int
    length: int
    source: int = 0

    @property
    def predicted(self) -> int:
        """Positions of a sample that are predicted, where its task predicts every position."""
        return self.length - self.source


AnyTask = Task | TokenTask
