"""Which answers of a part of a dataset are wanted, and the logits of exactly these."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.packing.batches import feed_of
from ensembudget.packing.parts import asked_of, parts_of
from ensembudget.tasks._base import IGNORED
from ensembudget.training.evaluation import evaluate_logits
from token_worlds import BLOCKS, PAIRS, TEXTS, RunningSums, arrays_of, cell_of, initialised, sentences

tasks = st.sampled_from([BLOCKS, PAIRS])


def answers(inputs, labels):
    """(sentence, position, its input, its label) of every position that has a label, by a loop."""
    found = []
    for row, column in itertools.product(*map(range, labels.shape)):
        if labels[row, column] != IGNORED:
            found.append((row, column, tuple(inputs[row].tolist()), int(labels[row, column])))
    return found


def asked_answers(asked):
    """The same of what is asked."""
    return [
        (int(sample), int(position), tuple(asked.inputs[row].tolist()), int(label))
        for sample, (row, position), label in zip(asked.samples, asked.places, asked.labels, strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(task=tasks, count=st.integers(0, 9), seed=st.integers(0, 99))
def test_without_a_number_every_position_with_a_label_is_asked(task, count, seed):
    inputs, labels = sentences(task, count, seed)
    assert asked_answers(asked_of(inputs, labels, None)) == answers(inputs, labels)


@settings(max_examples=60, deadline=None)
@given(task=tasks, seed=st.integers(0, 99), scored=st.integers(1, 40), fewer=st.integers(0, 40))
def test_so_many_are_asked_and_fewer_are_some_of_them(task, seed, scored, fewer):
    inputs, labels = sentences(task, 7, seed)
    every = answers(inputs, labels)
    asked = asked_of(inputs, labels, scored)
    found = asked_answers(asked)
    assert len(found) == min(scored, len(every))
    assert found == sorted(found)  # a sentence's answers stand together, in its order
    assert set(found) <= set(every)
    assert set(asked_answers(asked_of(inputs, labels, min(fewer, scored)))) <= set(found)
    # Of what is asked as well, as for a history of fewer: itself in order, and no sentence that is not read.
    some = asked.some(fewer)
    assert len(some.labels) == min(fewer, len(found))
    assert set(asked_answers(some)) <= set(found)
    assert set(some.places[:, 0].tolist()) == set(range(len(some.inputs)))


def test_positions_are_drawn_from_all_of_a_part_alike():
    inputs, labels = sentences(BLOCKS, 400)
    every, asked = answers(inputs, labels), asked_of(inputs, labels, 600)
    # The mean of 600 of N numbers 0 to N - 1 drawn without replacement, within 4 standard deviations.
    ranks = [every.index(one) for one in asked_answers(asked)]
    deviation = np.sqrt((len(every) ** 2 - 1) / 12 / 600 * (1 - 600 / len(every)))
    assert abs(np.mean(ranks) - (len(every) - 1) / 2) < 4 * deviation


def test_one_answer_a_sample_has_no_places():
    inputs, _ = sentences(TEXTS, 6)
    asked = asked_of(inputs, np.arange(6), scored=None)
    assert asked.places is None
    assert asked.samples.tolist() == asked.labels.tolist() == list(range(6))
    some = asked.some(4)
    assert len(set(some.samples.tolist())) == 4
    for sample, label, tokens in zip(some.samples, some.labels, some.inputs, strict=True):
        assert sample == label
        assert torch.equal(tokens, asked.inputs[sample])


@pytest.mark.parametrize("task", [BLOCKS, PAIRS], ids=lambda task: task.kind)
def test_a_cell_scores_so_many_positions_of_each_part(task):
    arrays = arrays_of(task)
    whole, few = (parts_of(cell_of(scored=scored), arrays) for scored in (None, 5))
    for name in ("fitted", "validation", "test"):
        every, some = (asked_answers(getattr(parts, name)) for parts in (whole, few))
        assert len(some) == 5 < len(every)
        assert set(some) < set(every)
    assert torch.equal(whole.inputs, few.inputs)  # all positions of a sentence are trained on
    assert asked_answers(whole.test) == answers(arrays.test_inputs, arrays.test_labels)
    held = arrays.train_inputs[-3:], arrays.train_labels[-3:]
    assert asked_answers(whole.validation) == answers(*held)
    assert asked_answers(whole.fitted) == answers(whole.inputs.numpy(), whole.labels.numpy())


def test_subsets_of_sentences_are_disjoint_and_sizes_nest():
    arrays = arrays_of(BLOCKS)
    arrays.train_inputs[:, 0] = np.arange(12)  # names each sentence

    def names(**changes):
        return parts_of(cell_of(**changes), arrays).inputs[:, 0].tolist()

    first, second = names(subset=0), names(subset=1)
    assert len({*first, *second}) == 8
    assert not {*first, *second} & {9, 10, 11}  # held out
    assert names(train_size=3) == first[:3]


@settings(max_examples=60, deadline=None)
@given(
    task=tasks,
    members=st.integers(1, 3),
    count=st.integers(0, 9),
    at_once=st.integers(1, 200),
    scored=st.none() | st.integers(1, 30),
)
def test_logits_of_positions_are_those_of_each_member_alone(task, members, count, at_once, scored):
    inputs, labels = sentences(task, count)
    asked = asked_of(inputs, labels, scored)
    network = initialised(RunningSums(task, members))
    feed = feed_of(cell_of().recipe, task, torch.from_numpy(inputs))
    found = evaluate_logits(network, asked, feed, members, at_once=at_once)
    assert found.dtype == torch.float32
    assert found.shape[:2] == (members, len(asked.labels))
    for member in range(members):
        alone = [network.alone(member, sentence) for sentence in inputs]
        wanted = [alone[row][position] for row, position, *_ in asked_answers(asked)]
        assert found[member].numpy() == pytest.approx(np.reshape(wanted, found[member].shape), abs=1e-4)


@pytest.mark.parametrize("at_once", [1, 60, 2**16])
def test_logits_of_texts_do_not_depend_on_how_many_are_evaluated_at_once(at_once):
    class Last(RunningSums):
        def forward(self, tokens):
            return super().forward(tokens).unflatten(1, (self.members, -1))[:, :, -1].flatten(1)

    inputs, _ = sentences(TEXTS, 7)
    asked = asked_of(inputs, np.zeros(7, np.int64), None)
    network = initialised(Last(TEXTS, 2))
    feed = feed_of(cell_of().recipe, TEXTS, torch.from_numpy(inputs))
    found = evaluate_logits(network, asked, feed, 2, at_once=at_once)
    wanted = [[network.alone(member, one)[-1] for one in inputs] for member in range(2)]
    assert found.numpy() == pytest.approx(np.array(wanted), abs=1e-4)
