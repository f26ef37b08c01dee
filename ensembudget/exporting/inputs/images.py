"""Paths, pictures and arrays, cut to their central square and resized to what the members were trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from ...datasets._data import Data
from ...records import Recipe, Task
from ...rendering.render import markdown
from ...tasks.images import Pixels, Scale, scale_of
from ..pictures import prepared
from ._base import Batch, Inputs, Page, Reader, Shipment

LARGEST = 1024  # pixels a side: of the largest images that a study has

CALL = """\
answer = ensemble.predict("picture.png")  # a path, a PIL picture, a uint8 array, or a list of these
print(ensemble.class_names[answer.probabilities[0].argmax()], answer.disagreement[0])"""


class ImageInputs(Inputs):
    """Images, uint8 (sample, row, column, channel).

    They are divided by 255, then normalised by `mean` and `std`, one a channel.
    """

    kind: str = "images"
    image_size: Annotated[PositiveInt, Field(le=LARGEST)]
    mean: Annotated[list[float], Field(min_length=1)]
    std: list[PositiveFloat]

    @model_validator(mode="after")
    def _of_equal_length(self) -> "ImageInputs":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std {len(self.std)}")
        return self

    @classmethod
    def shipment(cls, data: Data, recipe: Recipe, training: Tensor) -> Shipment:
        task, scale = data.task, scale_of(recipe.normalisation, training)
        assert isinstance(task, Task)
        names = data.class_names or tuple(map(str, range(task.classes)))
        return Shipment(
            cls(image_size=task.image_size, mean=scale.mean.tolist(), std=scale.std.tolist()), names
        )

    @property
    def name(self) -> str:
        return "images"

    def task(self, classes: int) -> Task:
        return Task(classes, len(self.mean), self.image_size)

    def feed(self, classes: int) -> Pixels:
        return Pixels(Scale(torch.tensor(self.mean), torch.tensor(self.std)), size=self.image_size**2)

    def reader(self, files: Mapping[str, bytes]) -> Reader:
        return ImageReader(self.task(0))

    def page(self, class_names: Sequence[str]) -> Page:
        size = f"{self.image_size}x{self.image_size} pixels"
        channels = len(self.mean)
        colours = "grey" if channels == 1 else "in colour"
        return Page(
            CALL,
            f"- Images: {size}, {colours}. `predict` cuts others to their central square and resizes them.\n"
            f"- Classes: {', '.join(map(markdown, class_names))}.",
            f"`images`, uint8 (sample, row, column, channel) of {size} and {channels} channels",
        )


@dataclass(frozen=True)
class ImageReader(Reader):
    """Reads pictures for a task."""

    task: Task

    def batch(self, samples: Any) -> Batch:
        return Batch(torch.from_numpy(prepared(samples, self.task)))


inputs = ImageInputs
