"""Beam search: keeps the most probable hypotheses of each sentence and extends them token by token.

Finished hypotheses are compared by their mean log-probability per token, the end token included. Width 1 is
greedy search. A sentence is done once as many hypotheses have ended as the beam is wide, as in fairseq
(arXiv:1904.01038).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..tasks._tokens import END, PADDING, START

SEARCHES = ("greedy", "beam")  # the two ways to translate: a beam of width 1, and a wider one

# `step(sentences, prefixes)` gives log-probabilities of the next token, (hypothesis, token). Its arguments
# are the sentence that each hypothesis belongs to, (hypothesis,), and the tokens of each hypothesis after the
# start token, (hypothesis, position).
Step = Callable[[Tensor, Tensor], Tensor]


def beam_search(
    step: Step,
    sentences: int,
    longest: int,
    width: int,
    on_length: Callable[[int], None] = lambda length: None,
) -> Tensor:
    """Finds the best sequence for every sentence.

    The padding and start tokens are never chosen. A sequence of `longest` tokens counts as ended, with or
    without an end token.

    Args:
        step: Gives the log-probabilities of the next token.
        sentences: The number of sentences.
        longest: The most tokens of a sequence, its end token included.
        width: Hypotheses kept for each sentence, at least 1.
        on_length: Called with each length once it is done.

    Returns:
        Tokens without the start token, (sentence, longest), int64, padded, on the CPU.

    Example:
        Greedy search takes token 4 first, though token 5 and then the end are more probable together.

        >>> table = torch.full((6, 6), 1e-9)
        >>> table[START, 4], table[START, 5], table[4, END], table[5, END] = 0.6, 0.4, 0.3, 1.0
        >>> def step(sentences, prefixes):
        ...     last = prefixes[:, -1] if prefixes.shape[1] else torch.full((len(prefixes),), START)
        ...     return table[last].log()
        >>> beam_search(step, 1, 3, width=1).tolist(), beam_search(step, 1, 3, width=2).tolist()
        ([[4, 3, 0]], [[5, 3, 0]])
    """
    best = torch.full((sentences, longest), PADDING)
    best_scores = torch.full((sentences,), -torch.inf, dtype=torch.float64)
    ended = torch.zeros(sentences, dtype=torch.int64)  # hypotheses of each sentence
    searched = torch.arange(sentences)  # the sentences that are not done
    live, sums = torch.empty(sentences, 1, 0, dtype=torch.int64), best_scores.new_zeros(sentences, 1)
    for length in range(1, longest + 1):
        logs = step(searched.repeat_interleave(live.shape[1]), live.flatten(0, 1)).double().cpu()
        # A live hypothesis ends in one way, so twice the width leaves `width` of them to extend.
        totals, origins, tokens = _likeliest(sums, logs, 2 * width)
        grown = torch.cat([_picked(live, origins), tokens[:, :, None]], 2)

        is_end = tokens == END
        ends = (is_end | (length == longest)) & totals.isfinite()
        ends[:, width:] = False
        found, which = (totals / length).masked_fill(~ends, -torch.inf).max(1)
        better = found > best_scores[searched]
        best_scores[searched[better]] = found[better]
        best[searched[better], :length] = grown[better, which[better]]
        ended[searched] += ends.sum(1)
        on_length(length)

        unfinished = ended[searched] < width
        if length == longest or not unfinished.any():
            break
        order = is_end.long().argsort(dim=1, stable=True)[:, :width]
        live = _picked(grown, order)[unfinished]
        sums = totals.masked_fill(is_end, -torch.inf).gather(1, order)[unfinished]
        searched = searched[unfinished]
    return best


def _likeliest(sums: Tensor, logs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest extensions by one token of all hypotheses of each sentence.

    Args:
        sums: Log-probabilities of the hypotheses so far, (sentence, hypothesis).
        logs: Log-probabilities of their next tokens, (sentence x hypothesis, token).
        count: Extensions of each sentence, or all where there are fewer.

    Returns:
        Their log-probabilities, the hypotheses they extend and their tokens, (sentence, extension) each.
    """
    totals = sums[:, :, None] + logs.unflatten(0, sums.shape)
    totals[:, :, [PADDING, START]] = -torch.inf
    values, places = totals.flatten(1).topk(min(count, totals[0].numel()))
    return values, places // logs.shape[1], places % logs.shape[1]


def _picked(hypotheses: Tensor, places: Tensor) -> Tensor:
    """Picks hypotheses, (sentence, hypothesis, position), by index, (sentence, choice)."""
    return hypotheses.gather(1, places[:, :, None].expand(-1, -1, hypotheses.shape[2]))
