"""What scoring needs of a source of members: a store or a bundle."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..records import Probed, ProbeSubject, Run
from .briefs import Brief
from .members import Stored

if TYPE_CHECKING:
    import pandas as pd


class ReadableStore(Protocol):
    """Members, their histories and what probes found at them; `Store` is one.

    Attributes:
        root: Where it lies, for messages.
    """

    @property
    def root(self) -> Path: ...

    def __contains__(self, key: str) -> bool: ...

    def read(self, key: str) -> Stored:
        """A member, checked.

        Raises:
            StoreError: It is not there, or damaged.
        """
        ...

    def briefs(self, runs: Iterable[Run]) -> Iterator[Brief]:
        """How the stored ones of these members ended, in the order of the runs."""
        ...

    def history(self, key: str, name: str) -> "pd.DataFrame | None":
        """What was recorded while a member trained: `epochs` or `steps`; None where nothing was."""
        ...

    def saved_probe(self, subject: ProbeSubject) -> Probed | None:
        """What exactly this probe found, or None."""
        ...
