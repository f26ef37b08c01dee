"""Pairs of sentences as tokens: the second is predicted token by token, from the first and those before.

An input holds the source, padded to `task.source` tokens, and then the target from its start token on,
padded: position i of the logits predicts the target's token i + 1 (teacher forcing).
While a sentence is decoded its target is as long as what is decoded of it, and so are the predictions.
"""

from ..records import TokenTask
from ._base import Kind
from ._tokens import example, feed_of_positions, random_positions

task = Kind(
    "sentence pairs",
    feed_of_positions,
    example,
    random_positions,
    smallest=TokenTask("translation", classes=4, vocabulary=4, length=4, source=2),
    positions=True,
)
