"""Looks at a dataset as it is, before a study says how to convert it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..catalog import DATASETS
from ..errors import DatasetError
from ._base import Arrays, Images, Pictures
from ._decode import MOST_AT_ONCE, CorruptImageError, decode_image
from ._load import opened, split_name
from ._shared import fingerprint


@dataclass(frozen=True)
class Look:
    """What a dataset holds.

    Attributes:
        spec: The dataset, as it was asked for.
        classes: A name for each class; its number where the source has no names.
        counts: Images that can be decoded, by split ("train", "test") and class.
        sizes: How many of them have which (width, height) in pixels, once turned upright.
        modes: How many of them are stored in which of Pillow's modes, such as RGB, L (grey) or RGBA.
        corrupt: Files that cannot be decoded; rows, where images lie in tables.
        animated: Files that hold several frames, of which the first is used.
        duplicates: Images whose pixels are those of an earlier image of their split.
        leaked: Test images whose pixels are those of a training image.
        files: All images, corrupt ones among them.
    """

    spec: str
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    sizes: dict[tuple[int, int], int]
    modes: dict[str, int]
    corrupt: tuple[str, ...]
    animated: tuple[str, ...]
    duplicates: int
    leaked: int
    files: int


def look(spec: str) -> Look:
    """Looks at every image of a dataset, each at its full size.

    Args:
        spec: As in a study: `digits`, `folder:DIR`; a folder is relative to the current one.

    Raises:
        DatasetError: No images, missing or unreadable files, fewer than two classes, a label out of range.

    Example:
        >>> found = look("digits")
        >>> found.sizes, found.modes, sum(found.counts["train"]), found.duplicates
        ({(8, 8): 1797}, {'L': 1797}, 1000, 0)
    """
    name, place = split_name(spec)
    with opened(spec):
        source = DATASETS[name].decode(place)
    if not isinstance(source, Arrays | Pictures) or (isinstance(source, Arrays) and source.task):
        raise DatasetError(
            f"dataset {spec!r} holds no images, and only a study of images can be proposed. docs/texts.md has"
            " a study of texts to start from."
        )
    looking = _Looking(source.classes)
    looking.split("train", _seen(source, "train"), spec)
    looking.split("test", _seen(source, "test"), spec)
    return Look(
        spec=spec,
        classes=source.class_names or tuple(map(str, range(source.classes))),
        counts={part: tuple(counts) for part, counts in looking.counts.items()},
        sizes=dict(looking.sizes.most_common()),
        modes=dict(looking.modes.most_common()),
        corrupt=tuple(looking.corrupt),
        animated=tuple(looking.animated),
        duplicates=looking.duplicates,
        leaked=looking.leaked,
        files=looking.files,
    )


class _Seen(NamedTuple):
    """One image; `pixels` is None where it cannot be decoded."""

    name: str
    label: int
    pixels: Images | None
    mode: str = ""
    animated: bool = False


def _seen(source: Arrays | Pictures, part: str) -> Iterator[_Seen]:
    if isinstance(source, Arrays):
        images, labels = getattr(source, f"{part}_inputs"), getattr(source, f"{part}_labels")
        for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            yield _Seen(f"image {number} of {part}", label, image, "L" if image.shape[-1] == 1 else "RGB")
        return
    for picture in getattr(source, part):
        try:
            found = decode_image(picture.read(), picture.name, most=MOST_AT_ONCE)
        except (CorruptImageError, OSError):
            yield _Seen(picture.name, picture.label, None)
        else:
            yield _Seen(picture.name, picture.label, *found)


@dataclass
class _Looking:
    """What was found so far."""

    classes: int
    counts: dict[str, list[int]] = field(default_factory=dict)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    corrupt: list[str] = field(default_factory=list)
    animated: list[str] = field(default_factory=list)
    earlier: set[bytes] = field(default_factory=set)
    duplicates: int = 0
    leaked: int = 0
    files: int = 0

    def split(self, part: str, images: Iterator[_Seen], spec: str) -> None:
        counts, own = [0] * self.classes, set[bytes]()
        for one in images:
            self.files += 1
            if not 0 <= one.label < self.classes:
                raise DatasetError(
                    f"dataset {spec!r}: label {one.label} of {one.name} is not in 0..{self.classes - 1}"
                    f" ({self.classes} classes)."
                )
            if one.pixels is None:
                self.corrupt.append(one.name)
                continue
            counts[one.label] += 1
            height, width = one.pixels.shape[:2]
            self.sizes[width, height] += 1
            self.modes[one.mode] += 1
            if one.animated:
                self.animated.append(one.name)
            print_ = fingerprint(one.pixels)
            self.duplicates += print_ in own
            self.leaked += print_ in self.earlier
            own.add(print_)
        self.counts[part] = counts
        self.earlier |= own
