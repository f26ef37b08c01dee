"""Real members of one study, dealt out to two sides again and again, are seldom called different."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from benchmarks.coverage.intervals import scored
from ensembudget import compare_results, train_pool
from ensembudget.planning.plan import plan
from ensembudget.records import Member, RecipeChoice, Run, Study
from ensembudget.scoring.pools import Pool, Results
from ensembudget.store import Stored
from helpers import HERE

TRIALS = 50
TRAINED, DEALT = 48, 8  # members of every width, and those that one side gets
FALSE = 0.10  # share of trials that may be false alarms
SHOWN = 400  # test images, so that 100 scorings take seconds

STUDY = Study(
    name="dealt",
    description="three widths of digits",
    family="wide_resnet",
    options={"depth": 10},
    dataset="digits",
    train_size=100,
    budgets=[5178, 11338],
    members=[1, 2],
    tolerance=0.2,
    replicates=4,
    pool=DEALT,
    recipe=RecipeChoice(epochs=2, batch_size=32, crop_padding=1),
)


@pytest.fixture(scope="module")
def trained(digits):
    """The plan, and real members of every width with seeds from 0 on."""
    planned = plan(STUDY, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    stored = {}
    for one in planned.cells:
        cell = one.cell
        recipe = {"epochs": 2, "batch_size": 32, "crop_padding": 1}
        pool = train_pool(
            cell.family, cell.width, digits, TRAINED, recipe=recipe, options=STUDY.options, train_size=100
        )
        stored[cell.width] = [
            _stored(Run(cell=cell, seed=seed), logits[:SHOWN], pool.labels[:SHOWN])
            for seed, logits in enumerate(pool.logits)
        ]
    return planned, stored


def _stored(run, logits, labels):
    member = Member(run=run, status="done", parameters=1, seconds=1.0, environment=HERE)
    return Stored(member, logits[:0], labels[:0], logits, labels, np.ones(1, np.float32), digest=run.key)


def results(planned, stored, seeds) -> Results:
    """Those of members with these seeds, by width."""
    pools = []
    for one in planned.cells:
        some = [stored[one.cell.width][seed] for seed in seeds[one.cell.width]]
        pool = Pool(one, tuple(some))
        sizes = sorted({split.members for split in planned.splits if split.width == one.cell.width})
        pools.append(replace(pool, scores=scored(pool.logits, pool.labels, sizes)))
    return Results(planned, tuple(pools))


@pytest.mark.slow
def test_real_members_with_other_seeds_are_seldom_called_different(trained, times, attacked):
    planned, stored = trained
    torch.set_num_threads(1)
    rng, alarms, zeros = np.random.default_rng(0), 0, 0
    trials = TRIALS * times
    for _ in range(trials):
        dealt = {width: rng.permutation(TRAINED)[: 2 * DEALT] for width in stored}
        a, b = (
            results(planned, stored, {width: sorted(order[part]) for width, order in dealt.items()})
            for part in (slice(DEALT), slice(DEALT, None))
        )
        alarms += bool(compare_results(a, b).differing)
        itself = compare_results(a, a)
        zeros += itself.is_same and not itself.differing
    found = binomtest(alarms, trials).proportion_ci()
    said = f"{alarms} of {trials} false alarms, {100 * found.low:.1f} to {100 * found.high:.1f}%"
    print(said)
    assert alarms <= FALSE * trials, said
    assert zeros == trials
    attacked("", f"two deals of real members compared: {said}; each with itself: no difference", trials)


@pytest.mark.slow
def test_members_of_another_recipe_are_called_different(trained, digits):
    """Of one width, members that were trained longer: it and no other is told apart."""
    planned, stored = trained
    width = planned.cells[0].cell.width
    recipe = {"epochs": 8, "batch_size": 32, "crop_padding": 1}
    pool = train_pool(
        "wide_resnet", width, digits, DEALT, recipe=recipe, options=STUDY.options, train_size=100
    )
    longer = {
        **stored,
        width: [
            _stored(Run(cell=planned.cells[0].cell, seed=100 + seed), logits[:SHOWN], pool.labels[:SHOWN])
            for seed, logits in enumerate(pool.logits)
        ],
    }
    first = {one: range(DEALT) for one in stored}
    then = {one: range(DEALT, 2 * DEALT) for one in stored} | {width: range(DEALT)}
    found = compare_results(results(planned, stored, first), results(planned, longer, then))
    assert {cell.b.pool.planned.cell.width for cell in found.differing} == {width}
