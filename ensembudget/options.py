"""Options of a part as they are given: whether it has them, and whether they may have these values."""

from collections.abc import Iterable, Mapping

from .errors import PlanError, did_you_mean, told


def check_name(part: str, name: str, known: Iterable[str]) -> None:
    """Refuses an option that a part does not have.

    Args:
        part: What a message calls it, as "family 'vgg'".
        name: Of the option.
        known: Names of those that it has.

    Raises:
        PlanError: It is none of them.

    Example:
        >>> check_name("family 'vgg'", "deph", ["depth"])
        Traceback (most recent call last):
        ensembudget.errors.PlanError: family 'vgg' has no option 'deph'. Did you mean 'depth'? Known: depth.
    """
    names = list(known)
    if name not in names:
        near = did_you_mean(name, names)
        raise PlanError(f"{part} has no option {told(name)}.{near} Known: {', '.join(names) or 'none'}.")


def check_value(
    part: str,
    name: str,
    value: object,
    default: object,
    choices: Mapping[str, tuple[str, ...]],
) -> None:
    """Refuses a value that is none of an option's choices, or of another type than its default.

    Args:
        part: What a message calls it.
        name: Of an option that it has.
        value: As it is given.
        default: Of the option.
        choices: The values that text options may take, by name.

    Raises:
        PlanError: It cannot be this.
    """
    if name in choices:
        if value not in choices[name]:
            near = did_you_mean(str(value), choices[name])
            raise PlanError(
                f"option {name} = {told(value)} of {part} is not one of {', '.join(choices[name])}.{near}"
            )
    elif type(value) is not type(default):
        raise PlanError(f"option {name} = {told(value)} of {part} must be of type {type(default).__name__}.")
