"""Members without a study or a store: train one, or a pool, and compare ensembles of what was trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..analysis.splits import ComparedSplit
from ..arrays import Integers
from ..datasets._base import Arrays
from ..datasets._cache import digest_of
from ..datasets._check import check
from ..datasets._data import Data
from ..datasets._load import load
from ..errors import ArgumentError, ScoreError, StudyError
from ..packing.parts import parts_of
from ..planning.check import study_faults
from ..planning.plan import plan
from ..records import INDEPENDENT, Cell, RecipeChoice, Run, Stepping, Study
from ..scoring.comparison import compare, split_losses
from ..scoring.ensembles import score_pool
from ..scoring.given import Numbers, tensor_of
from ..scoring.standard_errors import cnll_interval
from ..training.loop import Trained, train

load_data = load  # the public name: `load` alone would not say what


@dataclass(frozen=True)
class TrainedPool:
    """Members of one width, trained side by side.

    Attributes:
        cell: How: network, images, mode and recipe.
        members: One a seed, diverged ones included.
        labels: Of the test samples, (sample,); where every position is predicted, of the scored positions.
        samples: The test sample that each of these is of, where one has several; else None.
    """

    cell: Cell
    members: tuple[Trained, ...]
    labels: Integers
    samples: Integers | None = None

    @property
    def logits(self) -> NDArray[np.float32]:
        """On the test images, of members that did not diverge, (member, sample, class)."""
        return np.stack([one.test_logits for one in self.members if one.diverged_at is None])


def data_of(
    train_images: Any, train_labels: Any, test_images: Any, test_labels: Any, *, name: str = "images"
) -> Data:
    """A dataset out of arrays.

    Args:
        train_images: uint8, (sample, row, column) or (sample, row, column, channel), square.
        train_labels: Whole numbers from 0, (sample,).
        test_images: As the training images.
        test_labels: As the training labels.
        name: What messages call it.

    Raises:
        DatasetError: Images that are not square, labels that do not fit, and the like.
        ArgumentError: Images that are not of type uint8.

    Example:
        >>> images, labels = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 2
        >>> data_of(images[:30], labels[:30], images[30:], labels[30:]).task
        Task(classes=2, channels=1, image_size=8)
    """
    labels = [np.asarray(some, np.int64) for some in (train_labels, test_labels)]
    train, test = (_images(some, name) for some in (train_images, test_images))
    classes = int(max(some.max(initial=-1) for some in labels)) + 1
    arrays = Arrays(train, labels[0], test, labels[1], classes=classes)
    check(arrays, name)
    return Data(name, digest_of(arrays), arrays)


def _images(given: Any, name: str) -> NDArray[np.uint8]:
    images = np.asarray(given)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ArgumentError(
            f"images of {name!r} are {images.dtype} of shape {images.shape}; needed is uint8, (sample, row,"
            " column) or (sample, row, column, channel)."
        )
    return images[..., None] if images.ndim == 3 else images


def train_pool(
    family: str,
    width: int,
    data: Data | str,
    members: int = 8,
    *,
    recipe: Mapping[str, Any] | None = None,
    options: Mapping[str, int | bool | str] | None = None,
    mode: str = "bn_wd",
    method: str = INDEPENDENT,
    method_options: Mapping[str, int | float | bool | str] | None = None,
    train_size: int | None = None,
    validation_size: int = 0,
    first_seed: int = 0,
    device: str = "cpu",
    keep_weights: bool = False,
) -> TrainedPool:
    """Trains members of one width side by side, as a study would.

    Args:
        family: A family's name.
        width: Of every network.
        data: From `load_data` or `data_of`, or a dataset's name.
        members: How many.
        recipe: Fields of a recipe, `base` among them; the others are those of the base.
        options: Of the family.
        mode: What an update step means.
        method: What a member is: by default one network.
        method_options: Of the method.
        train_size: Training images; None for all that are not held out.
        validation_size: Held out: the last of the training images.
        first_seed: Members have seeds from here on.
        device: A torch device.
        keep_weights: Whether members keep their weights.

    Raises:
        ArgumentError: A value of the wrong type or range.
        StudyError: What cannot be trained, all faults at once.

    Example:
        >>> recipe = {"epochs": 1, "batch_size": 32, "crop_padding": 1}
        >>> how = {"recipe": recipe, "options": {"depth": 10}, "train_size": 64}
        >>> pool = train_pool("wide_resnet", 2, "digits", 2, **how)
        >>> pool.logits.shape, pool.labels.shape
        ((2, 797, 10), (797,))
    """
    found = load(data) if isinstance(data, str) else data
    try:
        study = Study(
            name="pool",
            description="",
            family=family,
            options=dict(options or {}),
            dataset="digits",  # a stand-in: the images are at hand
            widths=[width],
            pool=members,
            mode=mode,
            method=method,
            method_options=dict(method_options or {}),
            train_size=train_size,
            validation_size=validation_size,
            keep_weights=keep_weights,
            recipe=RecipeChoice(**(recipe or {})),
        )
    except ValidationError as error:
        first = error.errors()[0]
        place, reason = ".".join(map(str, first["loc"])), first["msg"]
        raise ArgumentError(f"{place} = {first['input']!r}: {reason[0].lower()}{reason[1:]}.") from None
    if faults := study_faults(study):
        raise StudyError(" ".join(faults))
    planned = plan(
        study,
        found.task,
        digest=found.digest,
        dataset=found.name,
        train_samples=len(found.arrays.train_inputs),
    )
    cell = planned.cells[0].cell
    runs = [Run(cell=cell, seed=first_seed + number) for number in range(members)]
    trained = train(runs, found, device=device, stepping=Stepping(pack=members), keep_weights=keep_weights)
    asked = parts_of(cell, found.arrays).test
    samples = None if asked.places is None else asked.samples.numpy()
    return TrainedPool(cell, tuple(trained), asked.labels.numpy(), samples)


def train_member(family: str, width: int, data: Data | str, seed: int = 0, **how: Any) -> Trained:
    """Trains one member; arguments as for `train_pool`.

    Example:
        >>> recipe = {"epochs": 1, "batch_size": 32, "crop_padding": 1}
        >>> how = {"recipe": recipe, "options": {"depth": 10}, "train_size": 64}
        >>> one = train_member("wide_resnet", 2, "digits", **how)
        >>> one.test_logits.shape, one.diverged_at
        ((797, 10), None)
    """
    return train_pool(family, width, data, 1, first_seed=seed, **how).members[0]


def compare_splits(
    pools: Mapping[int, Numbers | TrainedPool],
    labels: Numbers | None = None,
    samples: Numbers | None = None,
) -> list[ComparedSplit]:
    """Compares ensembles of several sizes, each out of a pool of its own, as the splits of one budget.

    Args:
        pools: By ensemble size, the pool that ensembles of this size are drawn from: as `train_pool` gives
            it, or its logits on the test images, (member, sample, class).
        labels: Of the test images, (sample,); may be left out where all pools are from `train_pool`.
        samples: Which test sample each label is of, (sample,), where some are of one; likewise.

    Returns:
        One an ensemble size, ascending.

    Raises:
        ScoreError: No labels, a pool with fewer members than the ensembles, or numbers that cannot be scored.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> labels = np.arange(300) % 3
        >>> pools = {n: draws.normal(size=(8, 300, 3)) + 2 * np.eye(3)[labels] for n in (1, 2)}
        >>> [(one.members, str(one.compared.best)) for one in compare_splits(pools, labels)]
        [(1, 'worse'), (2, 'best')]
    """
    found = []
    for size, given in sorted(pools.items()):
        known, of = (
            (given.labels, given.samples)
            if isinstance(given, TrainedPool) and labels is None
            else (labels, samples)
        )
        if known is None:
            raise ScoreError("labels of the test images are missing.")
        logits = tensor_of(given.logits if isinstance(given, TrainedPool) else given, f"logits of n = {size}")
        true = tensor_of(known, "labels")
        scores = score_pool(logits, true, samples=of)
        if size not in scores.losses:
            raise ScoreError(f"ensembles of {size} cannot be drawn from a pool of {len(logits)} members.")
        found.append(split_losses(logits, true.long(), scores, size))
    return [
        ComparedSplit(one.members, cnll_interval(float(one.losses.mean()), one.errors), compared)
        for one, compared in zip(found, compare(found) if found else [], strict=True)
    ]
