"""Transformer layers that hold several members; activations are (member, sample, position, channel)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ._layers import Dropout, Linear, initialise

SLOWEST = 10_000  # the longest wavelength of the positional encoding, over the shortest, 2 pi
EPS = 1e-5  # of layer norm, as in torch


def xavier(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    """Weights uniform with variance 2 / (fan in + fan out), bias zero, as in torch.nn.Transformer."""
    bound = math.sqrt(6 / sum(weight.shape))
    weight.uniform_(-bound, bound, generator=generator)
    if bias is not None:
        bias.zero_()


def scaled(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    """Weights normal with variance 1 / channels, so that `Embedding` scales them to variance 1."""
    weight.normal_(0, weight.shape[-1] ** -0.5, generator=generator)


class Projection(Linear):
    """One linear layer a member: (member, ..., c_in) to (member, ..., c_out)."""

    def __init__(self, c_in: int, c_out: int, *, members: int) -> None:
        super().__init__(c_in, c_out, members=members, rule=xavier)

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return product(x, self.weight)
        if self.members == 1:
            return F.linear(x, self.weight, self.bias)
        weight = self.weight.unflatten(0, (self.members, -1)).transpose(1, 2)
        bias = self.bias.unflatten(0, (self.members, 1, -1))
        out: Tensor = torch.baddbmm(bias, x.flatten(1, -2), weight).unflatten(1, x.shape[1:-1])
        return out


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Multiplies each member's activations by its own matrix.

    Args:
        x: (member, ..., c_in).
        weight: (members x c_out, c_in).

    Returns:
        (member, ..., c_out).
    """
    if len(x) == 1:
        return F.linear(x, weight)
    matrices = weight.unflatten(0, (len(x), -1)).transpose(1, 2)
    out: Tensor = torch.bmm(x.flatten(1, -2), matrices).unflatten(1, x.shape[1:-1])
    return out


class LayerNorm(nn.Module):
    """Layer norm over the channels; each member has its own scale and shift."""

    def __init__(self, channels: int, *, members: int) -> None:
        super().__init__()
        self.channels, self.members = channels, members
        self.weight = nn.Parameter(torch.empty(members * channels))
        self.bias = nn.Parameter(torch.empty(members * channels))

    def initialise(self, generators: Sequence[Generator]) -> None:
        self.weight.fill_(1)
        self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if self.members == 1:
            return F.layer_norm(x, (self.channels,), self.weight, self.bias, EPS)
        shape = (self.members, *[1] * (x.ndim - 2), self.channels)
        normed = F.layer_norm(x, (self.channels,), eps=EPS)
        return torch.addcmul(self.bias.view(shape), normed, self.weight.view(shape))


class Embedding(nn.Module):
    """Embeds tokens, (member, sample, position) to (member, sample, position, channel).

    One matrix stacks the embeddings of all members. They are multiplied by the square root of the channels,
    and sinusoidal positional encodings are added (Vaswani et al. 2017, sections 3.4 and 3.5).
    """

    def __init__(self, vocabulary: int, channels: int, *, members: int) -> None:
        super().__init__()
        self.vocabulary, self.members = vocabulary, members
        self.weight = nn.Parameter(torch.empty(members * vocabulary, channels))
        self.dropout = Dropout(members=members, dim=0)

    def initialise(self, generators: Sequence[Generator]) -> None:
        initialise(self.weight, None, scaled, generators)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.members > 1:
            first = torch.arange(self.members, device=tokens.device) * self.vocabulary
            tokens = tokens + first[:, None, None]
        rows = F.embedding(tokens, self.weight)
        embedded: Tensor = self.dropout(rows * math.sqrt(rows.shape[-1]) + sinusoids(rows))
        return embedded


class TiedOutput(nn.Module):
    """An output layer tied to the embedding: (member, ..., channel) to logits (member, ..., token).

    `table` is the embedding's weight, (members x vocabulary, channel).
    """

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        return product(x, table)


def sinusoids(like: Tensor) -> Tensor:
    """Positional encodings, (position, channel), for activations `like`, (..., position, channel).

    Even channels are sines and odd ones cosines. Source: Vaswani et al. 2017, section 3.5.

    >>> sinusoids(torch.zeros(2, 4))
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    length, count = like.shape[-2:]
    places = torch.arange(length, dtype=like.dtype, device=like.device)
    channels = torch.arange(count, dtype=like.dtype, device=like.device)
    odd = channels % 2
    return torch.sin(places[:, None] * torch.pow(SLOWEST, (odd - channels) / count) + odd * (math.pi / 2))


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, seen: Tensor | None, causal: bool
) -> Tensor:
    """Scaled dot-product attention of each member and head.

    Args:
        query: (member, sample, position, channel).
        key: (member, sample, key position, channel).
        value: As `key`.
        heads: The number of heads, which must divide the channels.
        seen: The padding mask, (member, sample, key position): True where attention is allowed, at one
            position of every sample at least. None allows all.
        causal: Whether each position attends only to itself and to earlier ones.

    Returns:
        (member, sample, position, channel).
    """
    q, k, v = (
        tensor.flatten(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value)
    )
    mask = None if seen is None else seen.flatten(0, 1)[:, None, None]
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    joined: Tensor = found.transpose(1, 2).flatten(-2).unflatten(0, query.shape[:2])
    return joined


class SelfAttention(nn.Module):
    """Attention within one sequence; one matrix makes queries, keys and values."""

    def __init__(self, channels: int, heads: int, *, members: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = Projection(channels, 3 * channels, members=members)
        self.output = Projection(channels, channels, members=members)

    def forward(self, x: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        query, key, value = self.inputs(x).chunk(3, -1)
        found: Tensor = self.output(attend(query, key, value, self.heads, seen, causal))
        return found


class CrossAttention(nn.Module):
    """Attention from target to source; one matrix makes the keys and values of the source."""

    def __init__(self, channels: int, heads: int, *, members: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Projection(channels, channels, members=members)
        self.memory = Projection(channels, 2 * channels, members=members)
        self.output = Projection(channels, channels, members=members)

    def forward(self, x: Tensor, source: Tensor, seen: Tensor) -> Tensor:
        key, value = self.memory(source).chunk(2, -1)
        found: Tensor = self.output(attend(self.query(x), key, value, self.heads, seen, False))
        return found


class FeedForward(nn.Module):
    """Two linear layers with ReLU between them, the hidden one of four times the channels."""

    def __init__(self, channels: int, *, members: int) -> None:
        super().__init__()
        self.inner = Projection(channels, 4 * channels, members=members)
        self.outer = Projection(4 * channels, channels, members=members)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.outer(F.relu(self.inner(x)))
        return out


class Layer(nn.Module):
    """Self-attention, in decoders of a source cross-attention, and feed-forward, each in a residual branch.

    A branch is layer norm first (pre-norm), then the block, then dropout.
    """

    def __init__(self, channels: int, heads: int, *, members: int, cross: bool = False) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels, members=members)
        self.attention = SelfAttention(channels, heads, members=members)
        self.norm2 = LayerNorm(channels, members=members) if cross else None
        self.cross = CrossAttention(channels, heads, members=members) if cross else None
        self.norm3 = LayerNorm(channels, members=members)
        self.feed_forward = FeedForward(channels, members=members)
        self.dropout = Dropout(members=members, dim=0)

    def forward(
        self, x: Tensor, seen: Tensor | None, causal: bool = False, source: Tensor | None = None
    ) -> Tensor:
        """`seen` is the padding mask of the source, or of `x` where there is no source."""
        own = seen if source is None else None
        x = x + self.dropout(self.attention(self.norm1(x), own, causal))
        if self.norm2 is not None and self.cross is not None:
            x = x + self.dropout(self.cross(self.norm2(x), source, seen))
        out: Tensor = x + self.dropout(self.feed_forward(self.norm3(x)))
        return out


class Stack(nn.Module):
    """Layers in sequence and a final layer norm."""

    def __init__(self, channels: int, heads: int, layers: int, *, members: int, cross: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(channels, heads, members=members, cross=cross) for _ in range(layers)
        )
        self.norm = LayerNorm(channels, members=members)

    def forward(
        self, x: Tensor, seen: Tensor | None, causal: bool = False, source: Tensor | None = None
    ) -> Tensor:
        for layer in self.layers:
            x = layer(x, seen, causal, source)
        normed: Tensor = self.norm(x)
        return normed
