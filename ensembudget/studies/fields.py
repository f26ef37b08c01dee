"""Every field of a study: `python -m ensembudget.studies.fields docs` writes study.md and study.schema.json.

What a field means is said once, in the docstring below it in `records`, which ends with an example.
"""

import json
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .. import recipes
from ..catalog import TASKS
from ..files import write_whole
from ..records import (
    Arm,
    ProbeChoice,
    Recipe,
    RecipeChoice,
    Recording,
    Stepping,
    SteppingChoice,
    Study,
    Tune,
)

# The tables of a study file by their names; "" is the top of the file.
TABLES: dict[str, type[BaseModel]] = {
    "": Study,
    "recipe": RecipeChoice,
    "arms": Arm,
    "tune": Tune,
    "record": Recording,
    "probes": ProbeChoice,
    "stepping": SteppingChoice,
}

# Records that choose fields of another, which says what they mean.
CHOICES: dict[type[BaseModel], type[BaseModel]] = {RecipeChoice: Recipe, SteppingChoice: Stepping}

# Recipe fields by what they are about; those that only samples of one kind have are named by its task.
ABOUT_RECIPES = {
    "Optimiser": (
        "batch_size",
        "learning_rate",
        "effective_learning_rate",
        "weight_decay",
        "momentum",
        "beta2",
        "clip",
    ),
    "Schedule": ("epochs", "schedule", "schedule_by", "warmup_steps", "drop_epoch", "drop_factor"),
}

ABOUT = {
    "": "The top of the file. `name`, `description`, `family` and `dataset` are needed, and `budgets` or"
    " `widths`.",
    "recipe": "How members are trained. Defaults are those of the base `default`; another base has its own,"
    " for its own families and widths. `recipe_at` and the `recipe` of an arm have the same fields.",
    "arms": "One `[[arms]]` table for each way to train.",
    "tune": "Recipe fields that are chosen for each arm, train size and width. The choice is the combination"
    " with the lowest calibrated NLL on the validation samples.",
    "record": "What is recorded while members train. Gradients and training loss are means over an epoch.",
    "probes": "One `[[probes]]` table for each measurement of the loss landscape. Probes need weights: set"
    " `keep_weights = true`.",
    "stepping": "How members are stepped. What is left out is autotuned. It decides how fast members train"
    " and, by rounding alone, what they become.",
}


class Described(NamedTuple):
    """A field as a page shows it; all are text, `example` is a line of TOML."""

    name: str
    kind: str
    default: str
    meaning: str
    example: str


def fields(table: str) -> list[Described]:
    """The fields of one table of a study file, in order.

    Example:
        >>> next(one for one in fields("recipe") if one.name == "batch_size")[1:3]
        ('whole number, at least 2, at most 1,000,000', '`128`')
    """
    model = TABLES[table]
    properties = schema()["$defs"][model.__name__]["properties"] if table else schema()["properties"]
    return [
        Described(name, _kind(properties[name]), _default(model, name, field), *_said(model, name))
        for name, field in model.model_fields.items()
    ]


def places_of(name: str) -> list[str]:
    """Where a study file has a field of this name, as a message says it.

    >>> places_of("epochs"), places_of("family")
    (['below the line [recipe]'], ['at the top, before the first [table]'])
    """
    brackets = {
        "": "at the top, before the first [table]",
        "arms": "below a line [[arms]]",
        "probes": "below a line [[probes]]",
    }
    return [
        brackets.get(table, f"below the line [{table}]")
        for table, model in TABLES.items()
        if name in model.model_fields
    ]


def lines() -> list[tuple[str, str]]:
    """Every field by its full name, and what it means: what `ensembudget ls fields` prints.

    >>> lines()[0][0], lines()[-1]
    ('name', ('stepping.threads', 'Threads of each process. (whole number, at least 1)'))
    """
    return [
        (f"{table}.{one.name}" if table else one.name, f"{one.meaning} ({one.kind.replace('`', '')})")
        for table in TABLES
        for one in fields(table)
    ]


def schema() -> dict[str, Any]:
    """A JSON schema of study files, for editors that check and complete TOML."""
    found = Study.model_json_schema()
    for model in CHOICES:
        for name, one in found["$defs"][model.__name__]["properties"].items():
            meaning, example = _said(model, name)
            one["description"] = f"{meaning} Example: `{example}`"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "A study of ensembudget",
    }


def page() -> str:
    """docs/study.md, whole."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Study files: every field"
    yield ""
    yield "A study is one TOML file. This page is generated from the records that read it; so is"
    yield "[`study.schema.json`](study.schema.json), which lets an editor check and complete a study: begin"
    yield "the file with `#:schema` and the path or address of that file. `ensembudget ls fields` prints the"
    yield "same list. A preset is a good start (`ensembudget ls studies`), such as"
    yield "[`digits.toml`](../ensembudget/studies/digits.toml)."
    for table in TABLES:
        yield from ["", f"## `{table}`" if table else "## The study", "", ABOUT[table]]
        for heading, some in groups(table).items():
            yield from ["", f"**{heading}**"] if heading else []
            yield from ["", "| field | type | default | meaning | example |", "|---|---|---|---|---|"]
            for one in some:
                cells = (f"`{one.name}`", one.kind, one.default, one.meaning, f"`{one.example}`")
                yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def groups(table: str) -> dict[str, list[Described]]:
    """The fields of a table below headings; all below "" but for the recipe's.

    Example:
        >>> list(groups("recipe"))
        ['', 'Optimiser', 'Schedule', 'Only of images', 'Other']
    """
    every = fields(table)
    if TABLES[table] is not RecipeChoice:
        return {"": every}
    of_kinds = {f"Only of {kind.samples}": kind.augmented for kind in TASKS.usable().values()}
    asked: dict[str, Collection[str]] = {"": ["base"], **ABOUT_RECIPES}
    asked |= {place: some for place, some in of_kinds.items() if some}
    placed = {name for some in asked.values() for name in some}
    asked["Other"] = [one.name for one in every if one.name not in placed]
    return {place: [one for one in every if one.name in some] for place, some in asked.items()}


def _said(model: type[BaseModel], name: str) -> tuple[str, str]:
    """What a field means, and a line of TOML that sets it."""
    described = CHOICES.get(model, model)
    field = described.model_fields.get(name) or model.model_fields[name]
    words = " ".join((field.description or "").split())
    meaning, _, example = words.partition(" Example: ")
    return meaning, example.strip("`")


def _default(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """What a field is where it is left out."""
    if field.is_required():
        return "needed"
    value = field.get_default()
    if model is RecipeChoice and name != "base":
        of_default = recipes.resolve("default", {}, family="", dataset="", width=1).recipe
        value = getattr(of_default, name)
    if isinstance(value, BaseModel):
        value = {}
    if value is None or value == "":
        return "none"
    return "empty" if value in ([], {}) else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _kind(one: dict[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if some := one.get("anyOf") or one.get("oneOf"):
        kinds = list(dict.fromkeys(_kind(each) for each in some if each.get("type") != "null"))
        comma = "," if len(kinds) > 2 or any("," in kind for kind in kinds) else ""
        return f"{comma} or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    if "enum" in one:
        return ", ".join(f"`{json.dumps(value)}`" for value in one["enum"])
    if "$ref" in one:
        return "table"
    if one["type"] == "array":
        return f"list of {_several(_kind(one['items']))}"
    if one["type"] == "object":
        return f"table of {_several(_kind(one['additionalProperties']))}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return "".join([words[one["type"]], *_bounds(one)])


def _several(kind: str) -> str:
    """The plural of a kind.

    >>> _several("text, or whole number, at least 1")
    'texts, or whole numbers, at least 1'
    """
    return re.sub(r"\b(text|number|table|list)\b", r"\1s", kind)


def _bounds(one: dict[str, Any]) -> Iterator[str]:
    """The smallest and the largest number, as the words go on."""
    whole = one["type"] == "integer"
    if (above := one.get("exclusiveMinimum")) is not None:
        yield f", at least {above + 1}" if whole else f", above {above:g}"
    for key, words in (("minimum", "at least"), ("exclusiveMaximum", "below"), ("maximum", "at most")):
        if key in one:
            yield f", {words} {one[key]:,}"


def write(folder: Path) -> None:
    """Writes both files."""
    write_whole(folder / "study.md", page())
    write_whole(folder / "study.schema.json", json.dumps(schema(), indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
