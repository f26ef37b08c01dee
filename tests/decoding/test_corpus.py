"""Text of tokens by the tokenizer itself, scores by sacrebleu's own functions."""

import numpy as np
import pytest
import sacrebleu
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ensembudget.decoding.corpus import corpus_scores, sentences_of
from ensembudget.tasks._tokens import END, PADDING, START, UNKNOWN

WORDS = "in the beginning God created heaven and earth , which was without form".split()


def sentences(seed, count=60):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 14))) for _ in range(count)]


def changed(texts, share, seed=1):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS) if rng.random() < share else w for w in t.split()) for t in texts]


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    marks = ["[PAD]", "[UNK]", "[START]", "[END]"]
    made.train_from_iterator(
        sentences(0), trainers.BpeTrainer(vocab_size=60, special_tokens=marks, show_progress=False)
    )
    assert [made.token_to_id(mark) for mark in marks] == [PADDING, UNKNOWN, START, END]
    return made


def test_encoded_texts_are_decoded_to_themselves(tokenizer):
    texts = sentences(2, count=5)
    rows = [[*one.ids, END] for one in tokenizer.encode_batch(texts)]
    longest = max(map(len, rows)) + 2
    for nothing in (PADDING, -100):
        tokens = torch.tensor([row + [nothing] * (longest - len(row)) for row in rows])
        assert sentences_of(tokenizer.to_str(), tokens) == texts


def test_nothing_is_read_after_the_end(tokenizer):
    said = tokenizer.encode("the beginning").ids
    tokens = torch.tensor([[*said, END, *said], [END, *said, *said]])
    assert sentences_of(tokenizer.to_str(), tokens) == ["the beginning", ""]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_scores_are_those_of_sacrebleu(share):
    references = sentences(3)
    hypotheses = changed(references, share)
    found = corpus_scores(hypotheses, references)
    assert found["bleu"].value == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert found["chrf"].value == sacrebleu.corpus_chrf(hypotheses, [references]).score


def test_an_interval_is_as_long_as_that_of_resampled_sentences():
    references = sentences(4, count=30)
    hypotheses = changed(references, 0.3)
    found, rng = corpus_scores(hypotheses, references), np.random.default_rng(0)
    drawn = []
    for _ in range(100):
        some = rng.integers(30, size=30)
        ours, theirs = ([texts[i] for i in some] for texts in (hypotheses, references))
        scores = sacrebleu.corpus_bleu(ours, [theirs]), sacrebleu.corpus_chrf(ours, [theirs])
        drawn.append([score.score for score in scores])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    reaches = [found["bleu"].reach, found["chrf"].reach]
    assert reaches == pytest.approx((high - low) / 2, rel=0.3)
    assert corpus_scores(hypotheses, references) == found


def test_translations_without_a_right_word_score_nothing():
    found = corpus_scores(["x"] * 4, ["heaven and earth"] * 4)
    assert (found["bleu"].value, found["bleu"].reach) == (0, 0)


def test_a_perfect_translation_scores_a_hundred_whatever_is_drawn():
    references = sentences(5)
    for score in corpus_scores(references, references).values():
        assert (score.value, score.reach) == pytest.approx((100, 0))


def test_resamples_without_a_match_count_like_all_others():
    hypotheses, references = ["heaven", "x", "x"], ["heaven", "earth", "void"]
    found = corpus_scores(hypotheses, references)
    assert found["chrf"].value == sacrebleu.corpus_chrf(hypotheses, [references]).score > 0
    assert found["chrf"].reach > 10
