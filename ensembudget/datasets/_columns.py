"""Reads columns of Parquet files, in no more memory than the files declare."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DatasetError, reason
from ..files import open_regular

AT_ONCE = 2**28  # bytes that one batch of rows may decode to, and all rows beyond what the file declares
MOST_ROWS = 4096  # of a batch


def schema_of(path: Path) -> pa.Schema:
    """The names and types of a file's columns.

    Raises:
        DatasetError: It is not a readable Parquet file.
    """
    return _opened(path, lambda parquet: parquet.schema_arrow)


def columns_of(path: Path, names: Sequence[str]) -> list[pa.ChunkedArray]:
    """Reads some columns of a file whole.

    A few bytes of Parquet can encode any number of equal values. So rows are decoded in small batches, and
    reading stops where they exceed the size that the file declares.

    Raises:
        DatasetError: It is not a readable Parquet file, or decodes to more than it declares.
    """
    found: list[pa.ChunkedArray] = _opened(path, lambda parquet: _columns(parquet, path, names))
    return found


def _opened(path: Path, act: Callable[[pq.ParquetFile], Any]) -> Any:
    try:
        with open_regular(path) as file:
            return act(pq.ParquetFile(file))
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DatasetError(f"{str(path)!r} is not a readable Parquet file: {reason(error)}.") from None


def _columns(parquet: pq.ParquetFile, path: Path, names: Sequence[str]) -> list[pa.ChunkedArray]:
    schema, about = parquet.schema_arrow, parquet.metadata
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    sizes = [one.column(i).total_uncompressed_size for one in groups for i in range(one.num_columns)]
    rows = min(MOST_ROWS, max(1, AT_ONCE // max([1, *sizes])))
    most, size, batches = sum(max(0, one) for one in sizes) + AT_ONCE, 0, []
    for batch in parquet.iter_batches(rows, columns=list(names)):
        size += batch.nbytes
        if size > most:
            raise DatasetError(
                f"{str(path)!r} decodes to more than {most:,} bytes, the most that its own metadata allows."
            )
        batches.append(batch)
    table = pa.Table.from_batches(batches, pa.schema([schema.field(name) for name in names]))
    return [table[name] for name in names]
