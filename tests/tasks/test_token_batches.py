"""Batches of tokens, and the loss over positions of which some have no label."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from ensembudget.catalog import WAYS
from ensembudget.packing.batches import epoch_batches, feed_of, for_all, unpack_logits
from ensembudget.stepping.step import batch_losses
from token_worlds import BLOCKS, PAIRS, TEXTS, RunningSums, cell_of, initialised, sentences

tasks = st.sampled_from([BLOCKS, PAIRS])


def feed(task, inputs):
    return feed_of(cell_of().recipe, task, inputs)


def drawn(feed, count, members):
    return [feed.draw(count, Generator().manual_seed(seed)) for seed in range(members)]


@settings(max_examples=40, deadline=None)
@given(task=tasks, count=st.integers(2, 20), batch_size=st.integers(2, 9), members=st.integers(1, 3))
def test_inputs_and_labels_stay_together(task, count, batch_size, members):
    inputs, labels = map(torch.from_numpy, sentences(task, count))
    inputs[:, 0] = torch.arange(count)  # names each sentence
    own, seen = feed(task, inputs), [[] for _ in range(members)]
    for tokens, theirs in epoch_batches(inputs, labels, drawn(own, count, members), batch_size, own):
        assert tokens.dtype == torch.int64
        assert tokens.shape == (theirs.shape[1], members * task.length)
        for member, (its, right) in enumerate(zip(tokens.chunk(members, 1), theirs, strict=True)):
            assert torch.equal(its, inputs[its[:, 0]].long())
            assert torch.equal(right, labels[its[:, 0]])
            seen[member] += its[:, 0].tolist()
    left_out = count > batch_size and count % batch_size == 1
    assert all(len(set(one)) == len(one) == count - left_out for one in seen)
    assert members == 1 or count < 9 or seen[0] != seen[1]


def test_the_same_samples_for_every_member_lie_side_by_side():
    inputs = torch.from_numpy(sentences(TEXTS, 4)[0])
    assert torch.equal(for_all(inputs, 3, feed(TEXTS, inputs)), inputs.long().repeat(1, 3))


@settings(max_examples=60, deadline=None)
@given(task=tasks, members=st.integers(1, 4), count=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_loss_of_positions_is_torchs_mean_of_each_member(task, members, count, seed):
    labels = torch.from_numpy(np.stack([sentences(task, count, seed + i)[1] for i in range(members)]))
    labels[:, 0, 0] = 0  # the mean over no position is no number
    shape = (count, members * labels.shape[2], task.classes)
    logits = torch.randn(shape, generator=Generator().manual_seed(seed), dtype=torch.float64)
    found = batch_losses(lambda given: given, logits, labels)
    for member, one in enumerate(unpack_logits(logits, members)):
        mean = F.cross_entropy(one.flatten(0, 1), labels[member].flatten())
        assert float(found[member]) == pytest.approx(float(mean), abs=1e-12)


def test_the_loss_of_samples_is_torchs_mean_of_each_member():
    labels = torch.tensor([[0, 1, 2], [2, 2, 1]])
    logits = torch.randn(3, 2 * 4, generator=Generator().manual_seed(0), dtype=torch.float64)
    found = batch_losses(lambda given: given, logits, labels)
    for member in range(2):
        mean = F.cross_entropy(logits[:, 4 * member : 4 * member + 4], labels[member])
        assert float(found[member]) == pytest.approx(float(mean), abs=1e-12)


def test_a_position_without_a_label_moves_no_weight():
    labels = torch.tensor([[[1, -100]], [[-100, 2]]])
    logits = torch.randn(1, 2 * 2, 4, generator=Generator().manual_seed(0)).requires_grad_()
    batch_losses(lambda given: given, logits, labels).sum().backward()
    moved = unpack_logits(logits.grad, 2).abs().sum(-1)[:, 0] > 0
    assert moved.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("task", [BLOCKS, PAIRS], ids=lambda task: task.kind)
@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_puts_positions_where_the_packed_network_does(way, task):
    network = initialised(RunningSums(task, 3))
    tokens = torch.cat([torch.from_numpy(sentences(task, 4, seed)[0]).long() for seed in range(3)], 1)
    found = WAYS[way].forward(network, lambda: RunningSums(task, 1), 3)(tokens)
    torch.testing.assert_close(found, network(tokens))
