"""Sentences to be translated, tokenized as the training sentences were, and their translations so far."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...datasets._pieces import encoded
from ...datasets._tokens import padded
from ...decoding.corpus import sentences_of
from ...decoding.search import beam_search
from ...errors import ArgumentError
from ...tasks._tokens import PADDING, START
from ._base import Batch, Page, Reader
from ._tokens import TokenInputs, rows_of, texts_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FEWEST = 2  # positions of a target that a graph takes, for torch.export fixes a dimension of 1

CALL = """\
print(ensemble.translate(["a sentence", "another"]))  # a sentence, or a list of them
answer = ensemble.predict([("a sentence", "its translation so far")])  # pairs: which token follows?
print(ensemble.class_names[answer.probabilities[0].argmax()], answer.entropy[0])"""

ABOUT = """\
- Sentences: at most {source} tokens, their translations at most {target}. `translate` tokenizes a sentence
  with `{file}`, cuts it to {source} tokens, and searches for a translation.
- Tokens: {vocabulary:,}, in the order of `class_names`. `{file}` is in the format of the package
  tokenizers."""


class PairInputs(TokenInputs):
    """Sentences and their translations so far; what is predicted is the next token of the translation.

    The first `source` of `length` positions are the sentence. The translation follows, after a start token.
    """

    kind: str = "translation"

    @property
    def shortest(self) -> int:
        return self.source + FEWEST

    def reader(self, files: Mapping[str, bytes]) -> Reader:
        return PairReader(self.read_tokenizer(files), self.source, self.length - self.source)

    def page(self, class_names: Sequence[str]) -> Page:
        graph = (
            f"`tokens`, int32 (sample, position): the sentence, filled up with {self.padding} to"
            f" {self.source} positions, then token {START} and the translation so far, {FEWEST} to"
            f" {self.length - self.source} positions"
        )
        return Page(CALL, ABOUT.format(**self.facts), graph)


@dataclass(frozen=True)
class PairReader(Reader):
    """Tokenizes sentences and their translations so far, and translates.

    Attributes:
        pieces: The tokenizer of both.
        source: Tokens of a sentence.
        target: Tokens of a translation.
    """

    pieces: "Tokenizer"
    source: int
    target: int

    def batch(self, samples: Any) -> Batch:
        pairs = (
            list(samples) if isinstance(samples, Iterable) and not isinstance(samples, tuple) else [samples]
        )
        if not all(isinstance(one, tuple) and len(one) == 2 for one in pairs):
            raise ArgumentError(
                "`predict` takes a pair (sentence, translation so far), or a list of pairs, and says which"
                " token follows. For whole translations call `translate`."
            )
        begun = list(encoded(self.pieces, texts_of([so_far for _, so_far in pairs])))
        rows = [[START, *row][: self.target] for row in begun]
        ends = torch.tensor([len(row) - 1 for row in rows])
        targets = padded(rows, max(FEWEST, *map(len, rows)))
        return _asked(self._sources([sentence for sentence, _ in pairs]), torch.from_numpy(targets), ends)

    def translations(
        self, sentences: Any, answer: Callable[[Batch], NDArray[np.float32]], beam: int
    ) -> list[str]:
        sources = self._sources(sentences)

        def step(rows: Tensor, prefixes: Tensor) -> Tensor:
            count, length = prefixes.shape
            targets = torch.full((count, max(FEWEST, 1 + length)), PADDING)
            targets[:, 0] = START
            targets[:, 1 : 1 + length] = prefixes
            asked = _asked(sources[rows], targets.int(), torch.full((count,), length))
            return torch.from_numpy(answer(asked)).double().log()

        found = beam_search(step, len(sources), self.target, beam)
        return sentences_of(self.pieces.to_str(), found)

    def _sources(self, sentences: Any) -> Tensor:
        """(sentence, position), int32."""
        return torch.from_numpy(padded(rows_of(self.pieces, texts_of(sentences)), self.source))


def _asked(sources: Tensor, targets: Tensor, ends: Tensor) -> Batch:
    """A batch that asks for the token after the last of each target, whose position is its end, (sample,)."""
    return Batch(torch.cat([sources, targets], 1), torch.stack([torch.arange(len(ends)), ends], 1))


inputs = PairInputs
