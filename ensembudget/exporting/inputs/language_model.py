"""Beginnings of texts, tokenized as the training text was; the token that follows is predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...datasets._tokens import padded
from ._base import Batch, Page, Reader
from ._tokens import TokenInputs, rows_of, texts_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CALL = """\
answer = ensemble.predict(["the beginning of a text"])  # a text, or a list of texts: which token follows?
print(ensemble.class_names[answer.probabilities[0].argmax()], answer.entropy[0])"""

ABOUT = """\
- Texts: at most {length} tokens. `predict` tokenizes a text with `{file}`, keeps its last {length} tokens,
  and gives the probabilities of the token after them.
- Tokens: {vocabulary:,}, in the order of `class_names`. `{file}` is in the format of the package
  tokenizers."""


class BlockInputs(TokenInputs):
    """Blocks of running text; what is predicted at each position is the next token."""

    kind: str = "language_model"

    @property
    def shortest(self) -> int:
        return 1

    def reader(self, files: Mapping[str, bytes]) -> Reader:
        return BlockReader(self.read_tokenizer(files), self.length)

    def page(self, class_names: Sequence[str]) -> Page:
        graph = f"`tokens`, int32 (sample, position), 1 to {self.length} positions"
        return Page(CALL, ABOUT.format(**self.facts), graph)


@dataclass(frozen=True)
class BlockReader(Reader):
    """Tokenizes texts, keeps the end of each, and asks for what follows."""

    pieces: "Tokenizer"
    length: int

    def batch(self, samples: Any) -> Batch:
        rows = [row[-self.length :] for row in rows_of(self.pieces, texts_of(samples))]
        ends = [len(row) - 1 for row in rows]
        places = torch.stack([torch.arange(len(rows)), torch.tensor(ends)], 1)
        return Batch(torch.from_numpy(padded(rows, max(map(len, rows)))), places)


inputs = BlockInputs
