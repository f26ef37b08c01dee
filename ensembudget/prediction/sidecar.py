"""What `plane.csv` leaves out, in `plane.json` beside it: a prediction from both is the store's own.

A CSV keeps a standard error for each cell. A law needs the covariance between the sizes of a width, and the
network, to count its widths. Both are published for every arm, bound to the CSV by its digest.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ..errors import ArmError, DatasetError, InputError, reason
from ..files import read_regular
from ..records import Network, Plan, PublishedArm, PublishedCurve, PublishedPlane
from ..scoring.covariance import scored_pool
from ..scoring.pools import Pool
from .network import planned_network
from .plane import WidthCurve
from .pools import curves_of

ROUNDING = 1e-9  # relative: the CSV's CNLL is the same mean, summed in another order


def plane_document(plan: Plan, pools: Sequence[Pool], csv: bytes) -> str:
    """The content of `plane.json`.

    Args:
        plan: Of the study.
        pools: In the order of the plan's cells; those without a trained member are left out.
        csv: The content of `plane.csv`.

    Returns:
        JSON in one line. CNLL and covariances are those that `predict` has from the store, to the last bit.
    """
    arms = [
        PublishedArm(arm=arm, network=_network(plan, arm), curves=_published(pools, arm))
        for arm in [setting.label for setting in plan.settings]
    ]
    return PublishedPlane(format=1, sha256=_digest(csv), arms=arms).to_json() + "\n"


def _network(plan: Plan, arm: str) -> Network | None:
    try:
        return planned_network(plan, arm)
    except (ArmError, DatasetError):
        return None


def _published(pools: Sequence[Pool], arm: str) -> list[PublishedCurve]:
    some = [scored_pool(pool) for pool in pools if pool.planned.setting.label == arm and pool.trained]
    return [
        PublishedCurve(
            width=curve.width,
            parameters=curve.parameters,
            members=[int(size) for size in curve.sizes],
            cnll=curve.cnll.tolist(),
            covariance=curve.covariance.tolist(),
        )
        for curve in (curves_of(some) if some else [])
    ]


def sidecar_of(path: str | Path) -> Path:
    """Where the description of a plane's CSV lies: `plane.json` beside `plane.csv`."""
    return Path(path).with_suffix(".json")


def read_sidecar(path: str | Path, arm: str) -> PublishedArm | None:
    """One arm of what is published beside a plane's CSV; None where there is nothing beside it.

    Raises:
        InputError: It is not such a file, the CSV has changed since, or its numbers cannot be.
    """
    beside = sidecar_of(path)
    try:
        published = PublishedPlane.from_json(read_regular(beside))
        content = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{str(beside)!r} cannot be read: {reason(error)}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{str(beside)!r} does not describe the plane in {str(path)!r}:"
            f" {f'{where}: ' if where else ''}{first['msg']}. {_REMEDY}"
        ) from None
    if published.sha256 != _digest(content):
        raise InputError(
            f"plane {str(path)!r} has changed since {str(beside)!r} was written beside it. Restore it."
            f" {_REMEDY}"
        )
    found = next((one for one in published.arms if one.arm == arm), None)
    if found is None:
        raise InputError(f"{str(beside)!r} has no arm {arm!r}, and {str(path)!r} has. {_REMEDY}")
    return found


_REMEDY = "Write the report again, or move the JSON away: the CSV alone has standard errors, no covariance."


def published_curves(
    published: PublishedArm, read: Sequence[WidthCurve], path: str | Path
) -> list[WidthCurve]:
    """The curves of an arm as they were published, compared with those that its CSV has.

    Raises:
        InputError: Other widths, sizes or CNLL than in the CSV, or what is no covariance.
    """
    if fault := _fault(published, {curve.width: curve for curve in read}):
        raise InputError(
            f"{str(sidecar_of(path))!r} does not describe the plane in {str(path)!r}: {fault}. {_REMEDY}"
        )
    return [
        WidthCurve(
            width=one.width,
            parameters=one.parameters,
            sizes=np.array(one.members, float),
            cnll=np.array(one.cnll),
            covariance=np.array(one.covariance),
        )
        for one in published.curves
    ]


def _fault(published: PublishedArm, read: dict[int, WidthCurve]) -> str:
    widths = [one.width for one in published.curves]
    if sorted(widths) != sorted(read):
        return f"it has widths {sorted(widths)}, and the CSV {sorted(read)}"
    for one in published.curves:
        curve, count = read[one.width], len(one.members)
        if one.parameters != curve.parameters or one.members != curve.sizes.tolist():
            return f"width {one.width} has other parameters or sizes than the CSV"
        if len(one.cnll) != count or not np.allclose(one.cnll, curve.cnll, rtol=ROUNDING, atol=0):
            return f"width {one.width} has other cnll than the CSV"
        if [len(row) for row in one.covariance] != [count] * count or not _is_covariance(one.covariance):
            return f"the covariance of width {one.width} is none of {count} sizes"
    return ""


def _is_covariance(rows: Sequence[Sequence[float]]) -> bool:
    values = np.array(rows)
    least = -ROUNDING * float(np.trace(values))
    return bool(np.array_equal(values, values.T) and np.linalg.eigvalsh(values).min() >= least)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
