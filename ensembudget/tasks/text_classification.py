"""Texts as tokens, padded to one length; one class for each text."""

from ..records import TokenTask
from ._base import Kind
from ._tokens import FEWEST, example, feed_of_samples, random_samples

task = Kind(
    "texts",
    feed_of_samples,
    example,
    random_samples,
    smallest=TokenTask("text_classification", classes=2, vocabulary=FEWEST, length=2),
)
