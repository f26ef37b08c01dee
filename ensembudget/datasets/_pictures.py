"""Decodes all encoded images of a dataset, each to the size and colours that are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from ..errors import DatasetError
from ._base import AS_THEY_ARE, Arrays, Images, Labels, Picture, Pictures, Treatment
from ._decode import MOST_AT_ONCE, MOST_PIXELS, CorruptImageError, decode_image

MEND = (
    "Fix or remove it, or set skip_corrupt = true in the study: then what cannot be decoded is left out and"
    " counted."
)
SHOWN = 3  # names in a note

Shape = tuple[int, ...]


def arrays_of(pictures: Pictures, spec: str, form: Treatment = AS_THEY_ARE) -> tuple[Arrays, tuple[str, ...]]:
    """Decodes the images of a dataset.

    Args:
        pictures: The images.
        spec: The dataset, as messages call it.
        form: What becomes of each.

    Returns:
        The arrays, and a sentence on each thing that whoever reads results must know of them.

    Raises:
        CorruptImageError: An image cannot be decoded, and `form.skip_corrupt` is not set.
        DatasetError: Images differ in size or colours, and `form` does not say what to make of them.
    """
    decoding = _Decoding(spec, form)
    train, test = decoding.split(pictures.train), decoding.split(pictures.test)
    arrays = Arrays(*train, *test, pictures.classes, pictures.class_names)
    return arrays, decoding.notes(len(pictures.train) + len(pictures.test))


@dataclass
class _Decoding:
    """What is found while the images of a dataset are decoded."""

    spec: str
    form: Treatment
    corrupt: list[str] = field(default_factory=list)
    animated: list[str] = field(default_factory=list)

    def split(self, pictures: Sequence[Picture]) -> tuple[Images, Labels]:
        images, labels = list[Images](), list[int]()
        shapes: dict[Shape, list[str]] = {}
        for picture in pictures:
            image = self._decode(picture)
            if image is None:
                continue
            shapes.setdefault(image.shape, []).append(picture.name)
            labels.append(picture.label)
            if len(shapes) == 1:  # of several, the rest is only counted
                images.append(image)
        if len(shapes) > 1:
            raise DatasetError(_several(shapes, self.spec))
        empty = np.empty((0, 0, 0, 0), np.uint8)
        return np.stack(images) if images else empty, np.array(labels, np.int64)

    def _decode(self, picture: Picture) -> Images | None:
        most = MOST_AT_ONCE if self.form.image_size else MOST_PIXELS
        try:
            found = decode_image(picture.read(), picture.name, self.form, most=most)
        except CorruptImageError as error:
            if not self.form.skip_corrupt:
                raise CorruptImageError(f"{error} {MEND}") from None
            self.corrupt.append(picture.name)
            return None
        if found.animated:
            self.animated.append(picture.name)
        return found.pixels

    def notes(self, total: int) -> tuple[str, ...]:
        found = []
        if self.corrupt:
            found.append(
                f"Left out, because they cannot be decoded: {len(self.corrupt):,} of {total:,} images"
                f" ({_names(self.corrupt)})."
            )
        if self.animated:
            found.append(
                f"Read by the first of their frames: {len(self.animated):,} of {total:,} files"
                f" ({_names(self.animated)})."
            )
        return tuple(found)


def _names(names: list[str]) -> str:
    # Without folders: they say where files lie on this machine, and notes are published.
    shown = ", ".join(PurePath(name).name for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN:,} more" if len(names) > SHOWN else shown


def _several(shapes: dict[Shape, list[str]], spec: str) -> str:
    """Which shapes there are, and what a study can say about them."""
    (first, second), total = list(shapes.items())[:2], sum(map(len, shapes.values()))
    said = (
        f"dataset {spec!r} has images of several shapes: {first[1][0]} is {first[0]}, {second[1][0]} is"
        f" {second[0]} (row, column, channel)."
    )
    sizes, grey = dict[Shape, int](), 0
    for (*size, channels), names in shapes.items():
        sizes[tuple(size)] = sizes.get(tuple(size), 0) + len(names)
        grey += len(names) * (channels == 1)
    if len(sizes) > 1:
        height, width = common = max(sizes, key=lambda size: sizes[size])
        said += (
            f" Of {len(sizes):,} sizes the commonest is {width}x{height} pixels ({sizes[common]:,} of"
            f" {total:,} images). Set image_size in the study, and each is cut to its central square and"
            " resized."
        )
    if 0 < grey < total:
        said += (
            f' Grey: {grey:,} of {total:,} images. Set colour = "rgb" or colour = "grey" in the study, and'
            " all become so."
        )
    return said
