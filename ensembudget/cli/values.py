"""Parses arguments: whole numbers, stores, columns of a CSV, costs."""

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from ..errors import ArgumentError, FitError, InputError, StoreError, did_you_mean, reason, told
from ..files import read_csv, read_regular

if TYPE_CHECKING:
    from ..analysis.splits import SplitKey
    from ..records import SplitCost, Study
    from ..store import Store


MOST_IMAGES = 10**15  # floating-point numbers still count them one by one
MOST_TIME = 10**9  # of any unit
_LENGTHS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS = {"": 1, "k": 10**3, "m": 10**6}


def whole_numbers(text: str, flag: str) -> list[int]:
    """Whole numbers of at least 1, separated by commas.

    >>> whole_numbers("1,2,4e1", "--members")
    [1, 2, 40]
    """
    found = [_whole_number(one, flag) for one in text.split(",")]
    if twice := [one for one in found if found.count(one) > 1]:
        raise ArgumentError(f"{flag} {told(text)} has {twice[0]} twice. Give each number once.")
    return found


def _whole_number(text: str, flag: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise ArgumentError(f"{flag} {told(text)} is not a whole number. Write it like 1,2,4,8.") from None
    if not np.isfinite(number) or number != int(number) or number < 1:
        raise ArgumentError(f"{flag} {told(text)} must be a whole number of at least 1.")
    return int(number)


def family_option(text: str) -> tuple[str, int | bool | str]:
    """An option of a family as people write it: its name, and a whole number, a truth or text.

    >>> [family_option(one) for one in ("patch_size=4", "qkv_bias=false", "width_argument=dims=1,2")]
    [('patch_size', 4), ('qkv_bias', False), ('width_argument', 'dims=1,2')]
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentError(f"--option {told(text)} is not NAME=VALUE. Write it like patch_size=4.")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if re.fullmatch("-?[0-9]{1,9}", value) else value


def image_count(text: str, flag: str) -> int:
    """A number of training images as people write it.

    >>> image_count("50k", "--at"), image_count("1,000", "--at")
    (50000, 1000)
    """
    match = re.fullmatch(r"([0-9][0-9,_]*(?:\.[0-9]+)?)([kKM]?)", text.strip())
    number = float(re.sub("[,_]", "", match[1])) * _UNITS[match[2].lower()] if match else 0.0
    if not 1 <= number <= MOST_IMAGES or number != int(number):
        raise ArgumentError(
            f"{flag} {told(text)} is not a number of training images. Write it like 8000 or 50k."
        )
    return int(number)


def seconds_of(text: str, flag: str) -> float:
    """A length of time as people write it.

    >>> seconds_of("90s", "--time"), seconds_of("10min", "--time"), seconds_of("1.5 h", "--time")
    (90.0, 600.0, 5400.0)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)", text.strip())
    if not match or not 0 < float(match[1]) <= MOST_TIME:
        raise ArgumentError(f"{flag} {told(text)} is not a duration. Write it like 90s, 10min or 2h.")
    return float(match[1]) * _LENGTHS[match[2]]


def study_of(args: argparse.Namespace, *, checked: bool = True) -> "Study":
    """The study of a command, cut short by --epochs and the like; checked as by `load_study`."""
    from ..planning.first_look import first_look
    from ..studies import load_study

    study = load_study(args.study, checked=checked)
    return first_look(study, epochs=args.epochs, train_size=args.train_size, limit=args.limit)


def store_path(args: argparse.Namespace) -> Path:
    """Where the store is, or may be made.

    Raises:
        StoreError: No file system can have such a place, or it is a file or below one.
    """
    path = Path(args.store or os.environ.get("ENSEMBUDGET_STORE") or "store")
    try:
        nearest = next(one for one in (path, *path.absolute().parents) if one.exists())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"no store can be at {told(str(path))}: {reason(error)}. Name another --store."
        ) from None
    if not nearest.is_dir():
        raise StoreError(
            f"no store can be at {told(str(path))}: {told(str(nearest))} is a file. Name another --store."
        )
    return path


def existing_store(args: argparse.Namespace) -> "Store":
    """The store, for commands that only read: reading must not create one."""
    from ..store import Store

    path = store_path(args)
    if not (path / "store.json").exists():
        raise StoreError(f"no store at {told(str(path))}. Train with `run` first, or name one with --store.")
    return Store(path)


def csv_columns(path: str, x: str, y: str, stderr: str | None = None) -> list[np.ndarray]:
    """Columns of numbers from a CSV, each (row,): x, y and, if named, stderr."""
    import pandas as pd

    frame = read_csv(path, "points")
    asked = [("--x", x), ("--y", y), *([("--stderr", stderr)] if stderr else [])]
    for flag, column in asked:
        if column not in frame:
            raise FitError(
                f"{flag} {column!r} is not a column of {path!r}.{did_you_mean(column, frame.columns)}"
                f" It has {', '.join(map(str, frame.columns))}."
            )
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise FitError(f"{flag} {column!r} of {path!r} is not a column of numbers.")
    return [frame[column].to_numpy(np.float64) for _, column in asked]


def read_costs(path: str) -> "dict[SplitKey, SplitCost]":
    """Costs by (arm, budget, members), as the benchmarks write them; an empty cell was not measured.

    Raises:
        InputError: Not such a file, or a cell that is no number of at least zero.
    """
    from ..records import SplitCost
    from ..rendering.render import from_csv

    found: dict[SplitKey, SplitCost] = {}
    try:
        for row in from_csv(read_regular(path).decode()):
            key = str(row.get("arm") or ""), int(str(row["budget"])), int(str(row["members"]))
            values = {name: row[name] for name in SplitCost.model_fields if row.get(name) is not None}
            found[key] = SplitCost.model_validate(values)
        if not found:
            raise ValueError("it has no rows")
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"costs {path!r} cannot be read: {_reason(error)}.") from None
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no column {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{first['loc'][0]} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return str(error)
