"""The Transformer: model width k, a fixed number of heads, feed-forward 4k, pre-norm, ReLU.

The number of `heads` stays as the width grows, so their size does, and widths are multiples of it. Texts are
encoded and their unpadded positions averaged before a linear head; language models are causal decoders;
translation has an encoder and a causal decoder that attends to it, of `layers` layers each. One vocabulary
serves source and target. Where tokens are predicted, the table that embeds them is also the last layer's
weight, which has no bias, and counts once. Positions are sinusoids and cost no parameters, so there is no
longest sequence. A last layer norm follows the layers. Dropout acts on the embedded tokens and on what each
attention and feed-forward adds, not on attention weights.

For V tokens and L layers, language models have V k + L (12 k^2 + 13 k) + 2 k parameters, text classifiers of
C classes C (k + 1) more, and translation V k + L (28 k^2 + 32 k) + 4 k.

Tokens are padded at their end, by token 0. Padding is never attended to: keys are masked in texts and
sources; in language models and targets only padding comes after padding. A text of padding alone is attended
to whole, so that no output is NaN, and its head sees zeros.

Source: Vaswani et al. 2017, arXiv:1706.03762; pre-norm as in Xiong et al. 2020, arXiv:2002.04745.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..records import TokenTask
from ._attention import Embedding, Projection, Stack, TiedOutput
from ._base import Family, OptionValue

PADDING = 0


def by_member(tokens: Tensor, members: int) -> Tensor:
    """(sample, members x position) to (member, sample, position)."""
    apart: Tensor = tokens.unflatten(1, (members, -1)).transpose(0, 1)
    return apart


def attended(tokens: Tensor) -> Tensor:
    """Which tokens are attended to: those that are no padding; all of a sample that is padding alone."""
    real = tokens != PADDING
    return real | ~real.any(-1, keepdim=True)


class Classifier(nn.Module):
    """(sample, members x position) to (sample, members x class)."""

    def __init__(self, width: int, task: TokenTask, members: int, layers: int, heads: int) -> None:
        super().__init__()
        self.members = members
        self.embedding = Embedding(task.vocabulary, width, members=members)
        self.encoder = Stack(width, heads, layers, members=members)
        self.head = Projection(width, task.classes, members=members)

    def forward_features(self, x: Tensor) -> Tensor:
        """Means over unpadded positions, (member, sample, channel)."""
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
    """(sample, members x position) to (sample, members x position, token): logits of the next token."""

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
    """(sample, members x (source and target position)) to (sample, members x target position, token)."""

    def __init__(self, width: int, task: TokenTask, members: int, layers: int, heads: int) -> None:
        super().__init__()
        self.members, self.source = members, task.source
        self.embedding = Embedding(task.vocabulary, width, members=members)
        self.encoder = Stack(width, heads, layers, members=members)
        self.decoder = Stack(width, heads, layers, members=members, cross=True)
        self.output = TiedOutput()

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Source tokens (member, sample, position) encoded, (..., channel), and which are attended to."""
        seen = attended(source)
        return self.encoder(self.embedding(source), seen), seen

    def decode(self, target: Tensor, encoded: Tensor, seen: Tensor) -> Tensor:
        """Features of every target position, (member, sample, position, channel), from those before it."""
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
    """The network of a task's kind.

    Raises:
        PlanError: Tokens are predicted, and there are more or fewer classes than tokens.
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
