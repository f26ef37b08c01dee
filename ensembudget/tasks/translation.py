"""Sentence pairs as tokens: each token of the target is predicted from the source and the tokens before it.

An input is the source, padded to `task.source` positions, followed by the target, which begins with the start
token and is padded too. Training uses teacher forcing: position i of the logits predicts token i + 1 of the
target. In decoding, the target is as long as the prefix decoded so far.
"""

from ..records import TokenTask
from ._base import Kind
from ._tokens import FEWEST, example, feed_of_positions, random_positions

task = Kind(
    "sentence pairs",
    feed_of_positions,
    example,
    random_positions,
    smallest=TokenTask("translation", classes=FEWEST, vocabulary=FEWEST, length=4, source=2),
    positions=True,
)
