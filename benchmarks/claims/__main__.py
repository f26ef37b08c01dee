"""Writes the ledger."""

import argparse
import tempfile
from pathlib import Path

from ensembudget import Store
from ensembudget.rendering.write import open_folder, write_table

from .ledger import TABLE, ledger
from .records import read_claims
from .reports import Tables, reported


def main() -> None:
    """Reads the tables, or makes them from stores, and writes the ledger."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("--tables", default="tables", help="a folder of reports (default: tables)")
    parser.add_argument("--store", action="append", default=[], help="report from these members instead")
    parser.add_argument("--out", default="tables/claims", help="where it goes (default: tables/claims)")
    args = parser.parse_args()
    claims = read_claims()
    with tempfile.TemporaryDirectory() as made:
        if args.store:
            stores = [Store(folder) for folder in args.store]
            tables = Tables(Path(made), reported(claims.studies, stores, Path(made)))
        else:
            tables = Tables(Path(args.tables))
        write_table(open_folder(args.out), TABLE, ledger(claims, tables))
    print((Path(args.out) / f"{TABLE.name}.md").read_text())


if __name__ == "__main__":
    main()
