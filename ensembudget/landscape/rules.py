"""What torch's operations do to the order of channels: one rule an operation, or a handful alike."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .axes import Axis, Factor, Ties, fixed

Label = tuple[Axis, ...]  # of a tensor: what lies along each of its dimensions


class Operation(NamedTuple):
    """One operation: its arguments as torch's schema orders them, what came out, and labels of tensors."""

    arguments: Sequence[Any]
    outputs: Sequence[Tensor]
    label: Callable[[Tensor], Label]
    ties: Ties

    def labels(self) -> list[Label]:
        return [self.label(one) for one in tree_leaves(self.arguments) if isinstance(one, Tensor)]

    def argument(self, index: int, default: Any = None) -> Any:
        return self.arguments[index] if len(self.arguments) > index else default


# Gives the labels of the outputs, or says why there are none.
Rule = Callable[[Operation], list[Label] | str]


def elementwise(seen: Operation) -> list[Label] | str:
    """All operands along an axis hold the same channels; axes of size 1 are spread."""
    shape = seen.outputs[0].shape
    label: list[Axis] = []
    for dim in range(-len(shape), 0):
        there = [axes[dim] for axes in seen.labels() if len(axes) >= -dim and axes[dim]]
        for other in there[1:]:
            seen.ties.tie(there[0], other)
        label.append(there[0] if there else fixed(shape[dim]))
    return [tuple(label)] * len(seen.outputs)


def convolution(seen: Operation) -> list[Label] | str:
    """(sample, in, ...) and a weight (out, in, ...) to (sample, out, ...)."""
    x, weight, bias = (None if t is None else seen.label(t) for t in seen.arguments[:3])
    assert x is not None
    assert weight is not None
    transposed, groups = seen.arguments[6], seen.arguments[8]
    if transposed or groups != 1:
        return "it is transposed" if transposed else f"it has {groups} groups"
    seen.ties.tie(x[1], weight[1])
    if bias:
        seen.ties.tie(weight[0], bias[0])
    _fix(seen.ties, *x[2:], *weight[2:])
    return [(x[0], weight[0], *map(fixed, seen.outputs[0].shape[2:]))]


def product(seen: Operation) -> list[Label] | str:
    """(row, inner) times (inner, column)."""
    left, right = seen.labels()
    seen.ties.tie(left[1], right[0])
    return [(left[0], right[1])]


def product_and_sum(seen: Operation) -> list[Label] | str:
    """A term, which is spread over rows, and a matrix product."""
    term, left, right = seen.labels()
    seen.ties.tie(left[1], right[0])
    label = left[0], right[1]
    for own, other in zip(reversed(term), reversed(label), strict=False):
        if own:
            seen.ties.tie(own, other)
    return [label]


def batch_norm(seen: Operation) -> list[Label] | str:
    """(sample, channel, ...), and weight, bias, mean and variance of each channel."""
    x, *others = seen.labels()
    for (own,) in others:
        seen.ties.tie(x[1], own)
    return [x, *((x[1],) for _ in seen.outputs[1:])]


def pooling(seen: Operation) -> list[Label] | str:
    """(..., row, column), each channel by itself; positions of maxima are pooled alike."""
    *kept, rows, columns = seen.labels()[0]
    _fix(seen.ties, rows, columns)
    return [(*kept, *map(fixed, out.shape[-2:])) for out in seen.outputs]


def reduction(seen: Operation) -> list[Label] | str:
    """Over any dimensions: what it gives does not depend on their order."""
    (x,), (out,) = seen.labels(), seen.outputs
    dims = seen.argument(1) or range(len(x))
    gone = {dim % len(x) for dim in dims}
    if out.ndim == len(x):
        return [tuple(() if dim in gone else axis for dim, axis in enumerate(x))]
    return [tuple(axis for dim, axis in enumerate(x) if dim not in gone)]


def reshaping(seen: Operation) -> list[Label] | str:
    """The same numbers in the same order: factors of axes are dealt out anew."""
    (x,), (out,) = seen.labels(), seen.outputs
    factors = list(seen.ties.resolve(tuple(factor for axis in x for factor in axis)))
    label: list[Axis] = []
    for size in out.shape:
        axis: list[Factor] = []
        while (wanted := size // math.prod(factor.size for factor in axis)) > 1:
            factor = factors.pop(0)
            if factor.key is None and factor.size % wanted == 0:
                factors[:0] = fixed(factor.size // wanted)
                factor = Factor(wanted)
            if wanted % factor.size:
                return f"it makes {(*out.shape,)} of {(*seen.arguments[0].shape,)}, which cuts channels apart"
            axis.append(factor)
        label.append(tuple(axis))
    return [tuple(label)]


def spreading(seen: Operation) -> list[Label] | str:
    """Axes of size 1 are repeated, and new ones come first."""
    (x,), (out,) = seen.labels(), seen.outputs
    padded = ((),) * (out.ndim - len(x)) + x
    return [tuple(axis or fixed(size) for axis, size in zip(padded, out.shape, strict=True))]


def transposition(seen: Operation) -> list[Label] | str:
    """Dimensions in another order."""
    (x,) = seen.labels()
    order = list(range(len(x)))
    if len(seen.arguments) == 1:
        order.reverse()
    elif len(seen.arguments) == 3:
        one, other = seen.arguments[1:]
        order[one], order[other] = order[other], order[one]
    else:
        order = [order[dim] for dim in seen.arguments[1]]
    return [tuple(x[dim] for dim in order)]


def cutting(seen: Operation) -> list[Label] | str:
    """Some positions along one dimension, or one of them; not some channels."""
    (x,), (out,) = seen.labels(), seen.outputs
    dim = seen.argument(1, 0) % len(x)
    if out.ndim == len(x) and out.shape == seen.arguments[0].shape:
        return [x]
    if seen.ties.free(x[dim]):
        return "it takes some channels and leaves others"
    return [(*x[:dim], *([fixed(out.shape[dim])] if out.ndim == len(x) else []), *x[dim + 1 :])]


def _fix(ties: Ties, *axes: Axis) -> None:
    for axis in axes:
        ties.tie(axis, fixed(math.prod(factor.size for factor in axis)))


_ATEN = torch.ops.aten
RULES: dict[Any, Rule] = {
    operation: rule
    for rule, operations in {
        convolution: [_ATEN.convolution],
        product: [_ATEN.mm],
        product_and_sum: [_ATEN.addmm],
        batch_norm: [_ATEN.native_batch_norm],
        pooling: [
            _ATEN.max_pool2d_with_indices, _ATEN.adaptive_max_pool2d,
            _ATEN.avg_pool2d, _ATEN._adaptive_avg_pool2d,
        ],
        reduction: [_ATEN.mean, _ATEN.sum, _ATEN.amax],
        reshaping: [_ATEN.view, _ATEN._unsafe_view, _ATEN.unsqueeze, _ATEN.squeeze],
        spreading: [_ATEN.expand],
        transposition: [_ATEN.t, _ATEN.transpose, _ATEN.permute],
        cutting: [_ATEN.slice, _ATEN.select],
        elementwise: [_ATEN.detach, _ATEN.alias, _ATEN._to_copy],
    }.items()
    for operation in operations
}  # fmt: skip


def rule_of(operation: Any) -> Rule | None:
    """The rule of an operation, or None where it is not known. What works element by element has one rule."""
    if rule := RULES.get(operation.overloadpacket):
        return rule
    drawn = torch.Tag.nondeterministic_seeded in operation.tags
    return elementwise if torch.Tag.pointwise in operation.tags and not drawn else None
