"""Decodes tokens to sentences, and scores sentences against references: BLEU and chrF by sacrebleu.

BLEU: Papineni et al. 2002, as Post 2018 (arXiv:1804.08771) computes it on detokenised text. chrF: Popovic
2015, on character n-grams alone, with recall weighted twice as much as precision (chrF2).
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from torch import Tensor

from ..tasks._tokens import END, PADDING

BOOTSTRAP = 1000  # resamples of the sentences: Koehn 2004
PACKAGES = ("sacrebleu", "tokenizers")
SCORES = ("bleu", "chrf")
EXACT = 17  # digits that give back a float64


class CorpusScore(NamedTuple):
    """A score of all sentences together, 0 to 100, and half the width of its 95% interval."""

    value: float
    reach: float


def missing_packages() -> list[str]:
    """The packages of the extra `text` that are not installed."""
    return [package for package in PACKAGES if find_spec(package) is None]


def sentences_of(tokenizer: str, tokens: Tensor) -> list[str]:
    """Decodes each row up to its end token.

    Args:
        tokenizer: A tokenizer as JSON, in the format of the tokenizers package.
        tokens: (sentence, position), without the start token; padding and negative labels are skipped.

    Returns:
        One text a sentence.
    """
    from tokenizers import Tokenizer

    before_end = (tokens == END).cumsum(1) == 0
    kept = before_end & (tokens > PADDING)
    rows = [row[keep].tolist() for row, keep in zip(tokens, kept, strict=True)]
    return list(Tokenizer.from_str(tokenizer).decode_batch(rows, skip_special_tokens=True))


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, CorpusScore]:
    """BLEU and chrF of translations, under the names `bleu` and `chrf`.

    The interval is sacrebleu's bootstrap: it resamples the sentences 1,000 times with its own seed (12345, or
    the environment variable SACREBLEU_SEED).

    Args:
        hypotheses: The translations, one a sentence.
        references: The references, in the same order.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF, CHRFScore

    class ChrF(CHRF):
        """sacrebleu mixes float32 scores with the float 0.0 of no match, and its mean takes one type."""

        def _compute_score_from_stats(self, statistics: list[int]) -> CHRFScore:
            found = super()._compute_score_from_stats(statistics)
            found.score = float(found.score)
            return found

    found = {}
    for name, metric in zip(SCORES, (BLEU(), ChrF()), strict=True):
        score = metric.corpus_score(hypotheses, [references], n_bootstrap=BOOTSTRAP)
        told = json.loads(score.format(width=EXACT, signature="of:sentences", is_json=True))
        # sacrebleu gives no interval where every resample scores 0.
        found[name] = CorpusScore(float(score.score), float(told.get("confidence_var", 0.0)))
    return found
