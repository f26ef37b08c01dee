"""Sentences out of tokens, and how close they are to references: BLEU and chrF by sacrebleu.

BLEU: Papineni et al. 2002, as Post 2018 (arXiv:1804.08771) computes it, on text that is not tokenised. chrF:
Popovic 2015, of characters alone, with a recall that counts twice (chrF2).
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from torch import Tensor

from ..tasks._tokens import END, PADDING

BOOTSTRAP = 1000  # draws of sentences: Koehn 2004
PACKAGES = ("sacrebleu", "tokenizers")
SCORES = ("bleu", "chrf")
EXACT = 17  # digits


class CorpusScore(NamedTuple):
    """A score of all sentences together, from 0 to 100, and half the length of its 95% interval."""

    value: float
    reach: float


def missing_packages() -> list[str]:
    """Those of the extra `text` that are not installed."""
    return [package for package in PACKAGES if find_spec(package) is None]


def sentences_of(tokenizer: str, tokens: Tensor) -> list[str]:
    """Text of each row up to its end.

    Args:
        tokenizer: The JSON of the tokenizers package.
        tokens: Without the start, (sentence, position); what is below 0 or padding is passed over.
    """
    from tokenizers import Tokenizer

    until = (tokens == END).cumsum(1) == 0
    kept = until & (tokens > PADDING)
    rows = [row[keep].tolist() for row, keep in zip(tokens, kept, strict=True)]
    return list(Tokenizer.from_str(tokenizer).decode_batch(rows, skip_special_tokens=True))


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, CorpusScore]:
    """BLEU and chrF, as `bleu` and `chrf`.

    The interval is sacrebleu's own: sentences are drawn 1,000 times with replacement, by NumPy's generator
    from sacrebleu's seed (12345, or what SACREBLEU_SEED says).

    Args:
        hypotheses: One a sentence.
        references: One a sentence.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF, CHRFScore

    class ChrF(CHRF):
        """Its scores are float32, except where nothing matches: their mean takes numbers of one type."""

        def _compute_score_from_stats(self, statistics: list[int]) -> CHRFScore:
            found = super()._compute_score_from_stats(statistics)
            found.score = float(found.score)
            return found

    found = {}
    for name, metric in zip(SCORES, (BLEU(), ChrF()), strict=True):
        score = metric.corpus_score(hypotheses, [references], n_bootstrap=BOOTSTRAP)
        told = json.loads(score.format(width=EXACT, signature="of:sentences", is_json=True))
        # It tells no interval where all draws score 0.
        found[name] = CorpusScore(float(score.score), float(told.get("confidence_var", 0.0)))
    return found
