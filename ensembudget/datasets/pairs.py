"""A parallel corpus in two files a split, one sentence a line: `pairs:DIR:es-en`.

The files are `train.SOURCE` and `train.TARGET`, the same of `test`, and optionally of `val`; each may be a
`.gz`. The direction after the folder, SOURCE-TARGET, is needed because file names do not tell what is
translated into what. Training pairs are those of "train" followed by those of "val", so that a study holds
out the latter.
"""

from pathlib import Path

from ..errors import DatasetError, told
from ._base import Dataset, Pairs
from ._place import directed, direction_of, folder_of
from ._read import read_lines

SPLITS = ("train", "val", "test")


def files(place: str) -> list[Path]:
    found, source, target = _found(place)
    return [found[split, side] for split in SPLITS for side in (source, target) if (split, side) in found]


def decode(place: str) -> Pairs:
    found, source, target = _found(place)
    parts = {
        split: _read(found[split, source], found[split, target], place)
        for split in SPLITS
        if (split, source) in found
    }
    held = parts.get("val", [])
    return Pairs(parts["train"] + held, parts["test"], len(held))


def _read(source: Path, target: Path, place: str) -> list[tuple[str, str]]:
    spec = f"pairs:{place}"
    one, other = read_lines(source, spec), read_lines(target, spec)
    said = f"dataset {spec!r}: {told(source.name)} has"
    if len(one) != len(other):
        raise DatasetError(
            f"{said} {len(one):,} lines and {told(target.name)} {len(other):,}; line by line they must be"
            " translations of each other."
        )
    for path, lines in ((source, one), (target, other)):
        if not any(line.strip() for line in lines):
            raise DatasetError(f"dataset {spec!r}: {told(path.name)} has no sentences.")
    return list(zip(one, other, strict=True))


def _found(place: str) -> tuple[dict[tuple[str, str], Path], str, str]:
    """The files by split and language, and the languages of source and target."""
    where, direction = directed(place)
    folder = folder_of("pairs", where)
    found = dict[tuple[str, str], Path]()
    for path in sorted(folder.iterdir()):
        split, _, ending = path.name.removesuffix(".gz").partition(".")
        if split not in SPLITS or not ending or path.is_dir():
            continue
        if (split, ending) in found:
            raise DatasetError(
                f"dataset 'pairs:{place}': there are both {told(found[split, ending].name)} and"
                f" {told(path.name)}. Remove one of them."
            )
        found[split, ending] = path
    one, other = _endings(place, folder, found)
    ways = (f"{one}-{other}", f"{other}-{one}")
    if direction not in ways:
        raise DatasetError(
            f"dataset 'pairs:{place}': say which side is translated into which, as"
            f" 'pairs:{where}:{ways[0]}' or 'pairs:{where}:{ways[1]}'."
        )
    return found, *((one, other) if direction == ways[0] else (other, one))


def _endings(place: str, folder: Path, found: dict[tuple[str, str], Path]) -> tuple[str, str]:
    """The two languages that the files end in, the same in every split."""
    endings = {split: sorted(end for part, end in found if part == split) for split in SPLITS}
    for split, some in endings.items():
        if len(some) != 2 and (some or split != "val"):
            seen = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
            raise DatasetError(
                f"dataset 'pairs:{place}': {len(some)} files {split}.*, and two are needed, one of each"
                f" language, as {split}.es and {split}.en. The folder holds {told(seen)}."
            )
        if some and some != endings["train"]:
            raise DatasetError(
                f"dataset 'pairs:{place}': the training files end in {told(', '.join(endings['train']))}, and"
                f" those of {split} in {told(', '.join(some))}."
            )
    one, other = endings["train"]
    return one, other


dataset = Dataset(decode, files, needs_place=True, asked=direction_of, example="DIR:SOURCE-TARGET")
