"""A method's options as they are given, checked and completed, and the unit that they make."""

from collections.abc import Mapping

from ..catalog import METHODS
from ..errors import PlanError, told
from ..options import check_name
from ..records import MethodOptions
from ._base import Unit

Given = Mapping[str, int | float | bool | str]


def resolve_method(method: str, given: Given) -> MethodOptions:
    """All options of a method: `given` over the defaults.

    Raises:
        UnknownPartError: No such method.
        PlanError: An option that the method does not have, or a value of the wrong type or out of range.

    Example:
        >>> resolve_method("tunnel", {"predictors": 3})
        {'predictors': 3, 'rise': 0.1}
    """
    known = METHODS[method].options
    for name, value in given.items():
        check_name(f"method {method!r}", name, known)
        default, low, high = known[name]
        whole = isinstance(default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise PlanError(
                f"option {name} = {told(value)} of method {method!r} must be"
                f" a {'whole ' if whole else ''}number."
            )
        if not low <= value <= high:
            raise PlanError(
                f"option {name} = {value:,} of method {method!r} is not from {low:,} to {high:,}."
            )
    return {
        name: type(option.default)(given.get(name, option.default))  # 1 as 1.0, where a point may be
        for name, option in known.items()
    }


def unit_of(method: str, given: Given) -> Unit:
    """What a member of a method is.

    Raises:
        UnknownPartError: No such method.
        PlanError: Options that cannot be.

    Example:
        >>> unit_of("swag", {"predictors": 8, "deviations": 2})
        Unit(predictors=8, networks=4)
    """
    return METHODS[method].unit(resolve_method(method, given))
