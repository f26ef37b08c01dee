"""Random logits whose labels are drawn from what is stated, or of a known signal."""

import numpy as np
import torch

from . import oracle


def calibrated(seed, samples=300, classes=4, members=1):
    """Logits, and labels drawn from the very probabilities that the first member states."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(members, samples, classes))
    uniform = rng.random((samples, 1))
    labels = (np.exp(oracle.log_softmax(logits[0])).cumsum(1) < uniform).sum(1)
    return torch.from_numpy(logits), torch.from_numpy(np.minimum(labels, classes - 1))
