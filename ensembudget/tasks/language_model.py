"""Blocks of running text as tokens; every position predicts the next token."""

from ..records import TokenTask
from ._base import Kind
from ._tokens import FEWEST, example, feed_of_positions, random_positions

task = Kind(
    "blocks",
    feed_of_positions,
    example,
    random_positions,
    smallest=TokenTask("language_model", classes=FEWEST, vocabulary=FEWEST, length=2),
    positions=True,
)
