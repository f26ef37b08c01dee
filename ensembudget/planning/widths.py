"""From a budget to the widths that spend it."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from math import ceil, isfinite, lcm, sqrt

from ..budgets._parse import parse_budget
from ..catalog import BUDGETS, FAMILIES
from ..datasets._load import task_of
from ..errors import PlanError
from ..families._base import OptionValue
from ..families._build import describe, embedding_parameters, resolve_options
from ..methods._options import unit_of
from ..records import FLOAT32, INDEPENDENT, AnyTask, MethodOptions, Split
from .vocabulary import vocabulary_fault

WIDEST = 2**16  # wider than anyone trains; torch's own counts overflow above it

TOLERANCE = 0.05  # the fraction by which a split may exceed its budget


@lru_cache(maxsize=4096, typed=True)
def _cost(
    family: str,
    options: tuple[tuple[str, OptionValue], ...],
    task: AnyTask,
    width: int,
    kind: str,
    dtype: str,
) -> int:
    network = describe(family, width, task, options=dict(options))
    return BUDGETS[kind].measure(network, task, dtype)


def cost(
    family: str,
    width: int,
    task: AnyTask,
    kind: str = "parameters",
    *,
    options: Mapping[str, OptionValue] | None = None,
    dtype: str = FLOAT32,
    method: str = INDEPENDENT,
    method_options: MethodOptions | None = None,
) -> int:
    """What one member costs, measured on a network without memory: the one place that knows.

    A member is a unit of its method. Parameters and bytes are of all networks that are stored for it, FLOPs
    and activations of all passes that predict with it; by default it is one network.

    Args:
        family: A family's name.
        width: Its width, at least 1.
        task: Of a dataset.
        kind: `parameters`, `bytes`, `flops` (forward, per sample) or `activations` (per sample).
        options: Replace the family's defaults.
        dtype: How numbers are stored; only `bytes` depends on it.
        method: What a member is.
        method_options: Replace the method's defaults.

    Raises:
        PlanError: A width or option that cannot be.
        UnknownPartError: No such family, kind of budget or method.

    Example:
        >>> from ensembudget.records import Task
        >>> cost("vgg", 64, Task(100, 3, 32))
        15291300
        >>> snapshots = {"method": "snapshots", "method_options": {"predictors": 3}}
        >>> cost("vgg", 64, Task(100, 3, 32), **snapshots) / 15291300
        3.0
    """
    if width > WIDEST:
        raise PlanError(f"width {width:,} is above {WIDEST:,}, the widest that is counted.")
    resolved = resolve_options(family, options or {})
    one = _cost(family, tuple(sorted(resolved.items())), task, width, kind, dtype)
    times: int = getattr(unit_of(method, method_options or {}), BUDGETS[kind].paid_by)
    return times * one


def step_of(family: str, options: Mapping[str, OptionValue] | None, multiple_of: int = 1) -> int:
    """What widths must be multiples of: the user's number, and what the family needs.

    Example:
        >>> step_of("vgg", {}, 6), step_of("transformer", {"heads": 4}, 6)
        (6, 12)
    """
    return lcm(multiple_of, FAMILIES[family].multiple_of(resolve_options(family, options or {})))


def split(
    family: str,
    task: AnyTask | str,
    budget: float | str,
    members: int,
    kind: str | None = None,
    *,
    options: Mapping[str, OptionValue] | None = None,
    multiple_of: int = 1,
    dtype: str = FLOAT32,
    method: str = INDEPENDENT,
    method_options: MethodOptions | None = None,
) -> Split:
    """The width at which `members` units together come nearest to a budget.

    Args:
        family: A family's name.
        task: Of a dataset; or a dataset's name, as in a study.
        budget: What all members may cost together: a number in the unit of `kind`, or text as `15M`.
        members: The size of the ensemble, at least 1.
        kind: The kind of budget: `parameters`, `bytes`, `flops` or `activations`; None leaves it to the unit,
            and without one it is `parameters`.
        options: Replace the family's defaults, say `{"depth": 28}`.
        multiple_of: Widths are multiples of this, at least 1, and of what the family asks for.
        dtype: How numbers are stored; only `bytes` depends on it.
        method: What a member is: by default one network.
        method_options: Replace the method's defaults.

    Raises:
        PlanError: The budget cannot be read, or cannot hold so many members at the narrowest width.
        DatasetError: No such dataset.

    Example:
        >>> from ensembudget.records import Task
        >>> split("wide_resnet", Task(100, 3, 32), 36_755_940, 16, options={"depth": 28}).width
        40
        >>> split("vgg", "cifar100", "15M", 4).width, split("vgg", "cifar100", "60MB", 4).width
        (32, 32)
    """
    amount, kind = _budget(budget, kind)
    of_dataset = task_of(task) if isinstance(task, str) else task
    count = partial(
        cost, family, task=of_dataset, options=options, dtype=dtype, method=method,
        method_options=method_options,
    )  # fmt: skip
    unit = unit_of(method, method_options or {})

    def embeddings(width: int) -> int:
        return unit.networks * embedding_parameters(describe(family, width, of_dataset, options=options))

    step = step_of(family, options, multiple_of) if multiple_of > 0 else multiple_of
    found = _split(family, count, embeddings, of_dataset, amount, members, kind, step)
    return found.model_copy(update={"predictors_per_member": unit.predictors})


def _budget(budget: float | str, kind: str | None) -> tuple[int, str]:
    if isinstance(budget, str):
        return parse_budget(budget, kind)
    if not isfinite(budget):
        raise PlanError(f"budget {budget} is no number to spend.")
    return int(budget), kind or "parameters"


def _split(
    family: str,
    count: Callable[..., int],
    embeddings: Callable[[int], int],
    task: AnyTask,
    budget: int,
    members: int,
    kind: str,
    multiple_of: int,
) -> Split:
    """As `split`; `count(width=..., kind=...)` is what a member costs, `task=...` for another task."""
    for name, value in (("members", members), ("multiple_of", multiple_of), ("budget", budget)):
        if value < 1:
            raise PlanError(f"{name} {value} is below 1, the smallest possible.")

    def total(width: int) -> int:
        return members * count(width=width, kind=kind)

    narrowest = total(multiple_of)
    if narrowest > budget * (1 + TOLERANCE):
        one = narrowest // members
        fit = budget // one
        instead = f"at most {fit:,} members, or " if fit else ""
        told = vocabulary_fault(
            task,
            embeddings(multiple_of),
            budget * (1 + TOLERANCE) / members,
            lambda other: count(width=multiple_of, kind=kind, task=other),
        )
        raise PlanError(
            f"a budget of {budget:,} {BUDGETS[kind].unit} cannot hold {members:,}"
            f" member{'s' * (members > 1)} of {family!r}: at its narrowest (width {multiple_of}) each has"
            f" {one:,}, {narrowest:,} in all."
            f" Ask for {instead}a budget of at least {narrowest:,}.{told}"
        )
    width = _nearest(total, budget, multiple_of)
    parameters, size, flops, activations = (
        count(width=width, kind=each) for each in ("parameters", "bytes", "flops", "activations")
    )
    return Split(
        budget=budget,
        budget_kind=kind,
        members=members,
        width=width,
        parameters_per_member=parameters,
        parameters_total=members * parameters,
        error_percent=100 * (total(width) - budget) / budget,
        flops_per_sample=members * flops,
        bytes_total=members * size,
        activations_per_sample=members * activations,
        embeddings_per_member=embeddings(width),
    )


def _nearest(total: Callable[[int], int], budget: int, step: int) -> int:
    """The multiple of `step` at which the increasing `total` is nearest to `budget`."""
    low, high, most = 1, 2, WIDEST // step
    while total(high * step) < budget:
        if high >= most:
            raise PlanError(
                f"a budget of {budget:,} asks for a width above {WIDEST:,}, which costs"
                f" {total(most * step):,}. Ask for more members or a smaller budget."
            )
        low, high = high, min(most, max(high + 1, ceil(high * sqrt(budget / total(high * step)))))
    halve = False
    while high - low > 1:
        # Costs grow about as the square of the width, so their root is interpolated; halving in turn is for
        # costs that do not.
        roots = [sqrt(total(width * step)) for width in (low, high)]
        share = 0.5 if halve else (sqrt(budget) - roots[0]) / (roots[1] - roots[0])
        middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
        low, high = (middle, high) if total(middle * step) < budget else (low, middle)
        halve = not halve
    return min(low * step, high * step, key=lambda width: abs(total(width) - budget))
