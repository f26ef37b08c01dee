"""Writes the page that lists the published tables: python -m benchmarks.collection [FOLDER]."""

import sys
from pathlib import Path

from ensembudget.bundling.collection import COLLECTION_PAGE, collection_page
from ensembudget.files import write_whole

TABLES = Path(__file__).parents[1] / "tables"


def main(words: list[str]) -> int:
    root = Path(words[0]) if words else TABLES
    write_whole(root / COLLECTION_PAGE, collection_page(root))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
