"""What a reader must know about any table of a study: its data, its members, what is missing."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..planning.length import few_members, few_steps
from ..scoring.pools import Results
from ..tables._wording import samples_of

# Training is told to be too short where the loss still fell by this share in its last tenth, and was above
# this share of ln C nats, which a constant answer has.
FALL, FAR = 0.05, 0.1


def result_notes(results: Results) -> list[str]:
    """One sentence each on the study, what is partial, mixed environments, splits that miss their budget."""
    return [
        _study(results),
        *_first_look(results),
        *results.plan.notes,
        *_losses(results),
        *few_steps(results.plan),
        *_falling(results),
        *_partial(results),
        *few_members(results.plan, [len(pool.trained) for pool in results.pools]),
        *_environments(results),
        *_off_budget(results),
    ]


def _study(results: Results) -> str:
    cell, pools = results.plan.cells[0].cell, results.pools
    sizes = _either(f"{p.planned.cell.train_size:,}" for p in pools)
    epochs = _either(p.planned.cell.recipe.epochs for p in pools)
    modes = _either(p.planned.cell.mode for p in pools)
    precision = _either(p.planned.cell.recipe.precision for p in pools)
    options = _either(", ".join(f"{k} {v}" for k, v in p.planned.cell.options.items()) for p in pools)
    planned, done, diverged = _counts(results)
    return (
        f"{cell.family}{f' ({options})' if options else ''} on {cell.dataset}:"
        f" {_tested(results, sizes)}, {epochs} epochs, mode"
        f" {modes}, precision {precision}. {planned} members planned, {done} done, {diverged} diverged."
    )


def _tested(results: Results, sizes: str) -> str:
    """On how much members were trained and tested."""
    first = next(s for p in results.pools for s in p.stored)
    samples, tests = samples_of(results.plan), len(first.test_labels)
    if first.test_samples is None:
        return f"{sizes} training and {tests:,} test {samples}"
    return f"{sizes} training {samples} and {tests:,} test tokens"


def _first_look(results: Results) -> list[str]:
    replaced = results.plan.study.first_look
    return [f"FIRST LOOK: {replaced} in place of the study's own; its answer may differ."] if replaced else []


def _losses(results: Results) -> list[str]:
    """Whether networks have fitted their data: the last training loss beside the test loss."""
    pools = [pool for pool in results.pools if pool.scores is not None]
    if not pools:
        return []
    train = [float(np.mean([one.train_loss[-1] for one in pool.trained])) for pool in pools]
    test = [pool.scores.mean(1, "nll") for pool in pools if pool.scores is not None]
    return [
        f"Training loss of the last epoch {_range(train)} nats, test NLL of single members {_range(test)}:"
        " least and greatest mean over a pool."
    ]


def _falling(results: Results) -> list[str]:
    """A sentence on pools whose training loss still fell at the end, and was far from zero."""
    falls = {}
    for pool in results.distinct:
        curves = np.array([one.train_loss for one in pool.trained])
        epochs = curves.shape[-1]
        back = max(1, epochs // 10)
        if not len(curves) or epochs < 2:
            continue
        before, last = float(curves[:, -1 - back].mean()), float(curves[:, -1].mean())
        far = FAR * math.log(pool.logits.shape[-1])
        if last > far and before - last > FALL * before:
            falls[pool.planned.cell.width] = (1 - last / before, back, epochs)
    if not falls:
        return []
    share, back, epochs = max(falls.values())
    widths = ", ".join(map(str, sorted(falls)))
    return [
        f"TOO SHORT: the training loss of width {widths} was still falling at the end, by up to {share:.0%}"
        f" in the last {f'{back} epochs' if back > 1 else 'epoch'} of {epochs}: longer training may change"
        " which split is best. Ask for more epochs."
    ]


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


def _either(values: Iterable[object]) -> str:
    """Distinct values, as in "60, 40 or 25"."""
    *others, last = dict.fromkeys(map(str, values))
    return f"{', '.join(others)} or {last}" if others else last


def _counts(results: Results) -> tuple[int, int, int]:
    """Members planned, done and diverged."""
    pools = results.distinct
    return (
        sum(p.planned.members for p in pools),
        sum(len(p.trained) for p in pools),
        sum(p.diverged for p in pools),
    )


def _partial(results: Results) -> list[str]:
    if not results.partial:
        return []
    planned, done, diverged = _counts(results)
    lacks = []
    if missing := planned - done - diverged:
        lacks.append(f"{missing} of {planned} members are missing")
    if pending := len(results.plan.pending):
        lacks.append(
            f"{pending} of {len(results.plan.tuning)} choices are still to be made, and tuned pools follow"
            " from them"
        )
    if missing := results.missing_probes:
        are = "is" if missing == 1 else "are"
        lacks.append(f"{missing} of {missing + len(results.probes)} probes {are} missing")
    return [f"PARTIAL: {'; '.join(lacks)}; numbers will change."]


def _environments(results: Results) -> list[str]:
    found = [s.member.environment for p in results.pools for s in p.stored]
    where = sorted({(e.torch, e.device, f"{e.threads} threads", str(e)) for e in found})
    if len(where) < 2:
        return []
    return [f"Members were trained in {len(where)} environments: {'; '.join(map(', '.join, where))}."]


def _off_budget(results: Results) -> list[str]:
    off = [s for s in results.plan.splits if abs(s.error_percent) > 1]
    if not off:
        return []
    worst = max(off, key=lambda s: abs(s.error_percent))
    return [
        f"{len(off)} of {len(results.plan.splits)} splits miss their budget by more than 1%, at most"
        f" {worst.error_percent:+.1f}% (n = {worst.members} at {worst.budget:,}): widths are whole numbers."
    ]
