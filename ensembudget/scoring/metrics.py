"""What one averaged prediction is worth: log-probabilities (sample, class) against labels (sample,)."""

import torch
from torch import Tensor

from ..errors import ScoreError

ECE_BINS = 15


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Refuses logits and labels that no score could be true of.

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


def label_losses(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Each sample's negative log-likelihood, nats: (..., sample, class) to (..., sample)."""
    index = labels.expand(log_probs.shape[:-1])[..., None]
    return -log_probs.gather(-1, index)[..., 0]


def accuracy(log_probs: Tensor, labels: Tensor) -> float:
    """Share of samples whose likeliest class is theirs.

    >>> accuracy(torch.tensor([[0.9, 0.1], [0.8, 0.2]]).log(), torch.tensor([0, 1]))
    0.5
    """
    return float((log_probs.argmax(1) == labels).double().mean())


def brier(log_probs: Tensor, labels: Tensor) -> float:
    """Squared distance of the probabilities from the truth, summed over classes, mean over samples.

    Source: Brier 1950, in the form that runs from 0 to 2.

    >>> round(brier(torch.tensor([[0.5, 0.5]], dtype=torch.float64).log(), torch.tensor([0])), 12)
    0.5
    """
    probs = log_probs.exp()
    of_label = probs.gather(1, labels[:, None])[:, 0]
    return float((probs.square_().sum(1) - 2 * of_label + 1).mean())


def ece(log_probs: Tensor, labels: Tensor, bins: int = ECE_BINS) -> float:
    """Expected calibration error of the likeliest class, over bins of equal width (low, high].

    Source: Guo et al. 2017, arXiv:1706.04599.

    >>> round(ece(torch.tensor([[0.8, 0.2]] * 2, dtype=torch.float64).log(), torch.tensor([0, 1])), 12)
    0.3
    """
    highest, predicted = log_probs.max(1)
    confidence, right = highest.exp(), (predicted == labels).double()
    # A confidence on an edge belongs below it, whichever way it was rounded.
    place = (confidence * bins - 1e-9).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, confidence.double() - right)
    return float(gap.abs().sum() / len(labels))


def agreement(predictions: Tensor) -> Tensor:
    """Share of samples on which two members predict alike: (member, sample) to (member, member)."""
    return torch.stack([(one == predictions).double().mean(1) for one in predictions])


def disagreement(agreements: Tensor) -> float | None:
    """Share of samples on which two members predict differently, mean over pairs; None for one.

    Args:
        agreements: Of the members, (member, member), as from `agreement`.

    >>> disagreement(agreement(torch.tensor([[0, 1, 1], [1, 1, 2]])))
    0.666...
    """
    members = len(agreements)
    if members == 1:
        return None
    pairs = members * (members - 1)
    return float(1 - (agreements.sum() - agreements.trace()) / pairs)
