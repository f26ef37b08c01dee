"""Which arm a prediction or a search is about."""

from collections.abc import Sequence

from ..errors import ArmError, did_you_mean


def chosen_arm(known: Sequence[str], arm: str | None, name: str) -> str:
    """The chosen arm, or the only one; "" if there are no arms.

    Args:
        known: Labels of the arms; [""] or empty where there are none.
        arm: What is asked for; None for the only one.
        name: What has these arms, for the message.

    Raises:
        ArmError: No such arm, or several and none named.

    Example:
        >>> chosen_arm(["sgd", "adam"], "adam", "study 'mine'"), chosen_arm(["sgd"], None, "study 'mine'")
        ('adam', 'sgd')
    """
    if arm is not None and arm not in known:
        there = f"It has {', '.join(map(repr, known))}." if any(known) else "It has no arms."
        raise ArmError(f"--arm {arm!r} is not an arm of {name}.{did_you_mean(arm, known)} {there}")
    if arm is None and len(known) > 1:
        raise ArmError(
            f"{name} has {len(known)} arms, and each has its own law. Name one with --arm:"
            f" {', '.join(map(repr, known))}."
        )
    return arm or (known[0] if known else "")
