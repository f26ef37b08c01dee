"""Scores a large simulated pool at every size; answers with the seconds and, at last, the peak memory.

The logits are a signal of the labels, noise that all members share and noise of each one's own, so that
single members are right on seven samples in ten and ensembles on more.
"""

import resource
import sys
import time

import torch
from torch import Tensor

from ensembudget.scoring.ensembles import score_pool

MEMBERS, SAMPLES, CLASSES = 64, 10_000, 100


def pool(members: int = MEMBERS, samples: int = SAMPLES, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Logits (member, sample, class), float32, and labels (sample,)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (samples,), generator=generator)
    shared = 1.5 * torch.randn(samples, classes, generator=generator)
    shared[torch.arange(samples), labels] += 6.0
    logits = torch.empty(members, samples, classes)
    for one in logits:
        one.copy_(shared).add_(1.5 * torch.randn(samples, classes, generator=generator))
    return logits, labels


def main() -> None:
    logits, labels = pool()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
            continue
        began = time.perf_counter()
        score_pool(logits, labels)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
