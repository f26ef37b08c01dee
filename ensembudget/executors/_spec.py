"""Reads `--executor ray:address=10.0.0.7:6379,gpus=0.25`: an executor with options of its own."""

from dataclasses import replace
from functools import partial

from ..catalog import EXECUTORS
from ..errors import ArgumentError, told
from ..options import check_name
from ._base import Executor, OptionValue

WORDS = {"yes": True, "no": False}


def executor_of(spec: str) -> Executor:
    """The executor that a name with options means: `NAME` or `NAME:OPTION=VALUE,...`.

    Args:
        spec: Options that are not named have the executor's defaults.

    Raises:
        UnknownPartError: No such executor.
        PlanError: It has no such option.
        ArgumentError: A value of the wrong type, an option twice, or what is no option.

    Example:
        >>> executor_of("processes").here
        True
        >>> executor_of("serial:workers=2")
        Traceback (most recent call last):
        ensembudget.errors.PlanError: executor 'serial' has no option 'workers'. Known: none.
    """
    name, _, given = spec.partition(":")
    part, options = EXECUTORS[name], dict[str, OptionValue]()
    for pair in filter(None, given.split(",")):
        option, equals, text = pair.partition("=")
        if not equals or option in options:
            raise ArgumentError(
                f"executor {told(spec)} cannot be read at {told(pair)}. Write each option once, as in"
                " NAME:OPTION=VALUE,OPTION=VALUE."
            )
        check_name(f"executor {name!r}", option, part.options)
        options[option] = _value(spec, option, text, part.options[option])
    options = {**part.options, **options}
    if not options:
        return part
    return replace(part, execute=partial(part.execute, **options), places=partial(part.places, **options))


def _value(spec: str, option: str, text: str, default: OptionValue) -> OptionValue:
    """A value of the type of its default."""
    try:
        return WORDS[text] if isinstance(default, bool) else type(default)(text)
    except (KeyError, ValueError):
        kind = {bool: "yes or no", int: "a whole number", float: "a number"}[type(default)]
        raise ArgumentError(
            f"option {option} = {told(text)} of executor {told(spec)} must be {kind}; the default is"
            f" {default}."
        ) from None
