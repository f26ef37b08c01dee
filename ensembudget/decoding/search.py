"""Beam search: the most probable sequences, extended token by token.

Hypotheses are compared by their mean log-probability per token, the end among them. Of width 1 it is greedy
search. A sentence is done when as many hypotheses have ended as the beam is wide, as in fairseq
(arXiv:1904.01038).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..tasks._tokens import END, PADDING, START

# `step(sentences, prefixes)`: log-probabilities of the next token, (hypothesis, token), by the sentence that
# each hypothesis is of, (hypothesis,), and its tokens after the start, (hypothesis, token).
Step = Callable[[Tensor, Tensor], Tensor]


def beam_search(
    step: Step,
    sentences: int,
    longest: int,
    width: int,
    on_length: Callable[[int], None] = lambda length: None,
) -> Tensor:
    """The best sequence that is found for every sentence.

    Padding and start are never chosen. A sequence of `longest` tokens ends there, whether its end was chosen
    or not.

    Args:
        step: What is probable next.
        sentences: How many.
        longest: Tokens of a sequence, its end among them.
        width: Hypotheses that are kept of a sentence, at least 1.
        on_length: Called with each length that is done.

    Returns:
        Tokens without the start, (sentence, longest), int64, padded; all on the CPU.

    Example:
        Greedy search takes token 4 first; 5 and the end are more probable together.

        >>> table = torch.full((6, 6), 1e-9)
        >>> table[START, 4], table[START, 5], table[4, END], table[5, END] = 0.6, 0.4, 0.3, 1.0
        >>> def step(sentences, prefixes):
        ...     last = prefixes[:, -1] if prefixes.shape[1] else torch.full((len(prefixes),), START)
        ...     return table[last].log()
        >>> beam_search(step, 1, 3, width=1).tolist(), beam_search(step, 1, 3, width=2).tolist()
        ([[4, 3, 0]], [[5, 3, 0]])
    """
    best = torch.full((sentences, longest), PADDING)
    scores = torch.full((sentences,), -torch.inf, dtype=torch.float64)
    ended, going = torch.zeros(sentences, dtype=torch.int64), torch.arange(sentences)
    live, sums = torch.empty(sentences, 1, 0, dtype=torch.int64), scores.new_zeros(sentences, 1)
    for length in range(1, longest + 1):
        logs = step(going.repeat_interleave(live.shape[1]), live.flatten(0, 1)).double().cpu()
        logs[:, [PADDING, START]] = -torch.inf
        totals = sums[:, :, None] + logs.unflatten(0, sums.shape)
        # Every hypothesis can end, so that as many again go on.
        values, places = totals.flatten(1).topk(min(2 * width, totals[0].numel()))
        tokens, origins = places % logs.shape[1], places // logs.shape[1]
        grown = torch.cat([_chosen(live, origins), tokens[:, :, None]], 2)
        is_end = tokens == END
        ends = (is_end | (length == longest)) & values.isfinite()
        ends[:, width:] = False
        found, which = (values / length).masked_fill(~ends, -torch.inf).max(1)
        better = found > scores[going]
        scores[going[better]] = found[better]
        best[going[better], :length] = grown[better, which[better]]
        ended[going] += ends.sum(1)
        on_length(length)
        goes_on = ended[going] < width
        if length == longest or not goes_on.any():
            break
        order = is_end.long().argsort(dim=1, stable=True)[:, :width]
        live = _chosen(grown, order)[goes_on]
        sums = values.masked_fill(is_end, -torch.inf).gather(1, order)[goes_on]
        going = going[goes_on]
    return best


def _chosen(hypotheses: Tensor, places: Tensor) -> Tensor:
    """Hypotheses (sentence, hypothesis, token) at places (sentence, choice)."""
    return hypotheses.gather(1, places[:, :, None].expand(-1, -1, hypotheses.shape[2]))
