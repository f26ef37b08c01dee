"""A folder of image files, one folder a class: `folder:DIR`.

Images lie in `DIR/train/CLASS` and `DIR/test/CLASS` (or `val`, `valid`, `validation`), or in `DIR/CLASS`:
then a fixed random fifth is the test set. Folders within a class belong to it. Classes are numbered in the
order of their names. Files and folders whose names begin with a dot are passed over. A link that leads out
of DIR is refused: whoever made it may not be who reads it.
"""

from functools import partial
from pathlib import Path

from ..errors import DatasetError, told
from ..files import read_regular
from ._base import Dataset, Picture, Pictures
from ._order import permutation
from ._place import folder_of

KINDS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"}
TESTS = ("test", "val", "valid", "validation")
MOST_BYTES = 2**28  # of one image file
TEST_SHARE = 5  # one image in five is tested on, where there is no test folder


def files(place: str) -> list[Path]:
    found = [path for root in _roots(place) for folder in _folders(root) for path in _images(folder)]
    _check(place, found)
    return found


def _check(place: str, found: list[Path]) -> None:
    """Refuses what is reached by a link out of the dataset's folder, and what is too long for an image."""
    whole = folder_of("folder", place)
    folders = {above for path in found for above in path.parents if whole in above.parents}
    for path in sorted(folders) + found:
        if path.is_symlink() and path.exists() and not path.resolve().is_relative_to(whole.resolve()):
            raise DatasetError(
                f"dataset 'folder:{place}': {told(str(path))} is a link to a place outside of that folder,"
                " and is not followed. Copy what it leads to, or name a folder that holds both."
            )
        if path.exists() and not path.is_dir() and (size := path.stat().st_size) > MOST_BYTES:
            raise DatasetError(
                f"dataset 'folder:{place}': {told(str(path))} has {size:,} bytes, and at most {MOST_BYTES:,}"
                " of an image are read."
            )


def decode(place: str) -> Pictures:
    roots = _roots(place)
    names = tuple(folder.name for folder in _folders(roots[0]))
    if len(names) < 2:
        raise DatasetError(_few_classes(place, roots[0], names))
    files(place)  # refuses links
    read = [_pictures(root, names, place) for root in roots]
    if len(read) == 2:
        return Pictures(read[0], read[1], len(names), names)
    order = permutation(len(read[0])).tolist()
    cut = len(order) // TEST_SHARE
    test, train = ([read[0][i] for i in part] for part in (order[:cut], order[cut:]))
    return Pictures(train, test, len(names), names)


def _roots(place: str) -> list[Path]:
    """The folders of classes: of training and test images, or one of all."""
    folder = folder_of("folder", place)
    train = folder / "train"
    # A class may be called "train": its images lie in it, and those of a split lie in its folders.
    if not train.is_dir() or not _folders(train):
        return [folder]
    return [train, *[folder / name for name in TESTS if (folder / name).is_dir()][:1]]


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Image files of a folder and of the folders in it."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in KINDS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    )


def _pictures(root: Path, names: tuple[str, ...], place: str) -> list[Picture]:
    pictures = []
    for folder in _folders(root):
        if folder.name not in names:
            raise DatasetError(f"dataset 'folder:{place}': class {folder.name!r} has no training images.")
        found = _images(folder)
        if not found:
            raise DatasetError(
                f"dataset 'folder:{place}': no images in {str(folder)!r}. Files that are read end in"
                f" {', '.join(sorted(KINDS))}."
            )
        label = names.index(folder.name)
        pictures += [Picture(str(path), label, partial(read_regular, path, MOST_BYTES)) for path in found]
    return pictures


def _few_classes(place: str, root: Path, names: tuple[str, ...]) -> str:
    said = (
        f"dataset 'folder:{place}' has {len(names)} class folders in {str(root)!r}; at least two are needed."
    )
    if len(names) == 1 and len(inner := _folders(root / names[0])) > 1:
        inside = Path(place) / names[0]
        return f"{said} Did you mean 'folder:{inside}', which has {len(inner)}?"
    return said


dataset = Dataset(decode, files, needs_place=True)
