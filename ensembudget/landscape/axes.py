"""Which axes of a network's tensors hold the same channels: factors of axes, tied by unification."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Factor(NamedTuple):
    """A part of an axis: `size` positions in the order of channels `key`, or in an order that is fixed."""

    size: int
    key: int | None = None


# An axis of tensors, as the factors whose product it is, the slowest first; of size 1 where there is none.
Axis = tuple[Factor, ...]


def fixed(size: int) -> Axis:
    """An axis whose order nothing may change.

    >>> fixed(3), fixed(1)
    ((Factor(size=3, key=None),), ())
    """
    return (Factor(size),) if size > 1 else ()


class Ties:
    """What is known of axes so far: channels that are one, that are products of others, or that are fixed."""

    def __init__(self) -> None:
        self._bound: dict[int, Axis] = {}
        self._keys = 0

    def fresh(self, size: int) -> Axis:
        """An axis whose channels may come in any order, as far as is known."""
        self._keys += 1
        return (Factor(size, self._keys),) if size > 1 else ()

    def resolve(self, axis: Axis) -> Axis:
        """The axis by all that is known now.

        >>> ties = Ties()
        >>> flat, channels = ties.fresh(12), ties.fresh(4)
        >>> ties.tie(flat, channels + fixed(3))
        >>> ties.resolve(flat)
        (Factor(size=4, key=2), Factor(size=3, key=None))
        """
        found: list[Factor] = []
        for factor in axis:
            for part in self.resolve(self._bound[factor.key]) if factor.key in self._bound else (factor,):
                if found and part.key is found[-1].key is None:
                    part = Factor(found.pop().size * part.size)
                found.append(part)
        return tuple(found)

    def free(self, axis: Axis) -> bool:
        """Whether any channels of the axis may still change their order."""
        return any(factor.key is not None for factor in self.resolve(axis))

    def tie(self, one: Axis, other: Axis) -> None:
        """Axes of one size hold the same channels from now on; where factors do not fit, no order is free."""
        while one and other:
            # Resolved anew each time: what was just bound may come again.
            left, right = list(self.resolve(one)), list(self.resolve(other))
            if left[0].size < right[0].size:
                left, right = right, left
            factor, parts = left.pop(0), [right.pop(0)]
            if factor.key is None and factor.size % parts[0].size == 0:
                left[:0] = fixed(factor.size // parts[0].size)
                self._fix(parts)
            else:
                while right and math.prod(part.size for part in parts) < factor.size:
                    parts.append(right.pop(0))
                if factor.key is None or math.prod(part.size for part in parts) != factor.size:
                    self._fix([factor, *parts, *left, *right])
                    return
                if parts != [factor]:
                    self._bound[factor.key] = tuple(parts)
            one, other = tuple(left), tuple(right)

    def _fix(self, factors: Sequence[Factor]) -> None:
        for factor in factors:
            if factor.key is not None:
                self._bound[factor.key] = fixed(factor.size)
