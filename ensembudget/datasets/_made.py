"""Turns what a source gives (images, texts, arrays) into arrays, in the form that a study asks for."""

from ..errors import DatasetError
from ._base import Arrays, Pairs, Pictures, Running, Source, Texts, Treatment
from ._form import formed
from ._pictures import arrays_of
from ._tokens import tokens_of

OF_IMAGES, OF_TEXTS = ("image_size", "colour", "skip_corrupt"), ("vocabulary", "length")
# The fields of a treatment that apply to each kind of data.
ALLOWED = {
    "images": OF_IMAGES,
    "texts": OF_TEXTS,
    "sentence pairs": OF_TEXTS,
    "characters": ("length",),
    "tokens": (),
}


def made(found: Source, spec: str, form: Treatment) -> tuple[Arrays, tuple[str, ...]]:
    """The arrays of a dataset, and notes on them for readers of results, one sentence each.

    Args:
        found: What the dataset's `decode` gave.
        spec: What messages call the dataset.
        form: What a study asks for.

    Raises:
        DatasetError: The treatment does not apply to this kind of data, or the data cannot be used.
    """
    check_form(form, spec, _kind(found))
    if isinstance(found, Pictures):
        return arrays_of(found, spec, form)
    if isinstance(found, (Texts, Pairs, Running)):
        return tokens_of(found, spec, form)
    return (found if found.task else formed(found, form)), ()


def _kind(found: Source) -> str:
    if isinstance(found, Arrays):
        return "tokens" if found.task else "images"
    return {Pictures: "images", Texts: "texts", Pairs: "sentence pairs", Running: "characters"}[type(found)]


def check_form(form: Treatment, spec: str, kind: str) -> None:
    """Refuses a treatment that applies only to other kinds of data than `kind`, a key of `ALLOWED`.

    Raises:
        DatasetError: It names every field that does not apply, and those that do.
    """
    allowed = ALLOWED[kind]
    asked = [name for name, value in form._asdict().items() if value is not None and value is not False]
    if wrong := [name for name in asked if name not in allowed]:
        raise DatasetError(
            f"dataset {spec!r} holds {kind}, which have no {' or '.join(wrong)}. Leave it out; what can be"
            f" said of {kind}: {', '.join(allowed) or 'nothing'}."
        )
