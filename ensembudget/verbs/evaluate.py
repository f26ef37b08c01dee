"""Scores a plan's pools out of a store."""

from dataclasses import replace

from ..errors import IncompleteError
from ..records import Plan
from ..scoring.pools import Results, pools_of, scored, with_histories
from ..store import ReadableStore
from .probing import probe_status


def evaluate(plan: Plan, store: ReadableStore, *, allow_partial: bool = False) -> Results:
    """Scores every pool of a plan, every ensemble size, from stored logits alone.

    Args:
        plan: What was planned.
        store: Where the members are.
        allow_partial: Whether to go on with the members there are.

    Raises:
        IncompleteError: Members, probes or choices are missing, and `allow_partial` is False.
        StoreError: A member is damaged.
        ScoreError: Two members of a pool have the same logits, or other labels.
    """
    if plan.pending and not allow_partial:
        raise IncompleteError(
            f"study {plan.study.name!r} has {len(plan.pending)} of {len(plan.tuning)} choices still to be"
            " made, and its tuned pools follow from them. Train it with `run`, or report what there is with"
            " --allow-partial."
        )
    found = pools_of(plan, store)
    alone = {pool.planned.cell.key: pool for pool in found}
    missing = sum(pool.missing for pool in alone.values())
    if missing and not allow_partial:
        raise IncompleteError(
            f"study {plan.study.name!r} lacks {missing} of {plan.members} members in store"
            f" {str(store.root)!r}. Train them with `run`, or report what there is with --allow-partial."
        )
    if missing == plan.members:
        raise IncompleteError(f"study {plan.study.name!r} has no member yet in store {str(store.root)!r}.")
    done = {one.member.run.key for pool in alone.values() for one in pool.trained}
    probing = probe_status(plan, store, done)
    if probing.missing and not allow_partial:
        raise IncompleteError(
            f"study {plan.study.name!r} lacks {probing.missing} of {probing.planned} probes in store"
            f" {str(store.root)!r}. Measure them with `run` (in Python `probe`), or report what there is with"
            " --allow-partial."
        )
    kind = plan.task.kind if plan.task else ""
    whole = {key: with_histories(scored(pool, kind), store) for key, pool in alone.items()}
    pools = tuple(replace(whole[pool.planned.cell.key], planned=pool.planned) for pool in found)
    return Results(plan, pools, probing.found, probing.missing)
