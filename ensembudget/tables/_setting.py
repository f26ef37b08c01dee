"""The columns that say where on its study's axes a row stands; a study without an axis has no such column."""

from collections.abc import Callable
from typing import Any

from ..records import Setting
from ._base import Column, Value, read

TUNED = {True: "yes", False: "no", None: None}
NAMES = Setting._fields


def setting_columns(path: str = "setting") -> tuple[Column, ...]:
    """Columns `arm`, `tuned`, `train_size`, `subset` and `dtype`.

    Args:
        path: Where a record has its setting: a path of attributes.

    Example:
        >>> [column.name for column in setting_columns()]
        ['arm', 'tuned', 'train_size', 'subset', 'dtype']
    """

    def of(value: Callable[[Setting], Value]) -> Callable[[Any], Value]:
        def get(record: Any) -> Value:
            found = read(record, path)
            return None if found is None else value(found)

        return get

    return (
        Column("arm", "arm", get=of(lambda setting: setting.arm or None), optional=True),
        Column("tuned", "tuned", get=of(lambda setting: TUNED[setting.tuned]), optional=True),
        Column("train_size", "images", ",d", get=of(lambda setting: setting.train_size), optional=True),
        Column("subset", "subset", "d", get=of(lambda setting: setting.subset), optional=True),
        Column("dtype", "dtype", get=of(lambda setting: setting.dtype or None), optional=True),
    )
