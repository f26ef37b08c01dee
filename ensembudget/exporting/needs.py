"""Whether what a format needs is installed."""

from collections.abc import Sequence
from importlib.util import find_spec

from ..errors import ExportError


def check_needs(name: str, packages: Sequence[str]) -> None:
    """Refuses a format of which packages are not installed.

    Raises:
        ExportError: It names them.
    """
    if missing := [package for package in packages if find_spec(package) is None]:
        raise ExportError(
            f"format {name!r} needs {', '.join(missing)}, which is not installed. Install"
            f" 'ensembudget[{name}]', or take another format."
        )
