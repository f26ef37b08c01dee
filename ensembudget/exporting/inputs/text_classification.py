"""Texts, tokenized as the training texts were, cut or padded to one length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...datasets._tokens import padded
from ...rendering.render import markdown
from ._base import Batch, Page, Reader
from ._tokens import TokenInputs, rows_of, texts_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CALL = """\
answer = ensemble.predict(["a sentence", "another"])  # a text, or a list of texts
print(ensemble.class_names[answer.probabilities[0].argmax()], answer.disagreement[0], answer.entropy[0])"""

ABOUT = """\
- Texts: {length} tokens. `predict` tokenizes a text with `{file}`, cuts it to {length} tokens, and fills a
  shorter one up with token {padding}.
- Tokens: {vocabulary:,}. `{file}` is in the format of the tokenizers package.
- Classes: {classes}.
- Every text gets a class. For one that belongs to none, entropy and disagreement tend to be high: choose a
  threshold on texts of your own."""


class TextInputs(TokenInputs):
    """Texts with one class each."""

    kind: str = "text_classification"

    def reader(self, files: Mapping[str, bytes]) -> Reader:
        return TextReader(self.read_tokenizer(files), self.length)

    def page(self, class_names: Sequence[str]) -> Page:
        return Page(
            CALL,
            ABOUT.format(**self.facts, classes=", ".join(map(markdown, class_names))),
            f"`tokens`, int32 (sample, {self.length}), filled up with {self.padding}",
        )


@dataclass(frozen=True)
class TextReader(Reader):
    """Tokenizes texts and makes them of one length."""

    pieces: "Tokenizer"
    length: int

    def batch(self, samples: Any) -> Batch:
        rows = rows_of(self.pieces, texts_of(samples))
        return Batch(torch.from_numpy(padded(rows, self.length)))


inputs = TextInputs
