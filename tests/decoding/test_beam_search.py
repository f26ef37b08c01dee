"""Beam search against all sequences there are, one by one."""

import hashlib
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.decoding.search import beam_search
from ensembudget.tasks._tokens import END, PADDING, START

TOKENS = 6
CHOSEN = [token for token in range(TOKENS) if token not in (PADDING, START)]


def log_probabilities(seed, sentence, prefix):
    """Of every next token, by everything before it."""
    digest = hashlib.sha256(f"{seed} {sentence} {tuple(prefix)}".encode()).digest()
    scores = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(scale=1.5, size=TOKENS)
    return scores - np.log(np.exp(scores).sum())


def step_of(seed):
    return lambda sentences, prefixes: torch.tensor(
        np.stack(
            [
                log_probabilities(seed, sentence, prefix)
                for sentence, prefix in zip(sentences.tolist(), prefixes.tolist(), strict=True)
            ]
        )
    )


def whole(sequence, longest):
    """Whether a search may end with this sequence: its end is its last token, or it is as long as can be."""
    return END not in sequence[:-1] and (sequence[-1] == END or len(sequence) == longest)


def best_of_all(seed, sentence, longest):
    def mean(sequence):
        logs = [log_probabilities(seed, sentence, sequence[:i])[token] for i, token in enumerate(sequence)]
        return sum(logs) / len(logs)

    every = (
        sequence
        for length in range(1, longest + 1)
        for sequence in itertools.product(CHOSEN, repeat=length)
        if whole(sequence, longest)
    )
    return list(max(every, key=mean))


def greedy(seed, sentence, longest):
    found = []
    while len(found) < longest and END not in found:
        logs = log_probabilities(seed, sentence, found)
        found.append(max(CHOSEN, key=lambda token: logs[token]))
    return found


def padded(sequences, longest):
    return [sequence + [PADDING] * (longest - len(sequence)) for sequence in sequences]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_a_beam_as_wide_as_all_sequences_finds_the_best_of_them(seed, longest):
    found = beam_search(step_of(seed), 2, longest, width=len(CHOSEN) ** longest)
    assert found.tolist() == padded([best_of_all(seed, one, longest) for one in range(2)], longest)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_a_beam_of_one_takes_the_most_probable_token_at_every_step(seed, longest):
    found = beam_search(step_of(seed), 3, longest, width=1)
    assert found.tolist() == padded([greedy(seed, one, longest) for one in range(3)], longest)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_sentence_is_translated_alike_beside_others_and_alone(width):
    step = step_of(width)
    together = beam_search(step, 4, 5, width)
    for sentence in range(4):

        def own(some, prefixes, sentence=sentence):
            return step(some * 0 + sentence, prefixes)

        assert beam_search(own, 1, 5, width)[0].tolist() == together[sentence].tolist()


@pytest.mark.parametrize("width", [1, 4])
def test_padding_and_start_are_never_chosen_however_probable(width):
    def step(sentences, prefixes):
        return torch.tensor([0.5, 0.0, 0.5, 1e-9, 1e-8, 0.0]).log().expand(len(sentences), -1)

    found = beam_search(step, 2, 3, width)
    assert set(found.flatten().tolist()) <= {END, PADDING, 4}
    assert (found[:, 0] != PADDING).all()


@pytest.mark.parametrize(("token", "expected"), [(4, [1, 2, 3, 4]), (END, [1])], ids=["no end", "an end"])
def test_each_length_is_reported_until_every_sentence_is_done(token, expected):
    logs, lengths = torch.full((TOKENS,), -9.0), []
    logs[token] = 0.0
    beam_search(lambda some, prefixes: logs.expand(len(some), -1), 2, 4, 1, lengths.append)
    assert lengths == expected
