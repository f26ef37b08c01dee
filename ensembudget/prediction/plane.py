"""The (members, width) plane as it was measured: CNLL and how well each cell of it is known."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from ..arrays import Array
from ..errors import FitError, did_you_mean
from ..scoring.ensembles import size_losses
from ..scoring.influence import member_influences
from ..scoring.pools import Pool

LEAST_WIDTHS = 3  # a law along width has three parameters
LEAST_FALLS = 2  # of them with ensembles of two sizes or more: from these the law along members
NEEDED = ("members", "width", "parameters", "cnll")
# Sizes of one width share members. Measured on digits, 64 members of each of six widths: correlations of the
# means at sizes 1 to 62 lie between 0.45 and 0.9.
CORRELATION = 0.75
SPACING = 1.4  # from one ensemble size to the next: those between say nothing new
# Few members show their own spread badly: it is averaged with that of all widths, which counts as so many.
SHRINKAGE = 4
LEAST_FREEDOM = 3.0  # of a variance: with less than that Student's t has none


class Column(NamedTuple):
    """One width: ensembles of several sizes out of one pool.

    Attributes:
        width: The family's.
        parameters: Of one member.
        sizes: Members an ensemble, ascending, (size,).
        cnll: Mean over disjoint groups, nats per sample, (size,).
        covariance: Of these means over members drawn anew, (size, size); zero where nothing is known.
    """

    width: int
    parameters: int
    sizes: Array
    cnll: Array
    covariance: Array


@dataclass(frozen=True)
class Plane:
    """Columns by ascending width, and the same as flat arrays, (cell,)."""

    columns: tuple[Column, ...]

    @cached_property
    def members(self) -> Array:
        return np.concatenate([column.sizes for column in self.columns])

    @cached_property
    def parameters(self) -> Array:
        return np.concatenate([np.full(len(c.sizes), float(c.parameters)) for c in self.columns])

    @cached_property
    def cnll(self) -> Array:
        return np.concatenate([column.cnll for column in self.columns])

    @cached_property
    def covariance(self) -> Array:
        """Of measurement, (cell, cell): members are drawn for each width alone."""
        found: Array = block_diag(*(column.covariance for column in self.columns))
        return found

    @property
    def measured(self) -> dict[tuple[int, int], float]:
        """CNLL by (members, width)."""
        return {
            (int(size), column.width): float(value)
            for column in self.columns
            for size, value in zip(column.sizes, column.cnll, strict=True)
        }

    @property
    def has_errors(self) -> bool:
        """Whether it is known how well the cells were measured."""
        return bool(self.covariance.any())


def checked(columns: Sequence[Column], name: str) -> Plane:
    """A plane that a law can be fitted to.

    Raises:
        FitError: Too few widths or sizes, or parameters that do not grow with the width.
    """
    columns = sorted(columns, key=lambda column: column.width)
    widths = ", ".join(str(column.width) for column in columns)
    if len(columns) < LEAST_WIDTHS:
        raise FitError(
            f"{name} has {len(columns)} width{'s' * (len(columns) != 1)} ({widths}): a law along width needs"
            f" at least {LEAST_WIDTHS}. Measure {LEAST_WIDTHS - len(columns)} more."
        )
    largest = max(float(column.sizes[-1]) for column in columns)
    if sum(len(column.sizes) > 1 for column in columns) < LEAST_FALLS:
        raise FitError(
            f"{name} has ensembles of n = {largest:g} at most, and of two sizes at fewer than {LEAST_FALLS}"
            " widths: a law along members needs n = 1 and 2 at least. Train two members of each width."
        )
    if len({float(value) for column in columns for value in column.cnll}) == 1:
        raise FitError(
            f"{name} has cnll {columns[0].cnll[0]:g} in every cell: nothing falls, and there is no law."
        )
    for one, other in pairwise(columns):
        if one.parameters >= other.parameters:
            raise FitError(
                f"{name}: members of width {other.width} have {other.parameters:,} parameters and those of"
                f" width {one.width} {one.parameters:,}; parameters must grow with the width."
            )
    return Plane(tuple(columns))


def spaced(sizes: Iterable[int]) -> list[int]:
    """Those sizes that say something new, powers of two before others.

    >>> spaced(range(1, 17)), spaced([1, 2, 3]), spaced([1, 3, 5, 6])
    ([1, 2, 4, 8, 16], [1, 2, 3], [1, 3, 5])
    """
    some = sorted(sizes)
    found: list[int] = []
    for size in sorted(some, key=lambda size: (size != some[0], size & (size - 1) != 0, size)):
        if all(max(size, other) >= SPACING * min(size, other) for other in found):
            found.append(size)
    return sorted(found) if len(found) > 1 else sorted({some[0], some[-1]})


# Out of a store.


class Members(NamedTuple):
    """What the members of one pool say: CNLL of every size, and what each member does to it."""

    pool: Pool
    cnll: dict[int, float]
    influences: Array  # (member, size), nats; empty for a lone member


def members_of(pool: Pool) -> Members:
    """A pool's ensembles of spaced sizes, scored."""
    logits, labels = pool.logits, pool.labels
    losses, temperatures = size_losses(logits, labels, spaced(range(1, len(logits) + 1)))
    influences = (
        member_influences(logits, labels, losses, temperatures) if len(logits) > 1 else np.empty((0, 1))
    )
    return Members(pool, {size: float(each.mean()) for size, each in losses.items()}, influences)


def columns_of(pools: Sequence[Members]) -> list[Column]:
    """Columns whose covariance is that of drawing members anew."""
    return [
        Column(
            width=one.pool.planned.cell.width,
            parameters=one.pool.trained[0].member.parameters,
            sizes=np.array(list(one.cnll), float),
            cnll=np.array(list(one.cnll.values())),
            covariance=each / _used(one),
        )
        for one, each in zip(pools, each_member(pools), strict=True)
    ]


def each_member(pools: Sequence[Members]) -> list[Array]:
    """For every pool the covariance of its sizes that a lone member brings, (size, size).

    A mean over members' groups has this over the number of members. Widths are shrunk to their mean, size by
    size: two members of one width say next to nothing of their spread.
    """
    own = [_moments(one) for one in pools]
    count = max(len(one.cnll) for one in pools)
    weight, total = np.zeros((count, count)), np.zeros((count, count))
    for one, moments in zip(pools, own, strict=True):
        freedom, size = max(len(one.influences) - 1, 0), len(moments)
        total[:size, :size] += freedom * moments
        weight[:size, :size] += freedom
    if not weight[0, 0]:
        return [np.zeros((len(one.cnll), len(one.cnll))) for one in pools]
    shared = _rescaled(total, np.sqrt(np.diag(total) / np.maximum(np.diag(weight), 1)))
    tails = _tails(weight[0, 0])
    found = []
    for one, moments in zip(pools, own, strict=True):
        freedom, size = max(len(one.influences) - 1, 0), len(one.cnll)
        mean = (freedom * moments + SHRINKAGE * shared[:size, :size]) / (freedom + SHRINKAGE)
        found.append(tails * mean)
    return found


def _tails(freedom: float) -> float:
    """The variance of Student's t: what a variance from few members must be larger by."""
    return float(freedom / (freedom - 2)) if freedom > LEAST_FREEDOM else LEAST_FREEDOM / (LEAST_FREEDOM - 2)


def _rescaled(covariance: Array, deviations: Array) -> Array:
    """The correlations of one matrix with other standard deviations: a covariance again."""
    own = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    found: Array = covariance * np.outer(deviations / own, deviations / own)
    return found


def _moments(one: Members) -> Array:
    """Mean products of influences over the members that both sizes use, (size, size)."""
    if not len(one.influences):
        return np.zeros((1, 1))
    moments: Array = one.influences.T @ one.influences / _used(one)
    return moments


def _used(one: Members) -> Array:
    """For two sizes, how many members the one that uses more of them is a mean over, (size, size).

    Groups are taken from the first member on, so what the other uses is among these, and the sum of products
    over the product of both counts is a mean product over this number.
    """
    total, sizes = max(len(one.influences), 1), np.array(list(one.cnll))
    used = total // sizes * sizes
    larger: Array = np.maximum(used[:, None], used[None, :]).astype(float)
    return larger


# Out of a file.


def read_plane(path: str, arm: str | None = None) -> Plane:
    """Anybody's plane in CSV: `members,width,parameters,cnll`, and if known `stderr` and `arm`.

    Args:
        path: Of the file; further columns are left alone.
        arm: Which, where the file has a column `arm` with several.

    Raises:
        FitError: No such file or columns, numbers that cannot be, cells that disagree, or too few.
    """
    frame = _of_arm(_read(path), path, arm)
    _check_numbers(frame, path)
    columns = list(_columns(frame, path))
    return checked(columns, repr(path))


def _read(path: str) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # a comma at the end of every line
            frame = pd.read_csv(path, index_col=False)
    except (OSError, ValueError) as error:
        raise FitError(f"plane {path!r} cannot be read as CSV: {str(error).strip()}.") from None
    for name in NEEDED:
        if name not in frame:
            raise FitError(
                f"plane {path!r} has no column {name!r}.{did_you_mean(name, map(str, frame.columns))}"
                f" It needs {', '.join(NEEDED)}, and may have stderr."
            )
    if frame.empty:
        raise FitError(f"plane {path!r} has no rows.")
    return frame


def _of_arm(frame: pd.DataFrame, path: str, arm: str | None) -> pd.DataFrame:
    known = [str(one) for one in frame["arm"].dropna().unique()] if "arm" in frame else []
    arm = chosen_arm(known, arm, repr(path))
    if not arm:
        return frame
    found: pd.DataFrame = frame[frame["arm"].astype(str) == arm]
    return found


def chosen_arm(known: Sequence[str], arm: str | None, name: str) -> str:
    """The arm that is asked for, or the only one; "" where there are none.

    Raises:
        FitError: None of them, or several and none named.
    """
    if arm is not None and arm not in known:
        said = f"It has {', '.join(map(repr, known))}." if any(known) else "It has no arms."
        raise FitError(f"--arm {arm!r} is none of {name}.{did_you_mean(arm, known)} {said}")
    if arm is None and len(known) > 1:
        raise FitError(
            f"{name} has {len(known)} arms, each with a law of its own. Name one with --arm:"
            f" {', '.join(map(repr, known))}."
        )
    return arm or (known[0] if known else "")


def _check_numbers(frame: pd.DataFrame, path: str) -> None:
    for name in [*NEEDED, *(["stderr"] if "stderr" in frame else [])]:
        truths = frame[name].map(lambda value: isinstance(value, bool))  # True is no 1
        values = pd.to_numeric(frame[name].where(~truths), errors="coerce").astype(float)
        free = frame[name].isna() if name == "stderr" else False
        wrong = ~free & ~(np.isfinite(values) & ((values >= 0) if name == "stderr" else (values > 0)))
        if name not in ("cnll", "stderr"):
            wrong |= values != values.round()
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            needed = {"cnll": "a number above 0", "stderr": "a number of at least 0"}.get(
                name, "a whole number above 0"
            )
            raise FitError(
                f"plane {path!r}, row {frame.index[row] + 1}: {name} is {str(frame[name].iloc[row])!r};"
                f" needed is {needed}."
            )


def _columns(frame: pd.DataFrame, path: str) -> Iterator[Column]:
    frame = frame.assign(stderr=frame["stderr"] if "stderr" in frame else np.nan)
    frame = frame[[*NEEDED, "stderr"]].apply(pd.to_numeric)
    frame = frame.astype(dict.fromkeys(NEEDED[:-1], int)).sort_values(["width", "members"])
    largest = frame["stderr"].max()
    for width, cells in frame.groupby("width"):
        if cells["parameters"].nunique() > 1:
            counts = " and ".join(f"{count:,.0f}" for count in cells["parameters"].unique()[:2])
            raise FitError(
                f"plane {path!r}: width {width} has members of {counts} parameters; a width has one number."
            )
        for size, same in cells.groupby("members"):
            if same["cnll"].nunique() > 1:
                values = " and ".join(f"{value:g}" for value in same["cnll"].unique()[:2])
                raise FitError(
                    f"plane {path!r}: n = {size} of width {width} stands {len(same)} times and disagrees,"
                    f" cnll {values}. Give each cell once, say the mean."
                )
        cells = cells.drop_duplicates("members")
        cells = cells[cells["members"].isin(spaced(cells["members"].tolist()))]
        yield Column(
            width=int(cells["width"].iloc[0]),
            parameters=int(cells["parameters"].iloc[0]),
            sizes=cells["members"].to_numpy(float),
            cnll=cells["cnll"].to_numpy(float),
            covariance=_correlated(cells["stderr"], largest),
        )


def _correlated(stderr: pd.Series, largest: float) -> Array:
    """Covariance from standard errors; a missing one is that of the next smaller size, else the largest.

    The mean over a whole pool's groups is about as well known at every size.
    """
    errors = stderr.ffill().fillna(largest).fillna(0.0).to_numpy(float)
    correlation = np.where(np.eye(len(errors), dtype=bool), 1.0, CORRELATION)
    found: Array = correlation * errors[:, None] * errors
    return found
