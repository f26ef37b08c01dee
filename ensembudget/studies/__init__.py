"""Preset studies, one TOML file each; reads a study by a preset's name or from a path."""

import contextlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .. import recipes
from ..errors import PlanError, StudyError, did_you_mean, reason, told
from ..files import read_regular
from ..records import Study
from ..records.study import ARM_NAME, STUDY_NAME

PATTERNS = {
    STUDY_NAME: "it must begin with a letter or digit and hold only letters, digits and _ . -",
    ARM_NAME: "it must begin with a letter and hold only letters, digits, spaces and _ . = , -",
}
# Alternatives of a field, which pydantic puts into places.
UNIONS = ("str", "int", "bool", "float", "one", "list")


def names() -> list[str]:
    """The names of the presets."""
    found = (path.name for path in files(__package__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def description(name: str) -> str:
    """What a preset says it is about, read without checking it."""
    return str(tomllib.loads((files(__package__) / f"{name}.toml").read_text())["description"])


def load_study(study: str | Path, *, checked: bool = True) -> Study:
    """Reads a study by a preset's name or from the path of a TOML file.

    A relative folder in `dataset` is relative to that file; in the study returned it is relative to the
    current folder, or absolute.

    Args:
        study: The preset or the file.
        checked: Whether faults are looked for that building its networks shows, which imports torch. Not
            needed of a study that was planned.

    Raises:
        StudyError: No such preset or file, not TOML, or a study with faults; all of them at once.

    Example:
        >>> load_study("digits").family
        'wide_resnet'
    """
    if str(study) in names():
        return parse((files(__package__) / f"{study}.toml").read_text(), str(study), checked)
    try:
        text = read_regular(study).decode()
    except (FileNotFoundError, IsADirectoryError):
        near = did_you_mean(str(study), names())
        raise StudyError(
            f"no study {str(study)!r}: neither a preset nor a file.{near}"
            " `ensembudget ls studies` lists the presets."
        ) from None
    except (OSError, ValueError) as error:
        raise StudyError(f"study {told(str(study))} cannot be read: {reason(error)}.") from None
    return parse(text, str(study), checked).placed(Path(study).parent)


def parse(text: str, name: str, checked: bool = True) -> Study:
    """Reads a study from TOML text; messages call it `name`, and `checked` is as for `load_study`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study {name!r} is not TOML: {error}.") from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise StudyError(
            f"study {told(name)} has a number with thousands of digits, which cannot be read."
        ) from None
    except RecursionError:
        raise StudyError(
            f"study {name!r} has lists or tables inside each other, hundreds of levels deep. No field of a"
            " study has more than three."
        ) from None
    try:
        document = _with_modes(_with_budget_kind(document))
        study = Study.model_validate(document)
    except ValidationError as error:
        faults = [*_sentences(error.errors()), *_faults_of_the_rest(document, error)]
        raise StudyError(_message(name, faults)) from None
    if not checked:
        return study
    from ..planning.check import study_faults  # builds networks: whoever lists studies does not need torch

    if faults := [*_too_large(document)] or [*_of_flags(document), *study_faults(study)]:
        raise StudyError(_message(name, faults))
    return study


def _with_budget_kind(document: dict[str, Any]) -> dict[str, Any]:
    """A study that states no kind of budget has the one that all its budgets' units tell."""
    from ..budgets._parse import has_unit, parse_budget

    budgets = document.get("budgets")
    if "budget_kind" in document or not isinstance(budgets, list) or not any(map(has_unit, budgets)):
        return document  # numbers alone are of the kind that is the default
    kinds = set()
    for budget in budgets:
        with contextlib.suppress(PlanError):  # told with the other faults
            kinds.add(parse_budget(budget)[1])
    return document | {"budget_kind": kinds.pop()} if len(kinds) == 1 else document


def _with_modes(document: dict[str, Any]) -> dict[str, Any]:
    """A study that states no mode has that of its base recipe; so has an arm with a base of its own."""
    if "mode" in document:
        return document
    mode = recipes.mode_of(_base(document) or recipes.default_of(str(document.get("family"))))
    changed = document if mode == Study.model_fields["mode"].default else document | {"mode": mode}
    if isinstance(arms := document.get("arms"), list):
        changed = changed | {"arms": [_arm_with_mode(arm, mode) for arm in arms]}
    return changed


def _arm_with_mode(arm: Any, mode: str) -> Any:
    """An arm as the file has it, with the mode of its base where that is not the study's."""
    own = recipes.mode_of(base) if (base := _base(arm)) else mode
    return arm if own == mode else {"mode": own, **arm}


def _base(table: Any) -> str:
    """What a study or an arm names as `recipe.base`, "" where it names none."""
    recipe = table.get("recipe") if isinstance(table, dict) else None
    return str(recipe.get("base", "")) if isinstance(recipe, dict) else ""


def _faults_of_the_rest(document: dict[str, Any], error: ValidationError) -> Sequence[str]:
    """Faults of the well-formed fields, so that all faults are reported at once."""
    from ..planning.check import study_faults

    wrong = {str(fault["loc"][0]) for fault in error.errors()}
    if "family" in wrong:
        wrong.add("options")  # they cannot be checked without the family
    if large := [*_too_large(document)]:
        return large
    sound = {k: v for k, v in document.items() if k in Study.model_fields and k not in wrong}
    stand_ins = {"name": "x", "description": "", "family": "vgg", "dataset": "digits", "budgets": [],
                 "members": [1]}  # fmt: skip
    # Whether mode, network and recipe go together can be checked only where none is a stand-in.
    combined = not wrong & {"family", "options", "mode", "recipe", "arms", "sweep", "record"}
    return [*_of_flags(document), *study_faults(Study.model_validate(stand_ins | sound), combined=combined)]


def _of_flags(document: dict[str, Any]) -> Iterator[str]:
    """Why a file cannot say what only flags may: that a study was cut short for a first look."""
    if "first_look" in document:
        yield (
            f"first_look = {told(document['first_look'])}: no study file can say that, for --epochs,"
            " --train-size and --limit write it where they cut a study short. Leave it out, and give those"
            " flags to `run` and `report`."
        )


def _too_large(value: Any, place: str = "") -> Iterator[str]:
    """Whole numbers anywhere in the document that JSON does not hold exactly."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _too_large(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _too_large(inner, place)
    elif isinstance(value, int) and abs(value) >= 2**53:
        yield f"{place} = {value}: above 2^53, the largest number allowed."


def _message(name: str, faults: Sequence[str]) -> str:
    return f"study {name!r} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n" + "\n".join(
        f"  - {fault}" for fault in faults
    )


def _sentences(errors: Sequence[Any]) -> list[str]:
    """The faults that pydantic found, one sentence a field: its value, and what it should be."""
    places: dict[tuple[str, ...], list[Any]] = {}
    for error in errors:
        # A union's alternatives ("str", "int") follow the place itself: they are one fault.
        place = tuple(str(part) for part in error["loc"] if part not in UNIONS)
        places.setdefault(place, []).append(error)
    return [_sentence(place, found) for place, found in places.items()]


def _sentence(place: tuple[str, ...], errors: list[Any]) -> str:
    first, field = errors[0], ".".join(map(_word, place))
    if first["type"] == "extra_forbidden":
        return _unknown(field, place)
    if first["type"] == "missing":
        return f"{field}: missing; every study needs it."
    reasons = " or ".join(dict.fromkeys(map(_needed, errors)))
    return f"{field} = {told(first['input'])}: {reasons}."


def _word(part: str) -> str:
    """A key as a message repeats it: quoted, and cut, where it is none that a study has."""
    return part if re.fullmatch(r"[\w-]{1,64}", part) else told(part)


def _needed(error: Any) -> str:
    """What a value should be. Patterns are told in words."""
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS.get(error["ctx"]["pattern"], "it has characters that cannot be there")
    return str(error["msg"][0].lower() + error["msg"][1:])


def _unknown(field: str, place: tuple[str, ...]) -> str:
    """What is said of a key that does not exist: where it belongs, or which one is near."""
    from .fields import places_of

    name, known = place[-1], _fields(Study, place[:-1])
    others = places_of(name)
    where = f" here; {name} belongs {' or '.join(others)}" if others else ""
    return (
        f"{field}: no such key{where}.{did_you_mean(name, known)} Known: {', '.join(known)}."
        " docs/study.md and `ensembudget ls fields` say what each means."
    )


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        if part not in model.model_fields:  # a place in a list, or a key of `recipe_at`
            continue
        annotation = model.model_fields[part].annotation
        nested = [a for a in (annotation, *get_args(annotation)) if get_origin(a) is None]
        model = next(a for a in nested if isinstance(a, type) and issubclass(a, BaseModel))
    return list(model.model_fields)
