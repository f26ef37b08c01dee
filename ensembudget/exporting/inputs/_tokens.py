"""What inputs of tokens share: the tokenizer beside the card, and texts as users have them."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor

from ...catalog import TASKS
from ...datasets._data import Data
from ...datasets._pieces import encoded, library
from ...datasets._tokens import LONGEST
from ...errors import ArgumentError, ExportError
from ...records import Recipe, TokenTask
from ...store.documents import sha256
from ...tasks._tokens import Tokens, size_of_positions, size_of_samples
from ._base import Inputs, Shipment, SideFile

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
KINDS = "a text, or a list of texts"


class TokenInputs(Inputs):
    """Tokens, int32 (sample, position), filled up with `padding` at the end.

    `vocabulary`, `length` and `source` are those of `TokenTask`. `tokenizer` is of the file tokenizer.json,
    which is in the format of the tokenizers package.
    """

    vocabulary: PositiveInt
    length: Annotated[PositiveInt, Field(le=2 * LONGEST)]
    source: NonNegativeInt = 0
    padding: Literal[0] = 0
    tokenizer: SideFile

    @model_validator(mode="after")
    def _of_some_target(self) -> Self:
        if self.source >= self.length:
            raise ValueError(f"source takes {self.source:,} of {self.length:,} positions and leaves none")
        return self

    @classmethod
    def shipment(cls, data: Data, recipe: Recipe, training: Tensor) -> Shipment:
        task, tokenizer = data.task, data.arrays.tokenizer
        assert isinstance(task, TokenTask)
        if not tokenizer:
            raise ExportError(
                f"dataset {data.name!r} has tokens and no tokenizer that makes them of texts, so nobody could"
                " use what is exported. Give its arrays a tokenizer, as JSON of the tokenizers package."
            )
        facts = {"vocabulary": task.vocabulary, "length": task.length, "source": task.source}
        content = tokenizer.encode()
        told = SideFile(file_bytes=len(content), sha256=sha256(content))
        inputs = cls.model_validate({"kind": task.kind, "tokenizer": told, **facts})
        return Shipment(inputs, data.class_names or token_names(tokenizer), {TOKENIZER: content})

    @property
    def name(self) -> str:
        return "tokens"

    def task(self, classes: int) -> TokenTask:
        return TokenTask(self.kind, classes, self.vocabulary, self.length, self.source)

    def feed(self, classes: int) -> Tokens:
        size = size_of_positions if TASKS[self.kind].positions else size_of_samples
        return Tokens(size(self.task(classes)))

    @property
    def files(self) -> Mapping[str, SideFile]:
        return {TOKENIZER: self.tokenizer}

    @property
    def facts(self) -> dict[str, Any]:
        """What a page says of tokens, by name."""
        return {**self.model_dump(), "file": TOKENIZER, "target": self.length - self.source}

    def read_tokenizer(self, files: Mapping[str, bytes]) -> "Tokenizer":
        """The tokenizer of the file.

        Raises:
            ValueError: It is none, or has another vocabulary.
            DatasetError: The tokenizers package is not installed.
        """
        reads = library(f"to read {TOKENIZER}, ensembudget").Tokenizer.from_buffer
        try:
            found: Tokenizer = reads(files[TOKENIZER])
        except Exception as error:  # the package raises plain exceptions
            raise ValueError(f"it is no tokenizer: {error}") from None
        numbers = sorted(found.get_vocab().values())
        if len(numbers) != self.vocabulary or numbers != list(range(len(numbers))):
            raise ValueError(
                f"it has {len(numbers):,} tokens, and {self.vocabulary:,}, numbered from 0, are expected"
            )
        return found


def token_names(tokenizer: str) -> list[str]:
    """The tokens by number, read without the tokenizers package.

    Args:
        tokenizer: As JSON, in that package's format.
    """
    numbers = json.loads(tokenizer)["model"]["vocab"]
    return sorted(numbers, key=numbers.__getitem__)


def texts_of(samples: Any) -> list[str]:
    """Texts as users have them, as a list.

    Raises:
        ArgumentError: Something else, or none; it names the first that is no text.
    """
    several = [samples] if isinstance(samples, str) else samples
    if not isinstance(several, Iterable):
        raise ArgumentError(f"texts of type {type(samples).__name__} are not read. Give {KINDS}.")
    texts = list(several)
    if not texts:
        raise ArgumentError(f"there are no texts. Give {KINDS}.")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ArgumentError(f"text {place} is of type {type(text).__name__}. Give {KINDS}.")
        if any("\ud800" <= one <= "\udfff" for one in text):
            raise ArgumentError(f"text {place} has half a character (a lone surrogate), which is no text.")
    return texts


def rows_of(pieces: "Tokenizer", texts: list[str]) -> list[list[int]]:
    """The tokens of each text.

    Raises:
        ArgumentError: A text has none.
    """
    rows = list(encoded(pieces, texts))
    if empty := [place for place, row in enumerate(rows) if not row]:
        raise ArgumentError(
            f"text {empty[0]} has no tokens, for it is empty. Leave it out: no member was trained on such."
        )
    return rows
