"""A study proposed for images and a budget: a TOML file whose comments say why, and what to change."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..budgets._parse import parse_budget
from ..catalog import BUDGETS
from ..datasets._decode import GREY
from ..datasets._load import split_name
from ..datasets._look import Look
from ..errors import PlanError
from ..records import Task
from .widths import cost, split

FAMILY, OPTIONS = "wide_resnet", {"depth": 10}  # small images need no deeper ones, and they train fast
SIZES = (1, 2, 4, 8)  # of ensembles
NARROWEST = 4  # thinner networks learn next to nothing
TOLERANCE = 0.1  # narrow widths are far apart
LARGEST, SMALLEST = 32, 8  # pixels a side: what trains in minutes on a CPU
UNMIRRORED = ("digits", "svhn")  # datasets whose images mean something else in a mirror


class Effort(NamedTuple):
    """How much a proposal trains.

    Attributes:
        shrink: Images are so many times smaller than they could be.
        pool: Members of every width.
        steps: Of one member.
    """

    shrink: int
    pool: int
    steps: int


# From the most to the least, each about half of the one before.
EFFORTS = (
    Effort(1, 8, 1500),
    Effort(1, 8, 750),
    Effort(1, 4, 750),
    Effort(2, 8, 750),
    Effort(2, 4, 750),
    Effort(2, 4, 400),
    Effort(2, 2, 400),
)


class Sketch(NamedTuple):
    """What a proposal is made for; the other functions turn it into a file.

    Attributes:
        look: What the dataset holds.
        budget: As people write it.
        out: Where the file will lie.
        effort: How much is trained.
    """

    look: Look
    budget: str
    out: Path
    effort: Effort

    @property
    def side(self) -> int:
        """Pixels a side of the images as they are trained on."""
        sides = sorted(side for size, count in self.look.sizes.items() for side in [min(size)] * count)
        return max(SMALLEST, min(LARGEST, sides[len(sides) // 2]) // self.effort.shrink)

    @property
    def alike(self) -> bool:
        """Whether all images are squares of one size."""
        return len(self.look.sizes) == 1 and all(width == height for width, height in self.look.sizes)

    @property
    def grey(self) -> int:
        """How many images are grey."""
        return sum(n for mode, n in self.look.modes.items() if mode in GREY or mode.startswith("I;16"))

    @property
    def train_images(self) -> int:
        return sum(self.look.counts["train"])

    @property
    def task(self) -> Task:
        return Task(len(self.look.classes), 3 if self.grey < sum(self.look.modes.values()) else 1, self.side)

    @property
    def batch_size(self) -> int:
        """A power of two, with at least eight batches an epoch where there are images enough."""
        fitting = [size for size in (16, 32, 64) if 8 * size <= self.train_images]
        return max(fitting, default=8)

    @property
    def epochs(self) -> int:
        batches = -(-self.train_images // self.batch_size)
        return min(200, max(3, round(self.effort.steps / batches)))


def members_of(sketch: Sketch) -> list[int]:
    """The ensemble sizes that the budget holds, in networks that are not too thin.

    Raises:
        PlanError: The budget cannot be read, or holds no ensemble.
    """
    budget, kind = parse_budget(sketch.budget)
    found = []
    for members in SIZES:
        try:
            one = split(FAMILY, sketch.task, budget, members, kind, options=OPTIONS)
        except PlanError:
            if members == 1:
                raise
            break
        if one.width < NARROWEST:
            break
        if abs(one.error_percent) <= 100 * TOLERANCE:
            found.append(members)
    if 1 not in found or len(found) < 2:
        least = 2 * cost(FAMILY, NARROWEST, sketch.task, kind, options=OPTIONS)
        raise PlanError(
            f"a budget of {sketch.budget} holds no ensemble of networks that learn: two of {FAMILY!r}"
            f" at width {NARROWEST} take {least:,} {BUDGETS[kind].unit}. Ask for a budget of"
            f" {2 * least:,} or more."
        )
    return found


def text_of(sketch: Sketch) -> str:
    """The study as a commented TOML file.

    Raises:
        PlanError: As `members_of`.
    """
    return "\n".join([*_head(sketch), *_images(sketch), *_networks(sketch), *_recipe(sketch), ""])


def _head(sketch: Sketch) -> Iterator[str]:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in sketch.out.stem)
    yield f"# Proposed by `ensembudget init` for {sketch.look.files:,} images and {sketch.budget}. Change"
    yield "# what you like: docs/study.md and `ensembudget ls fields` list every field, and `ensembudget run"
    yield "# FILE --dry-run` shows in seconds what a change costs."
    yield f"name = {quoted(name.lstrip('_.-') or 'study')}"
    asked = f"{sketch.look.spec} within {sketch.budget}: one network, or several thinner ones?"
    yield f"description = {quoted(asked)}"
    yield ""


def _images(sketch: Sketch) -> Iterator[str]:
    look, total = sketch.look, sum(sketch.look.modes.values())
    tests = sum(look.counts["test"])
    yield f"# {sketch.train_images:,} images to train on, {tests:,} to test on, {len(look.classes)} classes."
    yield f"dataset = {quoted(_placed(look.spec, sketch.out))}"
    if sketch.alike and sketch.side == min(next(iter(look.sizes))):
        yield f"# image_size = {sketch.side}  # pixels a side, as all images are"
    else:
        yield f"image_size = {sketch.side}  # pixels a side; twice as many take four times as long"
    if 0 < sketch.grey < total:
        yield f'colour = "rgb"  # {sketch.grey:,} of {total:,} images are grey'
    if look.corrupt:
        yield f"skip_corrupt = true  # {len(look.corrupt):,} of {look.files:,} files cannot be decoded"
    yield "# train_size = [100, 400]  # to see how the answer changes with the number of images"
    yield "validation_size = 0  # held out of the training images; only tuning needs them, see below"
    yield ""


def _networks(sketch: Sketch) -> Iterator[str]:
    kind, pool = parse_budget(sketch.budget)[1], sketch.effort.pool
    yield f"family = {quoted(FAMILY)}  # `ensembudget ls families`"
    yield "options = { " + ", ".join(f"{name} = {value}" for name, value in OPTIONS.items()) + " }"
    yield f"budget_kind = {quoted(kind)}"
    yield f"budgets = [{quoted(sketch.budget)}]  # of all members together; list several to compare"
    if kind == "bytes":
        yield '# dtype = ["float32", "int8"]  # weights in fewer bits, so wider networks in the same bytes'
    yield f"members = {members_of(sketch)}  # ensemble sizes; 1 is one wide network"
    yield f"narrowest = {NARROWEST}"
    yield f"tolerance = {TOLERANCE}  # widths are whole numbers, so a split may miss its budget by this share"
    yield f"pool = {pool}  # members trained of each width: 8 or more give narrow intervals"
    yield f"replicates = {2 if pool >= SIZES[-1] else 1}  # disjoint ensembles of every size"
    yield "keep_weights = true  # so that the winner can be exported without training it again"
    yield ""


def _recipe(sketch: Sketch) -> Iterator[str]:
    flip = sketch.look.spec not in UNMIRRORED
    yield "[recipe]"
    yield f"epochs = {sketch.epochs}  # tables say TOO SHORT where the loss still falls at the end"
    yield f"batch_size = {sketch.batch_size}"
    yield f"crop_padding = {sketch.side // 8}  # images are shifted at random by so many pixels at most"
    yield f"flip = {'true' if flip else 'false'}  # mirrored at random; false where left and right matter"
    yield "learning_rate = 0.1"
    yield "weight_decay = 3e-4"
    yield ""
    yield "# To choose the weight decay of each width on held-out images, which takes about twice as long,"
    yield f"# set validation_size to at least {max(50, 2 * len(sketch.look.classes))} above, and:"
    yield "# [tune]"
    yield '# method = "halving"'
    yield "# members = 2"
    yield "# [tune.values]"
    yield "# weight_decay = [1e-4, 1e-3, 3e-3, 1e-2]"


def quoted(text: str) -> str:
    """Text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _placed(spec: str, out: Path) -> str:
    """The dataset as the study file says it: a relative folder is relative to the file."""
    name, place = split_name(spec)
    if not place or Path(place).is_absolute():
        return spec
    return f"{name}:{Path(os.path.relpath(place, out.parent)).as_posix()}"


def concerns(look: Look) -> list[str]:
    """What one should know about the images before training on them, a sentence each."""
    tests, least = sum(look.counts["test"]), min(look.counts["train"])
    found = []
    if look.corrupt:
        found.append(
            f"{len(look.corrupt):,} of {look.files:,} files cannot be decoded: {_some(look.corrupt)}."
        )
    if look.animated:
        found.append(
            f"{len(look.animated):,} files hold several frames; the first is used: {_some(look.animated)}."
        )
    if look.duplicates:
        found.append(f"{look.duplicates:,} images occur more than once, pixel for pixel.")
    if look.leaked:
        found.append(
            f"{look.leaked:,} test images are training images too: what is measured will look too good. Take"
            " them out of the test images."
        )
    if max(look.counts["train"]) > 10 * least:
        found.append(
            f"Classes differ in size: {least:,} to {max(look.counts['train']):,} training images. Accuracy"
            " and NLL are over all test images, so small classes weigh little."
        )
    if tests < 500:
        found.append(f"{tests:,} test images tell only large differences from chance.")
    return found


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(quoted(name) for name in names[:3])
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown
