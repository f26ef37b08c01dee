"""The transformer equals torch's own with the same weights, and packed members equal single ones."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from ensembudget.errors import PlanError
from ensembudget.families._attention import SLOWEST, sinusoids
from ensembudget.families._build import describe, embedding_parameters, materialise
from ensembudget.families._layers import set_dropout
from ensembudget.records import TokenTask

VOCABULARY, SOURCE, WIDTH, MEMBERS = 23, 5, 12, 4
TEXTS = TokenTask("text_classification", classes=5, vocabulary=VOCABULARY, length=9)
BLOCKS = TokenTask("language_model", classes=VOCABULARY, vocabulary=VOCABULARY, length=7)
PAIRS = TokenTask("translation", classes=VOCABULARY, vocabulary=VOCABULARY, length=11, source=SOURCE)
TASKS = [TEXTS, BLOCKS, PAIRS]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
OPTIONS = [{}, {"layers": 1, "heads": 1}, {"layers": 3, "heads": 2}]
examples = settings(max_examples=5, deadline=None)


def make(task, seeds=(0,), options=None, width=WIDTH):
    network = describe("transformer", width, task, members=len(seeds), options=options)
    return materialise(network, [Generator().manual_seed(seed) for seed in seeds])


def perturbed(network):
    """Biases and norms that are neither zero nor one, as after training."""
    generator = Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).to(parameter))
    return network


@st.composite
def inputs_of(draw, task, samples=3, *, members=1):
    """Tokens with padding: anywhere in texts and sources, at the end elsewhere; one real token at least."""
    generator = Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (members * samples, task.length)
    tokens = torch.randint(1, VOCABULARY, shape, generator=generator)
    for row in tokens:
        if task.kind != "text_classification":
            row[draw(st.integers(task.source + 1, task.length)) :] = 0
        for at in draw(st.sets(st.integers(0, SOURCE - 1), max_size=SOURCE - 1)):
            if task.kind != "language_model":
                row[at] = 0
    return tokens.view(members, samples, task.length)


# torch.nn's own, with the weights of one of our networks


def copied_attention(ours, cross=None):
    theirs = nn.MultiheadAttention(WIDTH, ours.heads, batch_first=True, dtype=torch.float64)
    joined = [ours.query, ours.memory] if cross else [ours.inputs]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([one.weight for one in joined]))
        theirs.in_proj_bias.copy_(torch.cat([one.bias for one in joined]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    return theirs


def copied_stack(ours):
    """As torch.nn.TransformerEncoder or TransformerDecoder, whose norms are numbered without gaps."""
    cross = ours.layers[0].cross is not None
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    heads = ours.layers[0].attention.heads
    layer = kind(WIDTH, heads, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64)
    norm, count = nn.LayerNorm(WIDTH, dtype=torch.float64), len(ours.layers)
    theirs = (
        nn.TransformerDecoder(layer, count, norm)
        if cross
        else nn.TransformerEncoder(layer, count, norm, enable_nested_tensor=False)
    )
    theirs.norm.load_state_dict(ours.norm.state_dict())
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        other.self_attn = copied_attention(one.attention)
        other.norm1.load_state_dict(one.norm1.state_dict())
        other.linear1.load_state_dict(one.feed_forward.inner.state_dict())
        other.linear2.load_state_dict(one.feed_forward.outer.state_dict())
        (other.norm3 if cross else other.norm2).load_state_dict(one.norm3.state_dict())
        if cross:
            other.multihead_attn = copied_attention(one.cross, cross=True)
            other.norm2.load_state_dict(one.norm2.state_dict())
    return theirs.train()


def gradients_of_copy(ours, theirs, name):
    """Gradients of torch's layers under our names."""
    found = {f"{name}.norm.{end}": getattr(theirs.norm, end).grad for end in ("weight", "bias")}
    for i, (one, other) in enumerate(zip(ours.layers, theirs.layers, strict=True)):
        cross = one.cross is not None
        pairs = {
            "norm1": other.norm1,
            "norm3": other.norm3 if cross else other.norm2,
            "attention.output": other.self_attn.out_proj,
            "feed_forward.inner": other.linear1,
            "feed_forward.outer": other.linear2,
        }
        if cross:
            pairs |= {"norm2": other.norm2, "cross.output": other.multihead_attn.out_proj}
        for inner, module in pairs.items():
            for end in ("weight", "bias"):
                found[f"{name}.layers.{i}.{inner}.{end}"] = getattr(module, end).grad
        for end in ("weight", "bias"):
            place = f"{name}.layers.{i}"
            found[f"{place}.attention.inputs.{end}"] = getattr(other.self_attn, f"in_proj_{end}").grad
            if cross:
                joined = getattr(other.multihead_attn, f"in_proj_{end}").grad
                found[f"{place}.cross.query.{end}"] = joined[:WIDTH]
                found[f"{place}.cross.memory.{end}"] = joined[WIDTH:]
    return found


def embedded(table, tokens):
    """By the paper's formulas: rows times the root of the width, a sine and a cosine a frequency."""
    rows = F.embedding(tokens, table) * math.sqrt(WIDTH)
    for place in range(tokens.shape[1]):
        for pair in range(WIDTH // 2):
            angle = place / SLOWEST ** (2 * pair / WIDTH)
            wave = torch.tensor([math.sin(angle), math.cos(angle)], dtype=torch.float64)
            rows[:, place, 2 * pair : 2 * pair + 2] += wave
    return rows


def forward_of_torch(task, stacks, table, head, tokens):
    """Logits by torch.nn's layers; of positions that are predicted, or samples."""
    source, target = tokens[:, : task.source], tokens[:, task.source :]
    causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=torch.float64)
    padded = torch.zeros_like(target, dtype=torch.float64).masked_fill(target == 0, -torch.inf)
    if task.kind == "translation":
        memory = stacks["encoder"](embedded(table, source), src_key_padding_mask=source == 0)
        out = stacks["decoder"](
            embedded(table, target), memory, tgt_mask=causal, tgt_key_padding_mask=padded,
            memory_key_padding_mask=source == 0,
        )  # fmt: skip
        return out @ table.T
    if task.kind == "language_model":
        out = stacks["decoder"](embedded(table, tokens), mask=causal, src_key_padding_mask=padded)
        return out @ table.T
    out = stacks["encoder"](embedded(table, tokens), src_key_padding_mask=tokens == 0)
    means = torch.stack([row[kept].mean(0) for row, kept in zip(out, tokens != 0, strict=True)])
    return F.linear(means, *head)


@every_task
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@examples
@given(data=st.data())
def test_it_equals_torchs_own_in_logits_and_gradients(task, options, data):
    tokens = data.draw(inputs_of(task))[0]
    network = perturbed(make(task, options=options).double())
    stacks = {name: copied_stack(stack) for name, stack in network.named_children() if name in STACKS}
    table = network.embedding.weight.detach().clone().requires_grad_()
    head = [p.detach().clone().requires_grad_() for p in network.head.parameters()] if task is TEXTS else []

    found, expected = network(tokens), forward_of_torch(task, stacks, table, head, tokens)
    if task is not TEXTS:  # what is said at padding does not matter
        real = tokens[:, task.source :] != 0
        found, expected = found[real], expected[real]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)

    weights = torch.randn(found.shape, generator=Generator().manual_seed(1), dtype=torch.float64)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    gradients = {"embedding.weight": table.grad}
    gradients |= dict(zip(("head.weight", "head.bias"), (p.grad for p in head), strict=False))
    for name, theirs in stacks.items():
        gradients |= gradients_of_copy(getattr(network, name), theirs, name)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients.pop(name), rtol=1e-9, atol=1e-9, msg=name)
    assert not gradients


STACKS = ("encoder", "decoder")


@every_task
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@examples
@given(data=st.data())
def test_packed_members_equal_single_ones_in_logits_and_gradients(task, dropout, data):
    tokens = data.draw(inputs_of(task, members=MEMBERS))
    seeds = range(5, 5 + MEMBERS)
    packed = perturbed(make(task, seeds)).train()
    set_dropout(packed, dropout, [Generator().manual_seed(seed) for seed in seeds])
    together = packed(tokens.transpose(0, 1).flatten(1)).unflatten(1, (MEMBERS, -1)).transpose(0, 1)
    weights = torch.randn(together.shape, generator=Generator().manual_seed(1)) / together[0].numel() ** 0.5
    (together * weights).sum().backward()

    for i, seed in enumerate(seeds):
        single = make(task, [seed]).train()
        with torch.no_grad():
            for name, parameter in single.named_parameters():
                parameter.copy_(packed.get_parameter(name).chunk(MEMBERS)[i])
        set_dropout(single, dropout, [Generator().manual_seed(seed)])
        alone = single(tokens[i])
        torch.testing.assert_close(together[i], alone, rtol=1e-5, atol=1e-5)
        (alone * weights[i]).sum().backward()
        for name, parameter in single.named_parameters():
            theirs = packed.get_parameter(name).grad.chunk(MEMBERS)[i]
            torch.testing.assert_close(theirs, parameter.grad, rtol=1e-5, atol=1e-5, msg=name)


@every_task
def test_a_sample_of_padding_alone_gives_no_nan_and_neither_do_its_gradients(task):
    tokens = torch.randint(1, VOCABULARY, (3, task.length), generator=Generator().manual_seed(0))
    tokens[1] = 0
    tokens[2, : max(1, task.source)] = 0
    network = make(task)
    logits = network(tokens)
    logits.square().sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@every_task
@examples
@given(data=st.data())
def test_padding_changes_none_of_a_samples_logits(task, data):
    """The same samples with two more tokens of padding: of the source, and at the end."""
    tokens = data.draw(inputs_of(task))[0]
    network = perturbed(make(task))
    more = torch.zeros(len(tokens), 2, dtype=torch.int64)
    found = network(tokens)
    if task.kind == "translation":
        network.source = task.source + 2
        tokens = torch.cat([tokens[:, : task.source], more, tokens[:, task.source :]], 1)
    longer = network(torch.cat([tokens, more], 1))
    if task is not TEXTS:
        longer = longer[:, : found.shape[1]]
    torch.testing.assert_close(longer, found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("task", [BLOCKS, PAIRS], ids=lambda task: task.kind)
def test_a_position_sees_nothing_after_it_and_all_before_it(task):
    network = perturbed(make(task))
    tokens = torch.randint(1, VOCABULARY, (1, task.length), generator=Generator().manual_seed(0))
    before = network(tokens)
    for at in range(task.source, task.length):
        changed = tokens.clone()
        changed[0, at] = tokens[0, at] % (VOCABULARY - 1) + 1
        moved = (network(changed) - before).abs().amax((0, 2)) > 0
        assert moved.tolist() == [place >= at for place in range(task.source, task.length)]


@pytest.mark.parametrize("width", [4, 12, 20])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_parameters_are_those_of_the_formulas(width, layers):
    k, v = width, VOCABULARY
    expected = {
        TEXTS: v * k + layers * (12 * k**2 + 13 * k) + 2 * k + 5 * (k + 1),
        BLOCKS: v * k + layers * (12 * k**2 + 13 * k) + 2 * k,
        PAIRS: v * k + layers * (28 * k**2 + 32 * k) + 4 * k,
    }
    for task, count in expected.items():
        network = describe("transformer", width, task, options={"layers": layers})
        assert sum(p.numel() for p in network.parameters()) == count
        assert embedding_parameters(network) == v * k


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_sinusoids_are_those_of_the_paper_for_odd_widths_too(channels):
    found = sinusoids(torch.zeros(50, channels, dtype=torch.float64))
    for place in range(50):
        for channel in range(channels):
            angle = place / SLOWEST ** (2 * (channel // 2) / channels)
            wave = math.cos(angle) if channel % 2 else math.sin(angle)
            assert float(found[place, channel]) == pytest.approx(wave, abs=1e-12)


def test_projections_start_as_torchs_and_embeddings_as_the_papers():
    network = make(PAIRS, width=64)
    for name, parameter in network.named_parameters():
        if "norm" in name:
            assert parameter.eq(1 if name.endswith("weight") else 0).all(), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        elif name.startswith("embedding"):
            assert parameter.std().item() == pytest.approx(64**-0.5, rel=0.05)
        else:
            bound = math.sqrt(6 / sum(parameter.shape))
            assert parameter.abs().max().item() == pytest.approx(bound, rel=0.01), name
            assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), name


def test_dropout_acts_on_embeddings_and_on_what_every_layer_adds():
    network = make(PAIRS).train()
    tokens = torch.randint(1, VOCABULARY, (4, PAIRS.length), generator=Generator().manual_seed(0))
    plain = network(tokens)
    set_dropout(network, 0.5, [Generator().manual_seed(0)])
    assert not torch.allclose(network(tokens), plain)
    generator = Generator().manual_seed(0)
    network.embedding.dropout.generators = [generator]
    out = network.embedding.dropout(torch.ones(1, 50, 8, WIDTH))
    assert (out == 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert out[out != 0].unique().tolist() == [2.0]


@pytest.mark.parametrize(
    ("width", "heads", "words"),
    [
        (
            10,
            4,
            "width 10 of family 'transformer' is no multiple of 4, .* heads = 4. The nearest are 8 and 12",
        ),
        (2, 3, "The nearest is 3"),
    ],
)
def test_a_width_that_heads_do_not_divide_is_refused_with_the_nearest_that_they_do(width, heads, words):
    with pytest.raises(PlanError, match=words):
        describe("transformer", width, TEXTS, options={"heads": heads})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": 7}, "7 classes of translation are not its vocabulary of 23 tokens"),
        ({"source": 0}, "source length 0 of family 'transformer' is below 1"),
        ({"source": 11}, "target length 0 of family 'transformer' is below 1"),
        ({"vocabulary": 1, "classes": 2}, "vocabulary 1 of family 'transformer' is below 2"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_its_numbers(changes, words):
    with pytest.raises(PlanError, match=words):
        describe("transformer", WIDTH, PAIRS._replace(**changes))


@pytest.mark.parametrize("option", ["layers", "heads"])
def test_fewer_than_one_layer_or_head_is_refused(option):
    with pytest.raises(PlanError, match=f"{option} 0 of family 'transformer' is below 1"):
        describe("transformer", WIDTH, TEXTS, options={option: 0})
