"""Who trains what now: claims that expire. They only save work; results never depend on them."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from filelock import SoftFileLease, Timeout

# Another process that trains the same pack renews its claim; one that died stops, and is overtaken.
LEASE_SECONDS = 5.0
AGAIN = 0.05  # seconds after which a claim is free whose process was found dead


class Claim:
    """All of some files, or none of them.

    Args:
        paths: One a thing that is claimed.

    Asked again and again, the same claim overtakes one that nobody renews.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        # In one order everywhere, so that of two that overlap one has all.
        self._leases = [
            SoftFileLease(path, lease_duration=LEASE_SECONDS, heartbeat_interval=1.0)
            for path in sorted(paths)
        ]

    def take(self) -> bool:
        """Takes all, without waiting; whether it did.

        Raises:
            OSError: The disk refuses.
        """
        with contextlib.ExitStack() as taken:
            for lease in self._leases:
                if not _is_taken(lease):
                    return False
                taken.callback(lease.release)
            taken.pop_all()
        return True

    def release(self) -> None:
        """Gives back what was taken."""
        for lease in self._leases:
            lease.release()


def _is_taken(lease: SoftFileLease) -> bool:
    for pause in (AGAIN, 0.0):
        try:
            lease.acquire(blocking=False)
        except Timeout:
            time.sleep(pause)
        else:
            return True
    return False
