"""Why runs raised when last tried: small sealed documents that no number comes from."""

from pathlib import Path

from .documents import DamageError, Document, UnknownError, parse, seal, unseal

UNREADABLE = "unreadable: the run failed, and so did writing down why"


def sealed(key: str, told: Document) -> bytes:
    """What is kept of a failed run, with its key, so that it is no other's.

    Args:
        key: Of the member or probe.
        told: What is to be remembered, `reason` among it.
    """
    return seal({"failure": {"key": key, **told}})


def read(path: Path, key: str) -> Document | None:
    """Why a run failed, or None if nothing is recorded.

    What cannot be read, or is another run's, has the reason `UNREADABLE`. Before failures were sealed they
    were the told things alone.
    """
    try:
        document = parse(path.read_bytes())
        if "sha256" in document:
            document = unseal(path.read_bytes())["failure"]
            if document["key"] != key:
                raise DamageError("it is another's")
        return {**document, "reason": str(document["reason"])}
    except FileNotFoundError:
        return None
    except (OSError, DamageError, UnknownError, KeyError, TypeError):
        return {"reason": UNREADABLE}
