"""Bundles a report with what others need to recompute it; and scores such bundles."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from ..bundling.contents import Bundle, Costs, read_bundle
from ..bundling.differing import table_differences
from ..bundling.folder import FILE_BYTES, TOTAL_BYTES, GivenFolder
from ..bundling.index import INDEX, PLACE, LogitsDtype, sealed_index
from ..bundling.pack import Files, Labels, packed
from ..errors import BundleError
from ..files import write_whole
from ..records import Plan
from ..rendering.write import open_folder
from ..scoring.pools import Results
from ..store import Store
from .analyse import analyse
from .evaluate import evaluate
from .report import report

# What may lie in a report's folder that no report writes. It is sealed with the rest.
GIVEN = ("study.toml",)


class Bundled(NamedTuple):
    """The sizes of a bundle.

    Attributes:
        dtype: Of its logits.
        members: How many it has.
        logits_bytes: Of the files with logits and training losses.
        other_bytes: Of all else that a report does not have.
        report_bytes: Of the report.
    """

    dtype: LogitsDtype
    members: int
    logits_bytes: int
    other_bytes: int
    report_bytes: int


def bundle(
    plan: Plan,
    store: Store,
    out: str | Path,
    *,
    float16: bool = False,
    histories: bool = False,
    allow_partial: bool = False,
    costs: Costs | None = None,
) -> Bundled:
    """Writes a report and, beside it, what others need to compute every number of it again.

    Args:
        plan: The study's.
        store: Where its members are.
        out: A folder; an earlier report or bundle in it is replaced.
        float16: Whether logits are kept in 2 bytes a number. The report is then that of these logits.
        histories: Whether what members recorded each epoch goes in.
        allow_partial: Whether to go on with the members there are.
        costs: Measured costs of splits by (label of the setting, budget, members).

    Raises:
        BundleError: In float16 a printed digit would change, and the first that does is named; or the folder
            has files that are none of the report's; or the bundle would be larger than `verify` reads.
        IncompleteError: As `evaluate`.
        StoreError: A member is damaged.
        OutputError: The folder cannot be written.
    """
    folder, costs = open_folder(out), dict(costs or {})
    results = evaluate(plan, store, allow_partial=allow_partial)
    dtype: LogitsDtype = "float16" if float16 else "float32"
    with tempfile.TemporaryDirectory() as place:
        made, exact = Path(place) / "made", Path(place) / "exact"
        files, labels = packed(results, store, dtype, costs, histories=histories)
        _write_all(made, files, labels, dtype, histories=histories)
        if float16:
            report(analyse(results, costs), exact)
            results = bundle_results(read_bundle(made))
        report(analyse(results, costs), made, logits=f"in {PLACE}/, {dtype}")
        if float16:
            exactly, _ = packed(results, store, "float32", costs, histories=histories)
            _check_printed(exact, made, sum(map(len, exactly.values())))
        for name in GIVEN:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, made / name)
        files = {path.relative_to(made).as_posix(): path.read_bytes() for path in _files(made)}
        files.pop(INDEX)
        _write_all(made, files, labels, dtype, histories=histories)
        _check(made)
        _replace(made, folder)
        return _sizes(files, dtype, sum(len(pool.stored) for pool in results.distinct))


def results_of_bundle(folder: str | Path) -> Results:
    """Scores a bundle from its logits alone.

    Args:
        folder: The report's folder, with a folder `bundle` in it.

    Raises:
        BundleError: It is no bundle, cannot be read without trusting it, or is not as it was sealed.
        IncompleteError: It has no member.
        ScoreError: Its logits cannot be scored.
    """
    found = read_bundle(folder)
    if found.faults:
        more = f" and {len(found.faults) - 1} more" if len(found.faults) > 1 else ""
        raise BundleError(
            f"folder {str(folder)!r} is not as it was sealed: {found.faults[0]}{more}. `ensembudget verify`"
            " lists all. Nothing was computed from it."
        )
    return bundle_results(found)


def bundle_results(found: Bundle) -> Results:
    """The scores of a bundle's members, even if it was changed since it was sealed; it may be partial."""
    return evaluate(found.plan, found.members, allow_partial=True)


def _write_all(folder: Path, files: Files, labels: Labels, dtype: LogitsDtype, *, histories: bool) -> None:
    index = sealed_index(dtype, labels, files, histories=histories)
    for name, content in {**files, INDEX: index}.items():
        write_whole(folder / name, content)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _check_printed(exact: Path, rounded: Path, exact_bytes: int) -> None:
    """Refuses float16 if a printed table would change.

    Raises:
        BundleError: It does; the first place is named.
    """
    for path in sorted(exact.glob("*.md")):
        if path.read_bytes() == (rounded / path.name).read_bytes():
            continue
        name = f"{path.stem}.csv"
        found = table_differences(path.stem, exact / name, rounded / name)
        printed = [one for one in found if not one.alike_as_printed]
        where = str(printed[0]) if printed else f"{path.name}: a sentence below the table changes"
        raise BundleError(
            f"in float16 the logits would change what {path.name} prints: {where}."
            f" {len(printed)} printed numbers of that table change. Bundle without --float16, which takes"
            f" {exact_bytes:,} bytes beside the report."
        )


def _check(made: Path) -> None:
    """Refuses what `verify` would not read.

    Raises:
        BundleError: It is too large; or reading it back finds a fault.
    """
    sizes = [path.stat().st_size for path in _files(made)]
    if max(sizes) > FILE_BYTES or sum(sizes) > TOTAL_BYTES:
        raise BundleError(
            f"the bundle would have {sum(sizes):,} bytes, its largest file {max(sizes):,}; `verify` reads"
            f" {TOTAL_BYTES:,} in all and {FILE_BYTES:,} of one file. Bundle a study of fewer pools."
        )
    if faults := read_bundle(made).faults:
        raise BundleError(f"the bundle does not read as it was written: {faults[0]}. Nothing was written.")


def _replace(made: Path, folder: Path) -> None:
    """Replaces the files of an earlier report, the index last.

    Raises:
        BundleError: The folder has others.
    """
    names = [path.relative_to(made).as_posix() for path in _files(made)]
    before = GivenFolder(folder).sizes
    if others := sorted(name for name in before if name not in names and not name.startswith(f"{PLACE}/")):
        raise BundleError(
            f"folder {str(folder)!r} has {len(others)} files that this report does not write, first"
            f" {others[0]!r}. Move them away, or name another with --out."
        )
    (folder / INDEX).unlink(missing_ok=True)
    for name in set(before) - set(names) - {INDEX}:
        (folder / name).unlink()
    for name in sorted(names, key=lambda name: name == INDEX):
        write_whole(folder / name, (made / name).read_bytes())


def _sizes(files: Files, dtype: LogitsDtype, members: int) -> Bundled:
    inner = {name: len(content) for name, content in files.items() if name.startswith(f"{PLACE}/")}
    logits = sum(size for name, size in inner.items() if name.startswith(f"{PLACE}/cells/"))
    report_bytes = sum(map(len, files.values())) - sum(inner.values())
    return Bundled(dtype, members, logits, sum(inner.values()) - logits, report_bytes)
