"""Refuses logits and labels that cannot be scored."""

import torch
from torch import Tensor

from ..errors import ScoreError


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Refuses logits and labels that cannot be scored.

    Args:
        logits: (member, sample, class), any float dtype.
        labels: (sample,), integers in [0, class).

    Raises:
        ScoreError: Shapes or types disagree, fewer than two samples or classes, a label out of
            range, or a number that is not finite; names the first.
    """
    if logits.ndim != 3 or 0 in logits.shape:
        raise ScoreError(f"logits have shape {tuple(logits.shape)}; needed is (member, sample, class).")
    if not logits.is_floating_point():
        raise ScoreError(f"logits are of type {logits.dtype}; needed is a float type.")
    members, samples, classes = logits.shape
    if labels.shape != (samples,):
        raise ScoreError(
            f"labels have shape {tuple(labels.shape)}, but logits have {samples} samples: ({samples},)."
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ScoreError(f"labels are of type {labels.dtype}; needed is an integer type.")
    if samples < 2 or classes < 2:
        raise ScoreError(
            f"{samples} samples of {classes} classes cannot be scored; at least 2 of each are needed."
        )
    # Small and unsigned types lack comparisons: what is asked of them is asked of wider ones.
    logits, labels = logits.float() if logits.element_size() < 2 else logits, labels.long()
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise ScoreError(
            f"label {int(labels[first])} of sample {first} is not in 0..{classes - 1} ({classes} classes)."
        )
    which = [i for i, member in enumerate(logits) if not member.isfinite().all()]
    if which:
        member, sample = which[0], int((~logits[which[0]].isfinite()).nonzero()[0, 0])
        raise ScoreError(
            f"logits of member {member}, sample {sample} are not finite; {len(which)} of {members} members"
            f" have such numbers ({', '.join(map(str, which[:8]))}). Leave those members out."
        )
