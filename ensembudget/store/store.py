"""The public interface of the store."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import ConflictError, StoreError, reason
from ..files import make_folder, settle
from ..records import Environment, Member, Run
from . import artefacts, members, paths, publishing
from .artefacts import Artefact, wanted
from .briefs import Brief, Briefs, brief
from .checkpoints import PackCheckpoints, drop, outlived, pack_of
from .claims import Claim
from .document_store import DocumentStore
from .documents import DamageError, UnknownError
from .members import Labels, Stored
from .merging import Merged, merge
from .sweeping import sweep

if TYPE_CHECKING:
    import pandas as pd

    from ..training.loop import Trained


class Store(DocumentStore):
    """A folder of members.

    Raises:
        StoreError: It cannot be read, or a newer version made it.
    """

    def __contains__(self, key: str) -> bool:
        return self._paths.member(key).is_dir()

    def keys(self) -> frozenset[str]:
        """The keys of all members, from the names of their folders."""
        return frozenset(folder.name for folder in self.root.glob("members/??/*"))

    def read(self, key: str) -> Stored:
        """A member, after checking every byte against its digest.

        Raises:
            StoreError: It is not there; a newer version wrote it; or it is damaged, and in quarantine now.
        """
        folder = self._member(key)
        with self._reading(folder, f"member {key}"):
            return members.checked(folder, key)

    def member(self, key: str) -> Member:
        """A member's description, checked against its own digest; its logits are not read.

        Raises:
            StoreError: As `read`, of the description alone.
        """
        folder = self._member(key)
        with self._reading(folder, f"member {key}"):
            return members.described(folder, key)[0]

    def description(self, key: str) -> bytes:
        """A member's sealed description, as it lies there; `read` the member first, which checks it."""
        path = self._member(key) / members.DESCRIPTION
        with self._reading(path.parent, f"member {key}"):
            return path.read_bytes()

    def briefs(self, runs: Iterable[Run]) -> Iterator[Brief]:
        """How members ended, in the order of the runs; missing ones are left out.

        Of each its description is compared with its digest; `read` looks at logits and weights, too.

        Raises:
            StoreError: As `read`, of a description alone.
        """
        known: Briefs | None = None
        for run in runs:
            if known is None or known.cell is not run.cell:
                known = Briefs(run.cell)
            folder = self._paths.member(run.key)
            if found := known.find(folder, run):
                yield found
            elif folder.is_dir():
                with self._reading(folder, f"member {run.key}"):
                    yield brief(folder, run)

    def weights(self, key: str) -> dict[str, NDArray[Any]]:
        """A member's weights by the names of its network's tensors, checked against their digest.

        Raises:
            StoreError: As `read`; or they were not kept, or are damaged and in quarantine now.
        """
        folder, later = self._member(key), self._paths.weights(key)
        with self._reading(folder, f"member {key}"):
            _, document, _ = members.described(folder, key)
            published = members.lists(document, members.WEIGHTS)
            if published or (folder / members.WEIGHTS).exists():
                asked = members.WEIGHTS if published else members.LOGITS  # else there is a file too many
                return members.arrays(members.check_files(folder, document, members.DESCRIPTION, asked))
        if not later.is_dir():
            raise StoreError(
                f"the weights of member {key} of store {str(self.root)!r} were not kept. Set keep_weights ="
                " true in its study, and `run` trains it again for them."
            )
        with self._reading(later, f"weights of member {key}"):
            return artefacts.read_later(later, key, artefacts.logits_of(document))

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
        asked = wanted(run.cell, keep_weights=keep_weights)
        if run.key not in self:
            return asked
        # A history is published with its member, and is no file where no row of it was due.
        asked &= {"weights"}
        return asked - self.artefacts(run.key) if asked else asked

    def publish(
        self, trained: "Trained", labels: Labels, environment: Environment, samples: Labels | None = None
    ) -> bool:
        """Makes a member part of the store, all of it or nothing.

        Args:
            trained: What training gave.
            labels: Of validation and of test.
            environment: Where it was trained.
            samples: The samples that these labels are of, where one has several.

        Returns:
            Whether this one was published; False where the member was already there and stays. `difference`
            then says whether it has other logits, as it may have when trained in another environment.

        Raises:
            ConflictError: The member was already there, trained in the same environment on a CPU, and has
                other logits; it stays.
            StoreError: The disk is full or cannot be written; nothing was published, or it may not survive
                a power cut. Or the member that was there is damaged, and is in quarantine now.
        """
        key, files = trained.run.key, members.files_of(trained, labels, environment, samples)
        with self._writing():
            published = publishing.publish_folder(self._paths, self._paths.member(key), files)
            publishing.forget_failure(self._paths, key)
        if not published:
            self._refuse_conflict(trained, environment)
        return published

    def difference(self, trained: "Trained", environment: Environment) -> str | None:
        """How the logits of another training of a stored member differ from the stored ones, or None.

        Raises:
            StoreError: As `read`.
        """
        key = trained.run.key
        found = artefacts.difference(self.read(key), trained, environment)
        return found and f"member {key} is in store {str(self.root)!r} with other logits ({found})"

    def _refuse_conflict(self, trained: "Trained", environment: Environment) -> None:
        stored = self.member(trained.run.key).environment
        if not environment.is_repeatable or stored != environment:
            return  # rounding may differ
        if told := self.difference(trained, environment):
            raise ConflictError(
                f"{told}, where they should be equal to the byte. The stored one stays. Faulty memory,"
                " processors of different kinds or a changed library do this: train it again into another"
                " --store to see which of the two comes back."
            )

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
        files = artefacts.later_files(trained, environment, artefacts.logits_digest(self._paths.member(key)))
        with self._writing():
            published = publishing.publish_folder(self._paths, self._paths.weights(key), files)
            publishing.forget_failure(self._paths, key)
        return published

    # Work that goes on.

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A private folder on the store's disk, removed afterwards."""
        with contextlib.ExitStack() as stack:
            with self._writing():
                folder = stack.enter_context(publishing.staging(self._paths))
            yield folder

    def claim(self, keys: Sequence[str]) -> Claim:
        """A claim on members, not taken yet; it saves work, and nothing depends on it."""
        with self._writing():
            make_folder(self._paths.claims)
        return Claim(map(self._paths.claim, keys))

    @contextlib.contextmanager
    def claimed(self, keys: Sequence[str]) -> Iterator[bool]:
        """Claims members while the context is open; false if another process has one of them."""
        claim = self.claim(keys)
        with self._explained():
            is_ours = claim.take()
        try:
            yield is_ours
        finally:
            claim.release()

    def checkpoints(
        self, runs: list[Run], environment: Environment, processor: str, *, keep_weights: bool
    ) -> PackCheckpoints:
        """The checkpoints of a pack that is trained in this environment; arguments as of `pack_of`."""
        pack = pack_of(runs, environment, processor, keep_weights=keep_weights)
        return PackCheckpoints(self._paths, pack, self._writing)

    def merge(self, other: "Store") -> list[Merged]:
        """Takes over what another store has and this one lacks, and says what became of each thing."""
        with self._writing():
            return merge(self._paths, other._paths)

    def settle(self, keys: Iterable[str]) -> None:
        """Waits until the disk has the names of members, whoever published them, where they are here.

        A killed process may have published one and not waited: called before members are reported as done.

        Raises:
            StoreError: The disk refuses.
        """
        with self._explained():
            settle(place(key).parent for key in keys for place in (self._paths.member, self._paths.weights))

    def sweep(self) -> None:
        """Removes what killed runs left behind; safe beside runs that go on."""
        sweep(self._paths)
        for folder in outlived(self._paths):
            drop(self._paths, folder)

    # Faults.

    def _member(self, key: str) -> Path:
        folder = self._paths.member(key)
        if not folder.is_dir():
            raise StoreError(f"store {str(self.root)!r} has no member {key}.")
        return folder

    @contextlib.contextmanager
    def _reading(self, folder: Path, what: str) -> Iterator[None]:
        """Around everything that reads a published folder: quarantines what is damaged, and only that."""
        what, before = f"{what} of store {str(self.root)!r}", paths.identity(folder)
        try:
            yield
        except UnknownError as error:
            raise StoreError(
                f"{what} was written by a newer version of ensembudget ({error}) and is left in place."
                " Update ensembudget, or name another --store."
            ) from None
        except (DamageError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if paths.identity(folder) != before:  # set aside meanwhile, and perhaps trained again
                raise StoreError(
                    f"{what} was damaged ({error}) and another process has moved it. Rerun the same command."
                ) from None
            damage, remedy = f"{what} is damaged ({error})", "Rerun the same command to train it again."
            raise StoreError(publishing.set_aside(self._paths, folder, damage, remedy)) from None
        except OSError as error:  # a disk that fails says nothing of the member
            raise StoreError(f"{what} cannot be read: {reason(error)}.") from None
