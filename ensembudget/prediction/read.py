"""Reads a plane from a CSV file: a report's, or one made elsewhere."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..arrays import Array
from ..errors import ArgumentError, InputError, did_you_mean
from ..files import read_csv
from ..scoring.sizes import spaced
from .arms import chosen_arm
from .plane import CORRELATION, Plane, WidthCurve, checked
from .sidecar import published_curves, read_sidecar

NEEDED = ("members", "width", "parameters", "cnll")
MOST = 10**15  # members, width and parameters: floating-point numbers still count them one by one
MOST_NATS = 1_000_000  # of a CNLL: far more than any network has


def read_plane(path: str, arm: str | None = None, *, stderr: float | None = None) -> Plane:
    """Reads a plane from CSV: `members,width,parameters,cnll` and, where known, `stderr` and `arm`.

    Where a report wrote `plane.json` beside its `plane.csv`, the plane is the one that the store gives: with
    the covariance of its cells, and the network to count widths with. Without it, cells of one width are
    taken to correlate by 0.75, and parameters are interpolated between the measured widths.

    Args:
        path: Of the file; further columns are ignored.
        arm: Which, where the file has a column `arm` with several.
        stderr: Of every cell, nats, where the file has none: how exactly it was read off a figure, say. Such
            errors are each cell's own; give those that sizes share as a column.

    Raises:
        ArgumentError: A `stderr` that is no number above 0, or of a plane that has its errors.
        InputError: No such file or columns, impossible numbers, cells that disagree, or a `plane.json` beside
            it that is not its own.
        ArmError: No such arm, or several and none named.
        FitError: Too few cells for a law.
    """
    frame = _read(path)
    known = [str(one) for one in frame["arm"].dropna().unique()] if "arm" in frame else []
    arm = chosen_arm(known, arm, repr(path))
    if arm:
        frame = frame[frame["arm"].astype(str) == arm]
    _check_numbers(frame, path)
    curves = list(_curves(frame, path))
    if stderr is not None:
        curves = [_as_stated(curve, stderr, path) for curve in curves]
    published = read_sidecar(path, arm)
    if published is None:
        return checked(curves, repr(path), arm=arm)
    return checked(published_curves(published, curves, path), repr(path), network=published.network, arm=arm)


def _read(path: str) -> pd.DataFrame:
    frame = read_csv(path, "plane", index_col=False)
    for name in NEEDED:
        if name not in frame:
            raise InputError(
                f"plane {path!r} has no column {name!r}.{did_you_mean(name, map(str, frame.columns))}"
                f" It needs {', '.join(NEEDED)}, and may have stderr."
            )
    if frame.empty:
        raise InputError(f"plane {path!r} has no rows.")
    return frame


def _countable(value: object) -> object:
    """A cell whose number is too long to be counted with is infinite, and a truth is none: True is not 1."""
    if isinstance(value, bool):
        return np.nan
    return np.inf if isinstance(value, int) and abs(value) > MOST else value


def _check_numbers(frame: pd.DataFrame, path: str) -> None:
    for name in [*NEEDED, *(["stderr"] if "stderr" in frame else [])]:
        values = pd.to_numeric(frame[name].map(_countable), errors="coerce").astype(float)
        free = frame[name].isna() if name == "stderr" else False
        wrong = ~free & ~(np.isfinite(values) & ((values >= 0) if name == "stderr" else (values > 0)))
        if name not in ("cnll", "stderr"):
            wrong |= values != values.round()
        most = MOST_NATS if name in ("cnll", "stderr") else MOST
        wrong |= values > most
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            needed = {"cnll": "a number above 0", "stderr": "a number of at least 0"}.get(
                name, "a whole number above 0"
            )
            raise InputError(
                f"plane {path!r}, row {frame.index[row] + 1}: {name} is {str(frame[name].iloc[row])!r};"
                f" it must be {needed}, at most {most:,}."
            )


def _curves(frame: pd.DataFrame, path: str) -> Iterator[WidthCurve]:
    frame = frame.assign(stderr=frame["stderr"] if "stderr" in frame else np.nan)
    frame = frame[[*NEEDED, "stderr"]].apply(pd.to_numeric)
    frame = frame.astype(dict.fromkeys(NEEDED[:-1], int)).sort_values(["width", "members"])
    largest = frame["stderr"].max()
    for width, cells in frame.groupby("width"):
        if cells["parameters"].nunique() > 1:
            counts = " and ".join(f"{count:,.0f}" for count in cells["parameters"].unique()[:2])
            raise InputError(
                f"plane {path!r}: width {width} has members of {counts} parameters; a width has one number."
            )
        for size, same in cells.groupby("members"):
            if same["cnll"].nunique() > 1:
                values = " and ".join(f"{value:g}" for value in same["cnll"].unique()[:2])
                raise InputError(
                    f"plane {path!r}: n = {size} of width {width} stands there {len(same)} times and"
                    f" disagrees, cnll {values}. Give each cell once, say its mean."
                )
        cells = cells.drop_duplicates("members")
        cells = cells[cells["members"].isin(spaced(cells["members"].tolist()))]
        yield WidthCurve(
            width=int(cells["width"].iloc[0]),
            parameters=int(cells["parameters"].iloc[0]),
            sizes=cells["members"].to_numpy(float),
            cnll=cells["cnll"].to_numpy(float),
            covariance=_correlated(cells["stderr"], largest),
        )


def _as_stated(curve: WidthCurve, stderr: float, path: str) -> WidthCurve:
    """A curve without errors, given the one stated for all cells."""
    if not 0 < stderr < np.inf:
        raise ArgumentError(f"--stderr {stderr:g} must be a number above 0: nats, like 0.005.")
    if curve.covariance.any():
        raise ArgumentError(f"--stderr {stderr:g}: plane {path!r} already has standard errors.")
    return curve._replace(covariance=stderr**2 * np.eye(len(curve.sizes)))


def _correlated(stderr: pd.Series, largest: float) -> Array:
    """Covariance from standard errors; a missing one is that of the next smaller size, else the largest.

    The mean over a whole pool's ensembles is about as well known at every size.
    """
    errors = stderr.ffill().fillna(largest).fillna(0.0).to_numpy(float)
    correlation = np.where(np.eye(len(errors), dtype=bool), 1.0, CORRELATION)
    found: Array = correlation * errors[:, None] * errors
    return found
