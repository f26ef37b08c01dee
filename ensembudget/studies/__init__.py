"""Preset studies, one TOML each, and how a study is read from a preset's name or a path."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import StudyError, did_you_mean
from ..plan import check_names
from ..records import Study


def names() -> list[str]:
    """The presets, by name."""
    found = (path.name for path in files(__package__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def load(study: str | Path) -> Study:
    """A study from a preset's name or the path of a TOML file.

    Raises:
        StudyError: No such preset or file, not TOML, or faults in it, all of them at once.

    Example:
        >>> load("digits").family
        'wide_resnet'
    """
    if str(study) in names():
        text = (files(__package__) / f"{study}.toml").read_text()
    else:
        path = Path(study)
        if path.is_dir() or not path.exists():
            raise StudyError(
                f"no study {str(study)!r}: neither a preset nor a file.{did_you_mean(str(study), names())}"
                f" Presets: {', '.join(names())}."
            )
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"study {str(study)!r} cannot be read: {error}.") from None
    return parse(text, str(study))


def parse(text: str, name: str) -> Study:
    """A study from TOML text; `name` is what messages call it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study {name!r} is not TOML: {error}.") from None
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        raise StudyError(_message(name, [_sentence(e) for e in error.errors()])) from None
    if faults := check_names(study):
        raise StudyError(_message(name, faults))
    return study


def _message(name: str, faults: Sequence[str]) -> str:
    return f"study {name!r} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n" + "\n".join(
        f"  - {fault}" for fault in faults
    )


def _sentence(error: Any) -> str:
    """A fault that pydantic found, as field, value and what would do."""
    # A union's alternatives ("str", "int") follow the place itself.
    place = [str(part) for part in error["loc"] if part not in ("str", "int", "bool")]
    field = ".".join(place)
    if error["type"] == "extra_forbidden":
        known = _fields(Study, place[:-1])
        return f"{field}: no such key.{did_you_mean(place[-1], known)} Known: {', '.join(known)}."
    if error["type"] == "missing":
        return f"{field}: missing; every study has it."
    return f"{field} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}."


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        annotation = model.model_fields[part].annotation
        nested = [a for a in (annotation, *get_args(annotation)) if get_origin(a) is None]
        model = next(a for a in nested if isinstance(a, type) and issubclass(a, BaseModel))
    return list(model.model_fields)
