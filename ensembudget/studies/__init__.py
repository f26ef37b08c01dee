"""Preset studies, one TOML file each; reads a study by a preset's name or from a path."""

import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import StudyError, did_you_mean
from ..records import Study

UNIONS = ("str", "int", "bool", "float", "list")  # alternatives of a field, which pydantic puts into places


def names() -> list[str]:
    """The names of the presets."""
    found = (path.name for path in files(__package__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def description(name: str) -> str:
    """What a preset says it is about, read without checking it."""
    return str(tomllib.loads((files(__package__) / f"{name}.toml").read_text())["description"])


def load_study(study: str | Path) -> Study:
    """Reads a study by a preset's name or from the path of a TOML file.

    Raises:
        StudyError: No such preset or file, not TOML, or a study with faults; all of them at once.

    Example:
        >>> load_study("digits").family
        'wide_resnet'
    """
    if str(study) in names():
        text = (files(__package__) / f"{study}.toml").read_text()
    else:
        try:
            text = Path(study).read_text()
        except (FileNotFoundError, IsADirectoryError):
            raise StudyError(
                f"no study {str(study)!r}: neither a preset nor a file.{did_you_mean(str(study), names())}"
                f" Presets: {', '.join(names())}."
            ) from None
        except (OSError, ValueError) as error:
            raise StudyError(f"study {str(study)!r} cannot be read: {error}.") from None
    return parse(text, str(study))


def parse(text: str, name: str) -> Study:
    """Reads a study from TOML text; messages call it `name`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study {name!r} is not TOML: {error}.") from None
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        faults = [*_sentences(error.errors()), *_faults_of_the_rest(document, error)]
        raise StudyError(_message(name, faults)) from None
    from ..planning.check import study_faults  # builds networks: whoever lists studies does not need torch

    if unknown := [*_too_large(document), *study_faults(study)]:
        raise StudyError(_message(name, unknown))
    return study


def _faults_of_the_rest(document: dict[str, Any], error: ValidationError) -> Sequence[str]:
    """Faults of the well-formed fields, so that all faults are reported at once."""
    from ..planning.check import study_faults

    wrong = {str(fault["loc"][0]) for fault in error.errors()}
    if "family" in wrong:
        wrong.add("options")  # they cannot be checked without the family
    sound = {k: v for k, v in document.items() if k in Study.model_fields and k not in wrong}
    stand_ins = {"name": "x", "description": "", "family": "vgg", "dataset": "digits", "budgets": [],
                 "members": [1]}  # fmt: skip
    # Whether mode, network and recipe go together can be checked only where none is a stand-in.
    combined = not wrong & {"family", "options", "mode", "recipe", "arms", "sweep", "record"}
    return study_faults(Study.model_validate(stand_ins | sound), combined=combined)


def _too_large(value: Any, place: str = "") -> Iterator[str]:
    """Whole numbers anywhere in the document that JSON does not hold exactly."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _too_large(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _too_large(inner, place)
    elif isinstance(value, int) and abs(value) >= 2**53:
        yield f"{place} = {value}: above 2^53, the largest that is counted to. Ask for less."


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
    first, field = errors[0], ".".join(place)
    if first["type"] == "extra_forbidden":
        known = _fields(Study, place[:-1])
        return f"{field}: no such key.{did_you_mean(place[-1], known)} Known: {', '.join(known)}."
    if first["type"] == "missing":
        return f"{field}: missing; every study needs it."
    reasons = " or ".join(dict.fromkeys(e["msg"][0].lower() + e["msg"][1:] for e in errors))
    return f"{field} = {first['input']!r}: {reasons}."


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        if part.isdigit():  # a place in a list
            continue
        annotation = model.model_fields[part].annotation
        nested = [a for a in (annotation, *get_args(annotation)) if get_origin(a) is None]
        model = next(a for a in nested if isinstance(a, type) and issubclass(a, BaseModel))
    return list(model.model_fields)
