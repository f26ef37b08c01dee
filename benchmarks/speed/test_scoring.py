"""How fast a pool is scored at every ensemble size, beside the papers' procedure.

Command: pytest benchmarks/speed/test_scoring.py -s. Takes about fifteen minutes on two cores. A simulated
pool of 64 members x 10,000 samples x 100 classes, CNLL both ways, ten folds each. Ours scores all 280
disjoint ensembles in a process of its own, whose peak memory counts. The papers' procedure would take hours,
so it scores the first ensemble of 1, 2 and 4 members, and the sum over all 280 follows from its fastest rate
a member (larger ensembles leave the cache and take longer, so this favours it). Their results must agree to
1e-6 when the papers' tolerance is 1e-9.
"""

import statistics
import time

import pytest

from benchmarks.baselines import papers_cnll
from benchmarks.baselines.scoring import MEMBERS, SAMPLES, pool
from benchmarks.speed._sides import Side
from ensembudget import calibrated_nll
from ensembudget.scoring.calibration import halvings

ROUNDS = 5
SIZES = (1, 2, 4)
WAYS = {"after": False, "before": True}


@pytest.fixture(scope="module")
def simulated():
    logits, labels = pool(max(SIZES))
    return logits, labels, halvings(SAMPLES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_results_are_those_of_the_papers_procedure(simulated, way: str, size: int) -> None:
    logits, labels, folds = simulated
    few = slice(1000)  # a Nelder-Mead of this tolerance takes long
    folds = halvings(1000)
    theirs = papers_cnll.cnll(
        logits[:size, few].double().numpy(), labels[few].numpy(), folds, before=WAYS[way], tolerance=1e-9
    )
    ours = calibrated_nll(logits[:size, few], labels[few], before=WAYS[way]).nll
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_a_pool_is_scored_faster_and_within_memory(simulated) -> None:
    logits, labels, folds = simulated
    arrays = logits.double().numpy(), labels.numpy()
    ratios, slopes = [], []
    with Side("scoring") as side:
        for _ in range(ROUNDS):
            ours, seconds = side.round(), {}
            for size in SIZES:
                for way, before in WAYS.items():
                    began = time.perf_counter()
                    papers_cnll.cnll(arrays[0][:size], arrays[1], folds, before=before)
                    seconds[way, size] = time.perf_counter() - began
            # After averaging the size hardly matters; before it, every member is tempered anew.
            after = statistics.mean(seconds["after", size] for size in SIZES)
            each = min(seconds["before", size] / size for size in SIZES)
            slopes.append(seconds["before", 4] / seconds["before", 1])
            groups = {size: MEMBERS // size for size in range(1, MEMBERS + 1)}
            theirs = sum(count * (after + size * each) for size, count in groups.items())
            ratios.append(theirs / ours)
        memory = side.ask("memory")
    middle = statistics.median(ratios)
    print(
        f"\n{middle:.0f} times as fast as the papers' procedure [{min(ratios):.0f}, {max(ratios):.0f}];"
        f" peak memory {memory / 1e9:.2f} GB; theirs takes {statistics.median(slopes):.1f} times as long"
        " for 4 members as for 1"
    )
    assert middle >= 20
    assert memory <= 2e9
