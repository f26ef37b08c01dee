"""The command line: one command a file; `main` runs one. Nothing heavy is imported before it is needed."""

from .main import main

__all__ = ["main"]
