"""What goes wrong, said once: what was asked, why it cannot be, the numbers, the nearest that can."""

import difflib
import re
from collections.abc import Iterable

LONGEST = 250  # characters of a value that a message repeats
# What a terminal or a page obeys instead of showing it: control characters but tab and line break, marks that
# turn the direction of text, separators, tags, and halves of characters, as names of files may have.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class EnsembudgetError(Exception):
    """A request that cannot be met. Its message is the whole of what a user sees."""

    exit_code = 2


class UnknownPartError(EnsembudgetError):
    """A family, dataset, mode, law or other part that does not exist."""


class PlanError(EnsembudgetError):
    """A budget, split, family or width that cannot be."""


class StudyError(EnsembudgetError):
    """A study file that says something impossible; lists every fault at once."""


class DatasetError(EnsembudgetError):
    """Images or labels that are missing, damaged or of the wrong kind."""


class ArgumentError(EnsembudgetError):
    """A number on the command line, or in a call, that cannot be."""


class ArmError(EnsembudgetError):
    """An arm that a study or a plane does not have, or that must be named and is not."""


class DeviceError(EnsembudgetError):
    """A device, or a number of workers or threads, that this machine does not have."""


class ClusterError(EnsembudgetError):
    """A cluster that was lost while it worked."""

    exit_code = 1


class SteppingError(EnsembudgetError):
    """A way to step that these members cannot take, or that does not exist."""


class StoreError(EnsembudgetError):
    """A store that is not there, or cannot be read or written."""


class ConflictError(StoreError):
    """A member that was trained twice, in one environment on a CPU, and gave other logits."""


class OutputError(EnsembudgetError):
    """A file or folder that cannot be written."""


class InputError(EnsembudgetError):
    """A file of costs, points or logits that cannot be read."""


class ScoreError(EnsembudgetError):
    """Logits or labels that cannot be scored."""


class ComparisonError(EnsembudgetError):
    """Two result sets that cannot be compared."""


class ExportError(EnsembudgetError):
    """An ensemble that cannot be exported, or an exported one that cannot be read."""


class BundleError(EnsembudgetError):
    """A folder that is no bundle, or one that cannot be read without trusting it."""


class SymmetryError(EnsembudgetError):
    """A network whose channels cannot be followed, or weights or orders that are not of its channels."""


class FitError(EnsembudgetError):
    """Points that no law can be fitted to."""


class IncompleteError(EnsembudgetError):
    """Results are asked for that are not there yet."""

    exit_code = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the closest known word, or nothing.

    >>> did_you_mean("wide_resnt", ["vgg", "wide_resnet"])
    " Did you mean 'wide_resnet'?"
    >>> did_you_mean("zzz", ["vgg"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def visible(text: str) -> str:
    r"""Text of strangers as it can be shown: what a terminal or a page would obey becomes an escape.

    >>> print(visible("\x1b[31mred \u202e and more"))
    \x1b[31mred \u202e and more
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def told(value: object) -> str:
    """A value as a message repeats it: in one line, cut in the middle where it is long.

    >>> told("40MB"), len(told("x" * 5000)) <= LONGEST
    ("'40MB'", True)
    """
    text = " ".join(repr(value).split())
    half = LONGEST // 2 - 3
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"


def reason(error: BaseException) -> str:
    """What a library says is wrong: in one line, without addresses of objects and without a full stop.

    >>> reason(ValueError("cannot read  <io.BytesIO object at 0x7f01>."))
    'cannot read io.BytesIO'
    >>> reason(FileNotFoundError(2, "No such file", "x"))
    'No such file'
    """
    said = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    text = re.sub(r"<([\w.]+)( object)? at 0x[0-9a-fA-F]+>", r"\1", " ".join(said.split()))
    return text.rstrip(".")
