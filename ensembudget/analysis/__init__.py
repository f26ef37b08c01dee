"""What the results of a study come to: typed answers, one topic a file, no text."""

from .record import Analysis

__all__ = ["Analysis"]
