"""BLEU and chrF of an ensemble's translations, by greedy and by beam search.

Both searches choose the next token by the mean of the members' probabilities.
"""

import torch
from torch import Tensor

from ...datasets._base import Arrays
from ...datasets._order import permutation
from ...decoding.corpus import SCORES, corpus_scores, missing_packages, sentences_of
from ...decoding.ensemble import NextToken, Packed
from ...decoding.search import SEARCHES, beam_search
from ...records import TokenTask, Values
from ..site import Site, finite
from ._base import Findings, OnShare, Probe
from ._shared import disjoint, within

EXAMPLES = 3  # translations shown in a report


def measure(site: Site, options: Values, on_share: OnShare) -> Findings:
    """Translates test sentences and scores them.

    Returns:
        Facts `greedy_bleu`, `greedy_chrf`, `beam_bleu` and `beam_chrf`; the same names with `_reach`, half
        the width of the 95% interval; and `sentences`, how many were translated. Examples have a `source`, a
        `reference`, and a translation by each search.
    """
    arrays, task = site.data.arrays, site.task
    assert isinstance(task, TokenTask)
    chosen = permutation(len(arrays.test_inputs))[: int(options["sentences"])]
    sources = torch.from_numpy(arrays.test_inputs[chosen, : task.source])
    labels = torch.from_numpy(arrays.test_labels[chosen])
    texts = {"source": sources, "reference": labels} | translated(site, sources, options, on_share)
    read = {name: sentences_of(arrays.tokenizer, tokens) for name, tokens in texts.items()}
    facts: dict[str, float | None] = {"sentences": len(chosen)}
    for search in SEARCHES:
        found = corpus_scores(read[search], read["reference"])
        for name in SCORES:
            facts |= {f"{search}_{name}": finite(found[name].value)}
            facts |= {f"{search}_{name}_reach": finite(found[name].reach)}
    on_share(1.0)
    examples = [{name: some[i] for name, some in read.items()} for i in range(min(EXAMPLES, len(chosen)))]
    return Findings(facts=facts, examples=examples)


def translated(site: Site, sources: Tensor, options: Values, on_share: OnShare) -> dict[str, Tensor]:
    """The translations by each search, as tokens, (sentence, position).

    Args:
        site: Its members are the ensemble.
        sources: Source sentences, (sentence, position).
        options: The options of the probe.
        on_share: Called with the share that is done, up to 0.9.
    """
    task = site.task
    assert isinstance(task, TokenTask)
    ensemble = [Packed(*each) for each in site.members()]
    step = NextToken(ensemble, sources, task, site.feed)
    longest = task.predicted
    shares = (0, 0.2), (0.2, 0.9)  # a beam takes longer
    return {
        search: beam_search(step, len(sources), longest, width, within(on_share, *share, longest))
        for search, width, share in zip(SEARCHES, (1, int(options["beam"])), shares, strict=True)
    }


def _size(options: Values) -> int:
    """Members of one ensemble. A plan replaces `members = 0`, which means every size, before it measures."""
    return max(1, int(options["members"]))


def groups(pool: int, options: Values) -> list[tuple[int, ...]]:
    return disjoint(pool, _size(options), int(options["groups"]))


def needs(options: Values) -> int:
    return _size(options) * int(options["groups"])


LEAST = {
    "beam": (2, "of one hypothesis it is greedy search"),
    "sentences": (2, "an interval needs two"),
    "groups": (1, "there is nothing to measure"),
}


def fault(options: Values, parameters: int) -> str | None:
    for name, (least, why) in LEAST.items():
        if int(options[name]) < least:
            return f"{name} = {options[name]}: {why}. Set {name} to at least {least}."
    return None


def lacks(arrays: Arrays) -> str | None:
    if not arrays.tokenizer:
        return "the dataset has no tokenizer that makes tokens text. Leave the probe out."
    if missing := missing_packages():
        return f"it needs {' and '.join(missing)}, not installed: pip install 'ensembudget[text]'."
    return None


probe = Probe(
    measure,
    groups,
    needs,
    shows="sentences",
    options={"members": 0, "groups": 1, "sentences": 200, "beam": 4},
    fault=fault,
    tasks=frozenset(("translation",)),
    lacks=lacks,
    each_size=True,
)
