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
    """Sequences of tokens, which are whole numbers from 0; token 0 pads them.

    Attributes:
        kind: The part of `ensembudget/tasks` that trains it, as `text_classification`.
        classes: What a prediction chooses among: classes, or tokens.
        vocabulary: How many tokens there are, the padding among them.
        length: Tokens of one input; of a translation, of the source and of what precedes the predictions.
        source: How many of these are the source of a translation; 0 elsewhere.
    """

    kind: str
    classes: int
    vocabulary: int
    length: int
    source: int = 0


AnyTask = Task | TokenTask
