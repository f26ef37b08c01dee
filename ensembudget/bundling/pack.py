"""Makes the files of a bundle beside the report, from the results and the store they came from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..errors import BundleError
from ..scoring.pools import Pool, Results
from ..store import Store, Stored
from ..store.documents import seal, sha256
from ..store.members import serialise
from .contents import Costs, costs_document
from .index import (
    COSTS,
    LABELS,
    MEMBERS,
    PLAN,
    PROBES,
    LabelNames,
    LogitsDtype,
    cell_file,
    history_file,
)
from .members import LOGIT_ARRAYS, LOSS, probe_lines

Files = dict[str, bytes]
Labels = dict[str, LabelNames]  # by cells' keys


def packed(
    results: Results, store: Store, dtype: LogitsDtype, costs: Costs, *, histories: bool
) -> tuple[Files, Labels]:
    """The files of a bundle but its index, and which labels its pools have.

    Args:
        results: What was scored.
        store: Where its members are.
        dtype: Of the logits.
        costs: Measured costs.
        histories: Whether what members recorded goes in.

    Raises:
        BundleError: Members of a pool have different labels; or an older version made the plan.
        StoreError: A member is damaged.
    """
    if results.plan.task is None:
        raise BundleError(
            f"study {results.plan.study.name!r} was planned by a version that did not keep what its images"
            " are. `run` it again, which trains nothing that is there, and bundle it then."
        )
    plan = results.plan.model_copy(update={"study": results.plan.study.unplaced})
    pools = [pool for pool in results.distinct if pool.stored]
    sets: dict[str, NDArray[Any]] = {}
    labels = {pool.planned.cell.key: _labels(pool, sets) for pool in pools}
    files: Files = {
        PLAN: seal({"plan": plan.model_dump(mode="json")}),
        MEMBERS: _joined(store.description(one.member.run.key) for pool in pools for one in pool.stored),
        LABELS: serialise(sets),
    }
    for pool in pools:
        files[cell_file(pool.planned.cell.key)] = serialise(_arrays(pool, dtype))
        if histories and (columns := _histories(pool)):
            files[history_file(pool.planned.cell.key)] = serialise(columns)
    if results.probes:
        found = {one.probed.subject.key: one.probed for one in results.probes}
        files[PROBES] = _joined(map(seal, probe_lines(found.values())))
    if costs:
        files[COSTS] = costs_document(costs).encode()
    return files, labels


def as_stored(logits: NDArray[np.float32], dtype: LogitsDtype) -> NDArray[Any]:
    """Logits, (sample, class), as a bundle has them.

    In float16 they are logarithms of probabilities: these give the same probabilities, and the likely
    classes, which decide a loss, have numbers near zero, where float16 is finest.
    """
    if dtype == "float32":
        return logits
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # of members that diverged
        return (wide - logsumexp(wide, axis=-1, keepdims=True)).astype(np.float16)


def _joined(lines: Any) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _labels(pool: Pool, sets: dict[str, NDArray[Any]]) -> LabelNames:
    first, *others = pool.stored
    found = {tuple(sha256(some.tobytes()) for some in _held_against(one)) for one in pool.stored}
    if len(found) > 1:
        raise BundleError(
            f"the {1 + len(others)} members of width {pool.planned.cell.width} have {len(found)} different"
            " sets of labels, and a bundle keeps one a pool. Train them again on one dataset."
        )
    (names,) = found
    sets |= dict(zip(names, _held_against(first), strict=True))
    return LabelNames(**dict(zip(LabelNames.model_fields, names, strict=False)))


def _held_against(one: Stored) -> tuple[NDArray[np.int64], ...]:
    """Labels, and the samples that they are of where one has several; in the order of `LabelNames`."""
    return one.validation_labels, one.test_labels, *(one.samples or ())


def _arrays(pool: Pool, dtype: LogitsDtype) -> dict[str, NDArray[Any]]:
    return {
        f"{one.member.run.seed}.{name}": array
        for one in pool.stored
        for name, array in _of_member(one, dtype).items()
    }


def _of_member(one: Stored, dtype: LogitsDtype) -> Mapping[str, NDArray[Any]]:
    validation, test = LOGIT_ARRAYS
    given = one.validation_logits, one.test_logits
    if one.kept_in == "float32":
        logits = [as_stored(some, dtype) for some in given]
    else:
        logits = [some.astype(one.kept_in) for some in given]
    return {validation: logits[0], test: logits[1], LOSS: one.train_loss}


def _histories(pool: Pool) -> dict[str, NDArray[Any]]:
    return {
        f"{seed}.{name}": frame[name].to_numpy(np.float64)
        for seed, frame in pool.histories.items()
        for name in frame.columns
    }
