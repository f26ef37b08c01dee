"""The store: what others see of it."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import SoftFileLease
from numpy.typing import NDArray

from ..errors import StoreError, reason
from ..files import make_folder, settle, write_whole
from ..records import Environment, Run
from . import artefacts, members, publishing
from .artefacts import Artefact, wanted
from .document_store import DocumentStore
from .documents import DamageError, UnknownError
from .members import Labels, Stored
from .merging import Merged, merge
from .sweeping import sweep

if TYPE_CHECKING:
    import pandas as pd

    from ..training.loop import Trained

# Another process that trains the same pack renews its claim; one that died stops, and is overtaken.
LEASE_SECONDS = 5.0


class Store(DocumentStore):
    """A folder of members.

    Raises:
        StoreError: It cannot be read, or a newer version made it.
    """

    def __contains__(self, key: str) -> bool:
        return self._paths.member(key).is_dir()

    # Members.

    def read(self, key: str) -> Stored:
        """A member, after checking every byte against its digest.

        Raises:
            StoreError: It is not there; a newer version wrote it; or it is damaged, and is in
                quarantine now.
        """
        folder = self._member(key)
        with self._reading(folder, f"member {key}"):
            return members.checked(folder, key)

    def weights(self, key: str) -> dict[str, NDArray[Any]]:
        """A member's weights by the names of its network's tensors, checked against their digest.

        Raises:
            StoreError: As `read`; or they were not kept, or are damaged and in quarantine now.
        """
        folder, later = self._member(key), self._paths.weights(key)
        if (folder / members.WEIGHTS).exists():
            with self._reading(folder, f"member {key}"):
                _, document, _ = members.described(folder, key)
                return members.arrays(
                    members.check_files(folder, document, members.DESCRIPTION, members.WEIGHTS)
                )
        if not later.is_dir():
            raise StoreError(
                f"the weights of member {key} of store {str(self.root)!r} were not kept. Set keep_weights ="
                " true in its study, and `run` trains it again for them."
            )
        with self._reading(folder, f"member {key}"):
            logits = artefacts.logits_digest(folder)
        with self._reading(later, f"weights of member {key}"):
            return artefacts.read_later(later, key, logits)

    def history(self, key: str, name: str, columns: list[str] | None = None) -> "pd.DataFrame | None":
        """What was recorded while a member trained, or None where nothing was.

        Args:
            key: The member's; `read` it first, which checks every byte.
            name: `epochs` or `steps`.
            columns: Those that are wanted; None for all.
        """
        import pandas as pd

        path = self._paths.member(key) / f"{name}.parquet"
        return pd.read_parquet(path, columns=columns) if path.exists() else None

    def artefacts(self, key: str) -> frozenset[Artefact]:
        """What is stored of a member, by what lies there: nothing is read, none where it is not there."""
        folder = self._paths.member(key)
        present: set[Artefact] = {"logits"} if folder.is_dir() else set()
        if present:
            if (folder / members.WEIGHTS).exists() or self._paths.weights(key).is_dir():
                present.add("weights")
            if any(folder.glob("*.parquet")):
                present.add("history")
        return frozenset(present)

    def lacks(self, run: Run, *, keep_weights: bool) -> frozenset[Artefact]:
        """What a study wants of a member and is not stored: empty where there is nothing to train."""
        if run.key not in self:
            return wanted(run.cell, keep_weights=keep_weights)
        # A history is published with its member, and is no file where no row of it was due.
        return wanted(run.cell, keep_weights=keep_weights) - self.artefacts(run.key) - {"history"}

    def publish(self, trained: "Trained", labels: Labels, environment: Environment) -> bool:
        """Makes a member part of the store, all of it or nothing.

        Args:
            trained: What training gave.
            labels: Of validation and of test.
            environment: Where it was trained.

        Returns:
            Whether this one was published; False where the member was already there.

        Raises:
            StoreError: The disk is full or cannot be written; nothing was published, or it may not survive
                a power cut.
        """
        key, files = trained.run.key, members.files_of(trained, labels, environment)
        with self._writing():
            published = publishing.publish_folder(self._paths, self._paths.member(key), files)
            publishing.forget_failure(self._paths, key)
        return published

    def publish_weights(self, trained: "Trained", environment: Environment) -> bool:
        """Makes weights part of the store whose member was published without them.

        Args:
            trained: What training gave again, with weights.
            environment: Where it was trained.

        Returns:
            Whether these were published; False where the member has weights already.

        Raises:
            StoreError: They give other logits than the member's, or as `read` and `publish`; nothing
                was published.
        """
        key = trained.run.key
        if "weights" in self.artefacts(key):
            return False
        artefacts.check_same_logits(self.read(key), trained, environment)
        logits = artefacts.logits_digest(self._paths.member(key))
        files = artefacts.later_files(trained, environment, logits)
        with self._writing():
            published = publishing.publish_folder(self._paths, self._paths.weights(key), files)
            publishing.forget_failure(self._paths, key)
        return published

    # Work that goes on.

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder of one's own on the store's disk, gone afterwards."""
        with contextlib.ExitStack() as stack:
            with self._writing():
                folder = stack.enter_context(publishing.staging(self._paths))
            yield folder

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Waits until nobody else trains this member; it saves work, and nothing depends on it."""
        path = self._paths.claim(key)
        with self._writing():
            make_folder(path.parent)
        with SoftFileLease(path, lease_duration=LEASE_SECONDS, heartbeat_interval=1.0, timeout=-1):
            yield

    def merge(self, other: "Store") -> list[Merged]:
        """Takes over what another store has and this one lacks, and says what became of each thing."""
        with self._writing():
            return merge(self._paths, other._paths)

    def settle(self, keys: Iterable[str]) -> None:
        """Waits until the disk has the names of members, whoever published them, where they are here.

        A process that was killed may have published one and not waited for that: called before members are
        reported as done.

        Raises:
            StoreError: The disk refuses.
        """
        with self._explained():
            settle(place(key).parent for key in keys for place in (self._paths.member, self._paths.weights))

    def sweep(self) -> None:
        """Removes what killed runs left behind; safe beside runs that go on."""
        sweep(self._paths)

    def record_failure(self, key: str, reason: str) -> None:
        """Remembers why a run raised; the run is tried again next time."""
        with self._writing():
            write_whole(self._paths.failure(key), json.dumps({"reason": reason}), durable=True)

    def failure(self, key: str) -> str | None:
        """Why a run raised when last tried, or None."""
        try:
            return str(json.loads(self._paths.failure(key).read_text())["reason"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return "unreadable: the run failed, and so did writing down why"

    # Faults.

    def _member(self, key: str) -> Path:
        folder = self._paths.member(key)
        if not folder.is_dir():
            raise StoreError(f"store {str(self.root)!r} has no member {key}.")
        return folder

    @contextlib.contextmanager
    def _reading(self, folder: Path, what: str) -> Iterator[None]:
        """Around everything that reads a published folder: quarantines what is damaged, and only that."""
        what = f"{what} of store {str(self.root)!r}"
        try:
            yield
        except UnknownError as error:
            raise StoreError(
                f"{what} was written by a newer version of ensembudget ({error}) and is left in place."
                " Update ensembudget, or name another --store."
            ) from None
        except (DamageError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            damage, remedy = f"{what} is damaged ({error})", "Rerun the same command to train it again."
            raise StoreError(publishing.set_aside(self._paths, folder, damage, remedy)) from None
        except OSError as error:  # a disk that fails says nothing of the member
            raise StoreError(f"{what} cannot be read: {reason(error)}.") from None
