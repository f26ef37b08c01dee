"""Any timm model that can be made at another width: write timm:resnet18, timm:vit_tiny_patch16_224.

Members are packed by `_copies.py` and have no pretrained weights, no dropout and no stochastic depth.
`_timm_widths.py` says what a width of k is for each model; docs/timm.md explains it to users.
"""

import difflib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..catalog import FAMILIES
from ..errors import EnsembudgetError, PlanError, reason, told
from ..records import Task
from ._base import Family, OptionValue
from ._copies import MemberCopies
from ._timm_design import TASK_ARGUMENTS, Design, design_of
from ._timm_widths import HEAD_SIZE, MAPPING, WidthScale, scale_of, sizes

Key = tuple[tuple[str, OptionValue], ...]  # options, sorted

# Candidates for the number that all widths of a model are multiples of, which heads and groups call for: the
# first that works as a width, and whose double works too, is taken. The last is timm's own width.
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128)
FALLBACK = "timm:resnet18"
# Of the parameters at 12 steps, how far those at 4, 8, 12 must bend from a straight line: 2/9 for a square.
LEAST_BEND = 0.01
FAILS = "timm cannot make that network, or run it on images of that size"


@dataclass(frozen=True)
class Maker:
    """Makes the network of one member, on whatever device is torch's default where it is called."""

    name: str
    options: Key
    width: int
    task: Task

    def __call__(self) -> nn.Module:
        design, options = design_of(self.name), dict(self.options)
        scale = scale_of(design, options)
        assert scale is not None
        own = {name: value for name, value in options.items() if name not in (MAPPING, HEAD_SIZE)}
        model = design.made({**own, **_of_task(design, self.task), **scale.arguments(self.width)})
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if not tensor.numel():
                raise PlanError(f"{name!r} would have no numbers")
            if not tensor.ndim and tensor.is_floating_point():
                raise PlanError(f"{name!r} is a single number, and members stack tensors along a dimension")
        return model


def _of_task(design: Design, task: Task) -> dict[str, Any]:
    decided = zip(TASK_ARGUMENTS, (task.classes, task.channels, task.image_size), strict=True)
    return {name: value for name, value in decided if name in design.arguments}


@functools.cache
def part(name: str) -> Family:
    """The family of one timm model.

    Raises:
        UnknownPartError: timm has no such model.

    Example:
        >>> part("vit_tiny_patch16_224").multiple_of({})
        3
    """
    design = design_of(name)
    return Family(
        build=functools.partial(_build, name),
        optional=_options(design),
        multiple_of=lambda options: _step(name, _key(options)),
        fault=lambda options: _fault(name, _key(options)),
        smallest=lambda options: _trial(name, options),
        dropout=False,
        width_means=lambda options: _scale(name, options).means,
    )


def _options(design: Design) -> dict[str, OptionValue]:
    """The arguments of a model that a study may set: not those that its task or its training decides."""
    own = {
        name: value
        for name, value in design.arguments.items()
        if isinstance(value, int | str) and "drop" not in name and name not in TASK_ARGUMENTS
    }
    return {**own, MAPPING: "", HEAD_SIZE: 1}


def _key(options: Mapping[str, OptionValue]) -> Key:
    return tuple(sorted(options.items()))


def _scale(name: str, options: Mapping[str, OptionValue]) -> WidthScale:
    found = scale_of(design_of(name), options)
    if found is None:
        raise PlanError(_fixed(name))
    return found


def _fixed(name: str) -> str:
    named = ", ".join(sizes(design_of(name))) or "none that is a number"
    return (
        f"family 'timm:{name}' has a fixed width: none of its arguments is known to say how wide it is. It"
        f' has {named}. If one does, name it: options = {{ {MAPPING} = "NAME=1,2,4" }}. The nearest that'
        f" works is {_nearest(name)!r}."
    )


def _nearest(name: str) -> str:
    """A family with a similar name whose width is free: one of ours, or one of timm's."""
    from timm.models import list_models

    if ours := difflib.get_close_matches(name, list(FAMILIES), n=1, cutoff=0.7):
        return ours[0]
    for like in difflib.get_close_matches(name, list_models(), n=20, cutoff=0.5):
        if scale_of(design_of(like), {}):
            return f"timm:{like}"
    return FALLBACK


def _trial(name: str, options: Mapping[str, OptionValue]) -> Task:
    """A task to try networks on: images of timm's own size, enlarged until patches divide them."""
    size, patch = design_of(name).image_size, _patch(name, options) or 1
    return Task(classes=2, channels=3, image_size=-(-size // patch) * patch)


def _patch(name: str, options: Mapping[str, OptionValue]) -> int | None:
    """Pixels a side of the patches that images are divided into; None where a model has none."""
    values = {**design_of(name).arguments, **options}
    patch = values.get("patch_size")
    return patch if "img_size" in values and isinstance(patch, int) and patch > 0 else None


@functools.cache
def _fault(name: str, options: Key) -> str | None:
    try:
        step = _step(name, options)
    except PlanError as error:
        return str(error)
    return _no_width(name, options, step) if dict(options).get(MAPPING) else None


def _no_width(name: str, options: Key, step: int) -> str | None:
    """Why the arguments that a user names are no width: parameters grow no faster than they do.

    Those of a layer grow as its width squared, and those of a network as its depth.
    """
    widths = [step * times for times in (4, 8, 12)]
    try:
        with torch.device("meta"):
            networks = [Maker(name, options, width, _trial(name, dict(options)))() for width in widths]
    except Exception:  # timm's models check what they take in many ways; `_build` tells which width cannot be
        return None
    first, middle, last = (sum(one.numel() for one in network.parameters()) for network in networks)
    if last - 2 * middle + first >= LEAST_BEND * last:
        return None
    known = scale_of(design_of(name), {})
    instead = f"Leave it out, and {known.means}" if known else "Name one that counts channels"
    return (
        f"option {MAPPING} = {told(dict(options)[MAPPING])} of family 'timm:{name}' is no width: at"
        f" {widths[0]}, {widths[1]} and {widths[2]} a network has {first:,}, {middle:,} and {last:,}"
        f" parameters, which grow no faster than it, as with more layers, and not as its square. {instead}."
    )


@functools.cache
def _step(name: str, options: Key) -> int:
    """What widths are multiples of: the first of `STEPS` that works on the images of `_trial`."""
    task = _trial(name, dict(options))
    scale, why = _scale(name, dict(options)), ""
    tried = sorted({*STEPS, int(dict(options).get(HEAD_SIZE, 1))})
    tried += [scale.own] if scale.own and scale.own > tried[-1] else []
    for step in tried:
        why = _why_not(name, options, step, task)
        if not why and not _why_not(name, options, 2 * step, task):
            return step
    raise PlanError(
        f"family 'timm:{name}' cannot be made at another width: at {tried[-1]}, where {scale.means}, {why}."
        f" The nearest family that works is {FALLBACK!r}."
    )


@functools.cache
def _why_not(name: str, options: Key, width: int, task: Task) -> str:
    """Why a network cannot be made and run on a task's images, tried on the meta device; "" if it can."""
    images = torch.empty(2, task.channels, task.image_size, task.image_size, device="meta")
    patch = _patch(name, dict(options))
    if patch and task.image_size % patch:
        return f"patches of {patch} pixels do not divide them, and timm would leave the rest out"
    try:
        with torch.device("meta"), torch.no_grad():
            logits = Maker(name, options, width, task)().eval()(images)
    except EnsembudgetError as error:
        return reason(error)
    except Exception:  # timm's models check what they take in many ways, or not at all
        return FAILS
    if not isinstance(logits, Tensor) or logits.shape != (2, task.classes):
        return "it gives no logits, one a class"
    return ""


def _build(name: str, width: int, task: Task, members: int, **options: OptionValue) -> nn.Module:
    key = _key(options)
    if why := _why_not(name, key, _step(name, key), task):
        raise PlanError(_unfit(name, key, task, why))
    try:
        return MemberCopies(Maker(name, key, width, task), members)
    except Exception as error:  # as above
        raise PlanError(_between(name, key, width, error)) from error


def _between(name: str, options: Key, width: int, error: Exception) -> str:
    step = _step(name, options)
    below = width // step * step
    near = f"Nearest are {below:,} and {below + step:,}" if below else f"The nearest is {step:,}"
    why = str(error) if isinstance(error, EnsembudgetError) else FAILS
    return (
        f"width {width:,} of family 'timm:{name}', where {_scale(name, dict(options)).means}, cannot be:"
        f" {why}. Its widths are multiples of {step}. {near}."
    )


def _unfit(name: str, options: Key, task: Task, why: str) -> str:
    """Why a model cannot take a task's images, and what would help: smaller patches, or larger images."""
    size = task.image_size
    remedies = [*_smaller_patches(name, options, task), *_larger_images(name, options, task)]
    either = " or ".join(remedies or [f"image_size = {design_of(name).image_size}"])
    return f"family 'timm:{name}' cannot take images of {size}x{size} pixels: {why}. Set {either}."


def _smaller_patches(name: str, options: Key, task: Task) -> Iterator[str]:
    """The largest patches that divide the images and work, as a study writes it; nothing if none do."""
    patch, size, said = design_of(name).arguments.get("patch_size"), task.image_size, dict(options)
    if not isinstance(patch, int):
        return
    dividing = [one for one in range(size // 2, 0, -1) if size % one == 0 and size // one >= 4]
    for one in dividing[:2]:
        if not _why_not(name, _key({**said, "patch_size": one}), _step(name, options), task):
            yield f"options = {{ patch_size = {one} }} instead of {said.get('patch_size', patch)}"
            return


def _larger_images(name: str, options: Key, task: Task) -> Iterator[str]:
    """The smallest of some larger image sizes that works, as a study writes it; nothing if none does."""
    size = task.image_size
    tried = {*(-(-size // unit) * unit for unit in (8, 14, 16, 32)), 2 * size, 4 * size}
    for larger in sorted(one for one in tried if one > size):
        if not _why_not(name, options, _step(name, options), task._replace(image_size=larger)):
            yield f"image_size = {larger}"
            return
