"""Members on disk: one immutable folder each, under a content hash, published by renaming.

    store.json                        the format
    members/ab/<key>/                 member.json, logits.safetensors, perhaps weights.safetensors, and
                                      epochs.parquet, steps.parquet where a history was asked for
    artefacts/weights/ab/<key>/       artefact.json and weights.safetensors of a member that was
                                      published without them and trained again later
    plans/<key>.json                  what a study came to, so that a report needs no dataset
    searches/<key>.json               the rounds of a search
    choices/<key>.json                what tuning chose, and how everything that was tried did
    probes/<key>.json                 what a probe found
    checkpoints/<pack>-<epochs>/      checkpoint.json and tensors.safetensors of members in training
    failures/<key>.json               the last exception of a run that raised one, or the end of the log of
                                      a worker that died; a success removes it
    claims/<key>.lock                 who trains what now: saves work, decides nothing
    quarantine/<key>-<n>/             what did not match its digests; never used, never overwritten
    tmp/<machine>.<process>.<uuid>/   staging; anything in it was never published

A member is written to tmp/, synced, and renamed into place. Renaming onto a folder that is there
fails, so of two who trained the same member the first wins. Its digests are checked at every read.
"""

from .artefacts import Artefact, wanted
from .claims import Claim
from .members import Labels, Stored
from .reading import ReadableStore
from .store import Store

__all__ = ["Artefact", "Claim", "Labels", "ReadableStore", "Store", "Stored", "wanted"]
