"""Which ensemble sizes of a pool a law is fitted to."""

from collections.abc import Iterable

SPACING = 1.4  # from one size to the next: sizes in between say nothing new


def spaced(sizes: Iterable[int]) -> list[int]:
    """The sizes that say something new: at least `SPACING` apart, powers of two before others.

    Example:
        >>> spaced(range(1, 17)), spaced([1, 2, 3]), spaced([1, 3, 5, 6])
        ([1, 2, 4, 8, 16], [1, 2, 3], [1, 3, 5])
    """
    some = sorted(sizes)
    found: list[int] = []
    for size in sorted(some, key=lambda size: (size != some[0], size & (size - 1) != 0, size)):
        if all(max(size, other) >= SPACING * min(size, other) for other in found):
            found.append(size)
    return sorted(found) if len(found) > 1 else sorted({some[0], some[-1]})
