"""The Transformer: model width k, a fixed number of heads, feed-forward 4k, pre-norm, ReLU.

The number of `heads` is fixed: as the width grows each head grows, so widths are multiples of the number of
heads. `layers` is the depth of each stack. A text classifier is an encoder, whose outputs are averaged over
the unpadded positions before a linear head. A language model is a causal decoder. A translator is an encoder
and a causal decoder with cross-attention, and source and target share one vocabulary.

Networks that predict tokens tie the output layer to the embedding: one matrix, counted once, and no output
bias. Positional encodings are sinusoids, which cost no parameters and set no limit on the length. A final
layer norm follows each stack. Dropout acts on embeddings and on the output of every attention and
feed-forward block, but not on attention weights.

For V tokens and L layers, a language model has V k + L (12 k^2 + 13 k) + 2 k parameters, a text classifier of
C classes has C (k + 1) more, and a translator has V k + L (28 k^2 + 32 k) + 4 k.

Samples are padded at the end with token 0, and padding is never attended to. Texts and sources have a padding
mask on the keys. Language models and targets need none: the causal mask hides the padding that follows. A
text of padding alone is attended to whole, so that no output is NaN, and its head receives zeros.

Source: Vaswani et al. 2017, arXiv:1706.03762; pre-norm as in Xiong et al. 2020, arXiv:2002.04745.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..records import TokenTask
from ..tasks._tokens import PADDING
from ._attention import Embedding, Projection, Stack, TiedOutput
from ._base import Family, OptionValue


def by_member(tokens: Tensor, members: int) -> Tensor:
    """(sample, members x position) to (member, sample, position)."""
    apart: Tensor = tokens.unflatten(1, (members, -1)).transpose(0, 1)
    return apart


def attended(tokens: Tensor) -> Tensor:
    """The padding mask: True at tokens other than padding, and at all of a sample of padding alone."""
    real = tokens != PADDING
    return real | ~real.any(-1, keepdim=True)


class Classifier(nn.Module):
    """Classifies texts: (sample, members x position) to logits (sample, members x class)."""

    def __init__(self, width: int, task: TokenTask, members: int, layers: int, heads: int) -> None:
        super().__init__()
        self.members = members
        self.embedding = Embedding(task.vocabulary, width, members=members)
        self.encoder = Stack(width, heads, layers, members=members)
        self.head = Projection(width, task.classes, members=members)

    def forward_features(self, x: Tensor) -> Tensor:
        """Mean features over unpadded positions, (member, sample, channel)."""
        tokens = by_member(x, self.members)
        real = (tokens != PADDING)[..., None]
        encoded = self.encoder(self.embedding(tokens), attended(tokens))
        means: Tensor = torch.where(real, encoded, 0).sum(2) / real.sum(2).clamp_min(1)
        return means

    def forward_head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x).transpose(0, 1).flatten(1)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class LanguageModel(nn.Module):
    """Predicts next tokens: (sample, members x position) to logits (sample, members x position, token)."""

    def __init__(self, width: int, task: TokenTask, members: int, layers: int, heads: int) -> None:
        super().__init__()
        self.members = members
        self.embedding = Embedding(task.vocabulary, width, members=members)
        self.decoder = Stack(width, heads, layers, members=members)
        self.output = TiedOutput()

    def forward_features(self, x: Tensor) -> Tensor:
        """(member, sample, position, channel)."""
        features: Tensor = self.decoder(self.embedding(by_member(x, self.members)), None, causal=True)
        return features

    def forward_head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(x, self.embedding.weight).transpose(0, 1).flatten(1, 2)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class Translator(nn.Module):
    """Predicts target tokens by teacher forcing.

    (sample, members x position), source and then target, to logits (sample, members x target position,
    token).
    """

    def __init__(self, width: int, task: TokenTask, members: int, layers: int, heads: int) -> None:
        super().__init__()
        self.members, self.source = members, task.source
        self.embedding = Embedding(task.vocabulary, width, members=members)
        self.encoder = Stack(width, heads, layers, members=members)
        self.decoder = Stack(width, heads, layers, members=members, cross=True)
        self.output = TiedOutput()

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes sources, (member, sample, position), to (..., channel); also gives their padding mask."""
        seen = attended(source)
        return self.encoder(self.embedding(source), seen), seen

    def decode(self, target: Tensor, encoded: Tensor, seen: Tensor) -> Tensor:
        """Features of target positions, each from those up to it, (member, sample, position, channel)."""
        features: Tensor = self.decoder(self.embedding(target), seen, causal=True, source=encoded)
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        """(member, sample, target position, channel)."""
        source, target = by_member(x, self.members).tensor_split([self.source], -1)
        return self.decode(target, *self.encode(source))

    def forward_head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(x, self.embedding.weight).transpose(0, 1).flatten(1, 2)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


NETWORKS = {"text_classification": Classifier, "language_model": LanguageModel, "translation": Translator}


def build(width: int, task: TokenTask, members: int, layers: int, heads: int) -> nn.Module:
    """The network for a task.

    Raises:
        PlanError: The task predicts tokens, and its classes are not its vocabulary.
    """
    if task.kind != "text_classification" and task.classes != task.vocabulary:
        raise PlanError(
            f"{task.classes:,} classes of {task.kind} are not its vocabulary of {task.vocabulary:,} tokens."
            " Family 'transformer' predicts the tokens that it reads: let both be the vocabulary."
        )
    return NETWORKS[task.kind](width, task, members, layers, heads)


def _fault(options: Mapping[str, OptionValue]) -> str | None:
    for name in ("layers", "heads"):
        if int(options[name]) < 1:
            return f"{name} {options[name]} of family 'transformer' is below 1, the smallest that works."
    return None


family = Family(
    build=build,
    options={"layers": 2, "heads": 4},
    tasks=frozenset(NETWORKS),
    multiple_of=lambda options: int(options["heads"]),
    fault=_fault,
)
