"""How fast members are trained, beside the papers' way and a strong ordinary loop, in one run.

Command: pytest benchmarks/speed/test_training.py -s. Takes about ten minutes on two cores. Every side is a
process of its own and trains the same members on the same images; rounds alternate between the sides, and
what is printed is the median of the ratios, never a time. Beside it stands the share of the machine's
matrix-product peak, measured between the rounds. Expected on two cores: see docs/performance.md.
"""

from contextlib import ExitStack

import pytest

from benchmarks.baselines._workload import SAMPLES, Workload
from benchmarks.speed._sides import Side, alternate, ratio

RESNET = {"options": {"depth": 10}}
DIGITS = {**RESNET, "size": 8, "train_size": 448, "batch_size": 64, "epochs": 20, "augmented": False}
IMAGES = {"size": 32, "train_size": SAMPLES, "batch_size": 128, "epochs": 1, "augmented": True}
CASES = {
    # WRN-10 at 78k parameters on digits, then at 1.2M in colour: n = 1 as two replicates
    "digits n=16": (Workload(name="digits n=16", width=4, members=16, **DIGITS), {"eager": 6.0}),
    "digits n=4": (Workload(name="digits n=4", width=8, members=4, **DIGITS), {"eager": 2.5}),
    "digits n=1": (Workload(name="digits n=1", width=16, members=2, **DIGITS), {"eager": 1.3}),
    "colour n=16": (
        Workload(name="colour n=16", width=16, members=16, **IMAGES, **RESNET),
        {"plain": 2.0, "eager": 1.5},
    ),
    "colour n=4": (Workload(name="colour n=4", width=32, members=4, **IMAGES, **RESNET), {"plain": 1.8}),
    "colour n=1": (Workload(name="colour n=1", width=64, members=2, **IMAGES, **RESNET), {"plain": 1.5}),
    "vgg16": (
        Workload(name="vgg16", family="vgg", options={"depth": 16}, width=16, members=2, **IMAGES),
        {"plain": 1.8},
    ),
}
SHARES = {"colour n=1": 0.7, "colour n=4": 0.55}  # of the peak, at widths 64 and 32


@pytest.mark.parametrize("case", CASES)
def test_members_are_trained_faster(case: str) -> None:
    workload, wanted = CASES[case]
    with ExitStack() as stack:
        sides = {n: stack.enter_context(Side(n, workload)) for n in ("ours", *wanted)}
        product = stack.enter_context(Side("product"))
        rounds = alternate(sides | {"peak": product})
    rates = [workload.flops / seconds for seconds in rounds["ours"]]
    share, *_ = ratio(rates, rounds["peak"])
    missed = []
    for side, least in wanted.items():
        middle, low, high = ratio(rounds[side], rounds["ours"])
        print(
            f"\n{case}: {middle:.2f} times {side} [{low:.2f}, {high:.2f}], bound {least}; {share:.0%} of peak"
        )
        missed += [f"{middle:.2f} times {side} is below {least}"] if middle < least else []
    if share < SHARES.get(case, 0):
        missed.append(f"{share:.0%} of the peak is below {SHARES[case]:.0%}")
    assert not missed, "; ".join(missed)


def test_a_split_costs_what_the_wide_network_costs() -> None:
    thin, wide = CASES["colour n=16"][0], CASES["colour n=1"][0]
    with Side("ours", thin) as many, Side("ours", wide) as one:
        rounds = alternate({"thin": many, "wide": one})
    middle, low, high = ratio(rounds["thin"], [seconds / wide.members for seconds in rounds["wide"]])
    print(f"\n16 members over the wide network, 1.2M parameters: {middle:.2f} [{low:.2f}, {high:.2f}]")
    assert middle <= 1.25
