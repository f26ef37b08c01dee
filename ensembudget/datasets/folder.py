"""A folder of image files, one folder a class: `folder:DIR`.

Images lie in `DIR/train/CLASS/*` and `DIR/test/CLASS/*`, or in `DIR/CLASS/*`: then a fixed random fifth
is the test set. Classes are numbered in the order of their names.
"""

from pathlib import Path

import numpy as np

from ..errors import DatasetError
from ._base import Arrays, Dataset, Images, Labels
from ._decode import decode_image, stack
from ._order import permutation

KINDS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
TEST_SHARE = 5  # one image in five is tested on, where there is no test folder


def files(place: str) -> list[Path]:
    return [path for root in _roots(place) for folder in _classes(root) for path in _images(folder)]


def decode(place: str) -> Arrays:
    roots = _roots(place)
    names = [folder.name for folder in _classes(roots[0])]
    if len(names) < 2:
        raise DatasetError(
            f"dataset 'folder:{place}' has {len(names)} class folders in {str(roots[0])!r}; at least two"
            " are needed."
        )
    read = [_read(root, names, place) for root in roots]
    if len(read) == 2:
        return Arrays(*read[0], *read[1], classes=len(names))
    images, labels = read[0]
    order = permutation(len(images))
    test, train = order[: len(order) // TEST_SHARE], order[len(order) // TEST_SHARE :]
    return Arrays(images[train], labels[train], images[test], labels[test], classes=len(names))


def _roots(place: str) -> list[Path]:
    folder = Path(place)
    if not folder.is_dir():
        raise DatasetError(f"dataset 'folder:{place}': there is no folder {place!r}.")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return [folder / "train", folder / "test"]
    return [folder]


def _classes(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS)


def _read(root: Path, names: list[str], place: str) -> tuple[Images, Labels]:
    paths, labels = [], []
    for folder in _classes(root):
        if folder.name not in names:
            raise DatasetError(f"dataset 'folder:{place}': class {folder.name!r} has no training images.")
        found = _images(folder)
        if not found:
            raise DatasetError(
                f"dataset 'folder:{place}': no images in {str(folder)!r}. Files that are read end in"
                f" {', '.join(sorted(KINDS))}."
            )
        paths += found
        labels += [names.index(folder.name)] * len(found)
    images = stack(((str(p), decode_image(p.read_bytes(), str(p))) for p in paths), f"folder:{place}")
    return images, np.array(labels, np.int64)


dataset = Dataset(decode, files, needs_place=True)
