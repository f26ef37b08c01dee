"""Published hyperparameters, one TOML file a source, and the lookup of a cell's own."""

import math
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from ..errors import StudyError, did_you_mean
from ..records import Recipe, Study

Origin = Literal["tuned", "transferred", "default"]


class Resolved(NamedTuple):
    """A cell's recipe and where its hyperparameters come from.

    `origin` is "tuned" where the source tuned this family, dataset and width, "transferred" where the
    values are those of the nearest dataset and width, and "default" where it did not tune the family.
    """

    recipe: Recipe
    origin: Origin


def names() -> list[str]:
    """The recipes that a study can name as `recipe.base`."""
    found = (path.name for path in files(__package__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def default_of(family: str) -> str:
    """The recipe of a family's studies that name none.

    >>> default_of("vgg"), default_of("transformer")
    ('default', 'transformer')
    """
    return next((name for name in names() if family in _table(name).get("default_for", ())), "default")


def mode_of(name: str) -> str:
    """The mode of studies that start from a recipe and state none.

    >>> mode_of("transformer"), mode_of("default"), mode_of("no such recipe")
    ('adamw', 'bn_wd', 'bn_wd')
    """
    usual: str = Study.model_fields["mode"].default
    return str(_table(name).get("mode", usual)) if name in names() else usual


def source(name: str) -> str:
    """Where a recipe's numbers come from."""
    return str(_table(name)["source"])


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text())


def resolve(base: str, overrides: Mapping[str, Any], *, family: str, dataset: str, width: int) -> Resolved:
    """The recipe of one cell: the source's defaults, its row for this cell, then the overrides.

    Raises:
        StudyError: No recipe of that name, or fields that contradict each other.

    Example:
        >>> found = resolve("lobacheva2020", {}, family="vgg", dataset="cifar100", width=64)
        >>> found.origin, found.recipe.dropout, found.recipe.learning_rate
        ('tuned', 0.5, 0.05)
    """
    if base not in names():
        raise StudyError(
            f"recipe.base: no recipe {base!r}.{did_you_mean(base, names())} Known: {', '.join(names())}."
        )
    table = _table(base)
    row, origin = _nearest_row(table.get("tuned", []), family, dataset, width)
    fields = table["defaults"] | table.get("family", {}).get(family, {}) | row | dict(overrides)
    try:
        return Resolved(Recipe.model_validate(fields), origin)
    except ValidationError as error:
        raise StudyError("; ".join(_sentence(fault) for fault in error.errors())) from None


def _sentence(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    place = ".".join(map(str, fault["loc"]))
    return f"{place} = {fault['input']!r}: {message[0].lower()}{message[1:]}." if place else message


def _nearest_row(
    rows: list[dict[str, Any]], family: str, dataset: str, width: int
) -> tuple[dict[str, Any], Origin]:
    """The tuned row nearest in dataset, then in log width; a row without widths is for all widths."""

    def distance(row: dict[str, Any]) -> tuple[bool, float]:
        return row["dataset"] != dataset, min(
            (abs(math.log(width / w)) for w in row.get("widths", [])), default=0.0
        )

    rows = [row for row in rows if row["family"] == family]
    if not rows:
        return {}, "default"
    best = min(rows, key=distance)
    values = {k: v for k, v in best.items() if k not in ("family", "dataset", "widths")}
    return values, "tuned" if distance(best) == (False, 0.0) else "transferred"
