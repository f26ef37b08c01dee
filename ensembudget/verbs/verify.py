"""Checks a published report: recomputes every number from its logits, and lists what cannot be checked."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..bundling.agreeing import disagreements
from ..bundling.collection import COLLECTION_PAGE, collection_page, folders_of
from ..bundling.contents import Bundle, has_bundle, read_bundle
from ..bundling.differing import Difference, text_differences
from ..bundling.folder import GivenFolder
from ..bundling.index import PLACE
from ..bundling.recomputed import check_recomputed
from ..bundling.rendered import MANIFEST, Unchecked, check_rendered, manifest_of, unrendered
from ..errors import BundleError, EnsembudgetError, ScoreError, reason
from ..studies import load_study
from .analyse import analyse
from .bundle import GIVEN, bundle_results
from .report import report

MOST_THREADS = 64


@dataclass(frozen=True)
class Verification:
    """The result of checking one folder.

    Attributes:
        folder: Which.
        cells: Cells of CSV files that were computed again and compared.
        files: Files for people that were rendered again and compared.
        differences: Every value that is not what it should be.
        faults: Every file that is not as it was sealed.
        unchecked: What could not be checked, and why.
        refusal: Why it could not be read at all; "" where it was.
    """

    folder: str
    cells: int = 0
    files: int = 0
    differences: tuple[Difference, ...] = ()
    faults: tuple[str, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    refusal: str = ""

    @property
    def printed(self) -> list[Difference]:
        """Differences that a reader of the tables sees."""
        return [one for one in self.differences if not one.alike_as_printed]

    def code(self, *, as_printed: bool = False) -> int:
        """0 where all numbers are as published, 1 where not, 2 where it cannot be read, 3 without logits.

        Args:
            as_printed: Whether numbers may differ beyond the digits that tables print.
        """
        if self.refusal:
            return 2
        if self.faults or (self.printed if as_printed else self.differences):
            return 1
        return 0 if self.cells else 3


def verify(folder: str | Path) -> Verification:
    """Checks a published report. Nothing in it is run, and no size in it is trusted.

    With a bundle, every number is computed again from logits and compared to the last digit, as many threads
    adding up as published. Without one, tables are rendered again from their CSV, and numbers are held
    against those that they follow from.

    Args:
        folder: The report's.

    Returns:
        What differs and what could not be checked; a folder that cannot be read is a refusal in it.
    """
    try:
        return _verify(GivenFolder(folder), str(folder))
    except EnsembudgetError as error:
        return Verification(str(folder), refusal=str(error))


def verify_all(folder: str | Path) -> list[Verification]:
    """Checks every report in a folder of folders, and its index page; a report alone is checked itself.

    Raises:
        BundleError: There is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise BundleError(
            f"{str(folder)!r} is not a folder. Name the folder of a report, or a folder of reports."
        )
    inner = folders_of(root)
    if not inner:
        return [verify(root)]
    found = [verify(one) for one in inner]
    if (root / COLLECTION_PAGE).is_file():
        found.append(_page(root))
    return found


def _verify(folder: GivenFolder, name: str) -> Verification:
    if has_bundle(folder):
        return _with_logits(folder, name)
    if MANIFEST not in folder:
        if not any(one.endswith(".csv") for one in folder.sizes):
            raise folder.refusal("is no report: it has neither a manifest nor a CSV")
        return Verification(name, unchecked=tuple(unrendered(folder)))
    manifest = manifest_of(folder)
    checked = check_rendered(folder, manifest)
    found = [*checked.differences, *disagreements(folder, manifest)]
    missing = Unchecked("every number", "the logits were not published with it (`ensembudget bundle` does)")
    return Verification(name, 0, checked.files, tuple(found), (), (missing, *checked.unchecked))


def _with_logits(folder: GivenFolder, name: str) -> Verification:
    manifest, bundle = manifest_of(folder), read_bundle(folder)
    rendered = check_rendered(folder, manifest)
    differences = [*rendered.differences, *disagreements(folder, manifest)]
    with tempfile.TemporaryDirectory() as place, _threads(manifest):
        try:
            _report_again(bundle, place)
        except ScoreError as error:  # such as a member that is there twice
            differences.append(Difference("bundle", "logits", "scored", f"cannot be: {error}"))
            return Verification(name, 0, rendered.files, tuple(differences), bundle.faults)
        recomputed, cells = check_recomputed(bundle, manifest, Path(place))
    differences += recomputed.differences
    unchecked = [*_of_descriptions(bundle), *_of_study(bundle, differences)]
    unchecked += [*rendered.unchecked, *recomputed.unchecked]
    return Verification(
        name, cells, rendered.files, tuple(differences), bundle.faults, tuple(dict.fromkeys(unchecked))
    )


def _report_again(bundle: Bundle, place: str) -> None:
    """Writes the report that follows from a bundle.

    Raises:
        ScoreError: Its logits cannot be scored.
        BundleError: Its plan and members give no report.
    """
    try:
        analysis = analyse(bundle_results(bundle), dict(bundle.costs))
        report(analysis, place, logits=f"in {PLACE}/, {bundle.index.dtype}")
    except ScoreError:
        raise
    except Exception as error:  # what somebody sent may be wrong in any way
        said = f"{type(error).__name__}: {reason(error)}"
        raise bundle.folder.refusal(f"has a plan and members that give no report ({said})") from error


@contextlib.contextmanager
def _threads(manifest: Mapping[str, Any]) -> Iterator[None]:
    """Uses as many threads as the report was computed with, because the order of sums depends on them."""
    before, scored_on = torch.get_num_threads(), manifest.get("scored_on")
    asked = scored_on.get("threads") if isinstance(scored_on, dict) else None
    try:
        if type(asked) is int and 1 <= asked <= MOST_THREADS:
            torch.set_num_threads(asked)
        yield
    finally:
        torch.set_num_threads(before)


def _of_descriptions(bundle: Bundle) -> Iterator[Unchecked]:
    if bundle.index.dtype == "float16":
        yield Unchecked(
            "digests of the members' own files",
            "logits were rounded to float16 for the bundle; the numbers are those of the rounded ones",
        )


def _of_study(bundle: Bundle, differences: list[Difference]) -> Iterator[Unchecked]:
    """The study file beside a report, where there is one, must be the plan's study."""
    for name in GIVEN:
        if name not in bundle.folder:
            continue
        try:
            found = load_study(bundle.folder.root / name).unplaced
        except (EnsembudgetError, RecursionError) as error:
            differences.append(Difference(name, "whole file", f"no study: {error}", "the study"))
            continue
        if found.model_dump() != bundle.plan.study.unplaced.model_dump():
            yield Unchecked(name, "it has changed since the study was run; numbers are of the plan's study")


def _page(root: Path) -> Verification:
    text, again = (root / COLLECTION_PAGE).read_text(errors="replace"), collection_page(root)
    page = str(root / COLLECTION_PAGE)
    unchecked = (Unchecked("what its folders hold", "it is in their own lines"),)
    return Verification(page, 0, 1, tuple(text_differences(COLLECTION_PAGE, text, again)), (), unchecked)
