"""Writes the ledger of claims."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ensembudget import Store
from ensembudget.errors import EnsembudgetError, InputError
from ensembudget.rendering.write import open_folder, write_table

from .ledger import TABLE, ledger
from .records import read_claims
from .reports import Tables, reported


def main(words: Sequence[str] | None = None) -> int:
    """Reads the tables, or makes them from stores, and writes the ledger."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("--tables", default="tables", help="a folder of reports (default: tables)")
    parser.add_argument(
        "--store", action="append", default=[], help="report from these members instead; may be repeated"
    )
    parser.add_argument("--out", default="tables/claims", help="where it goes (default: tables/claims)")
    args = parser.parse_args(words)
    try:
        write(Path(args.tables), [Path(store) for store in args.store], Path(args.out))
    except EnsembudgetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print((Path(args.out) / f"{TABLE.name}.md").read_text())
    return 0


def write(folder: Path, stores: list[Path], out: Path) -> None:
    """The ledger in every format, from published tables or, where there are stores, from these.

    Raises:
        InputError: A folder is not there.
    """
    for path in stores or [folder]:
        if not path.is_dir():
            raise InputError(f"folder {str(path)!r} is not there; name another with --tables or --store.")
    claims = read_claims()
    with tempfile.TemporaryDirectory() as made:
        tables = Tables(folder)
        if stores:
            missing = reported(claims.studies, [Store(path) for path in stores], Path(made))
            tables = Tables(Path(made), missing)
        write_table(open_folder(out), TABLE, ledger(claims, tables))


if __name__ == "__main__":
    sys.exit(main())
