"""A store's folder, and the small documents in it: plans, searches, choices, probes and failures."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError, reason, told
from ..files import write_whole
from ..records import Choice, Contest, Plan, Probed, ProbeSubject, Search, Study
from . import failures
from .kept import choices, plans, probes, search_subject, searches
from .paths import FORMAT, Paths, check_header
from .publishing import forget_failure


class DocumentStore:
    """A store without its members.

    Raises:
        StoreError: It cannot be read, or a newer version made it.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._paths = Paths(self.root)
        with self._explained():
            check_header(self._paths)

    def save_plan(self, plan: Plan) -> None:
        """Keeps a study's plan beside the members that it needs.

        Raises:
            StoreError: A newer version kept it here, or the store cannot be written.
        """
        with self._writing():
            plans(self.root).save(plan, over_damage=True)

    def saved_plan(self, study: Study) -> Plan | None:
        """The plan of exactly this study when it was run here, or None.

        Where the folder of its dataset lies does not matter, only what it is called.

        Raises:
            StoreError: It is there, and damaged or written by a newer version.
        """
        found = plans(self.root).find(study.unplaced)
        return found and found.model_copy(update={"study": study})

    def save_search(self, search: Search) -> None:
        """Keeps the rounds of a search, so that the same search resumes from them.

        Raises:
            StoreError: The one that is there cannot be read, or the store cannot be written.
        """
        with self._writing():
            searches(self.root).save(search)

    def saved_search(self, empty: Search) -> Search:
        """The search as it was last saved, or as given if there is none.

        Raises:
            StoreError: It is there, and damaged or written by a newer version.
        """
        return searches(self.root).find(search_subject(empty)) or empty

    def save_choice(self, choice: Choice) -> None:
        """Keeps what tuning chose, so that a report needs neither the choosing members nor the dataset.

        Raises:
            StoreError: The one that is there cannot be read, or the store cannot be written.
        """
        with self._writing():
            choices(self.root).save(choice)

    def save_probe(self, probed: Probed) -> None:
        """Keeps what a probe found, so that a report measures nothing.

        Raises:
            StoreError: The one that is there cannot be read, or the store cannot be written.
        """
        with self._writing():
            probes(self.root).save(probed)
            forget_failure(self._paths, probed.subject.key)

    def saved_probe(self, subject: ProbeSubject) -> Probed | None:
        """What exactly this probe found, or None.

        Raises:
            StoreError: It is there, and damaged or written by a newer version.
        """
        return probes(self.root).find(subject)

    def saved_choice(self, contest: Contest) -> Choice | None:
        """What was chosen among exactly these cells, or None.

        Raises:
            StoreError: It is there, and damaged or written by a newer version.
        """
        return choices(self.root).find(contest)

    def record_failure(self, key: str, why: str, log: str = "") -> None:
        """Remembers why a run raised, and the end of its log; the run is tried again next time."""
        remembered = {"reason": why} | ({"log": log} if log else {})
        with self._writing():
            write_whole(self._paths.failure(key), failures.sealed(key, remembered), durable=True)

    def failure_log(self, key: str) -> str:
        """The end of the log of a run that failed when last tried; empty where there is none."""
        found = failures.read(self._paths.failure(key), key)
        return str(found.get("log", "")) if found else ""

    def failure(self, key: str) -> str | None:
        """Why a run raised when last tried, or None."""
        found = failures.read(self._paths.failure(key), key)
        return None if found is None else str(found["reason"])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._explained():  # the header is there, and refusals name the store
            if not self._paths.header.exists():
                write_whole(self._paths.header, json.dumps({"format": FORMAT}), durable=True)
            yield

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns errors of the disk into a message that names the store."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"store {told(str(self.root))} cannot be written: {reason(error)}. Free space or"
                " name another place with --store; what is published stays, and the same command resumes."
            ) from None
