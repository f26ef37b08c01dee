import pytest
import torch

from ensembudget.errors import ScoreError
from ensembudget.scoring.check import check_logits

LOGITS = torch.zeros(2, 4, 3)
LABELS = torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        pytest.param(LOGITS[0], LABELS, r"shape \(4, 3\).*\(member, sample, class\)", id="two dimensions"),
        pytest.param(LOGITS[:0], LABELS, r"\(0, 4, 3\)", id="no members"),
        pytest.param(LOGITS[:, :0], LABELS[:0], r"\(2, 0, 3\)", id="no samples"),
        pytest.param(LOGITS.long(), LABELS, r"int64.*float", id="integer logits"),
        pytest.param(LOGITS, LABELS[:3], r"\(3,\).*4 samples", id="too few labels"),
        pytest.param(LOGITS, LABELS[:, None], r"\(4, 1\)", id="labels in a column"),
        pytest.param(LOGITS, LABELS.float(), r"float32.*integer", id="float labels"),
        pytest.param(LOGITS, LABELS.bool(), r"bool.*integer", id="boolean labels"),
        pytest.param(LOGITS[:, :1], LABELS[:1], r"1 samples of 3 classes", id="one sample"),
        pytest.param(LOGITS[..., :1], LABELS * 0, r"4 samples of 1 classes", id="one class"),
        pytest.param(
            LOGITS, torch.tensor([0, 1, 3, 7]), r"label 3 of sample 2 is not in 0\.\.2", id="too large"
        ),
        pytest.param(
            LOGITS, torch.tensor([0, -1, 2, 0]), r"label -1 of sample 1 is not in 0\.\.2", id="negative"
        ),
    ],
)
def test_what_cannot_be_scored_is_refused_with_what_is_wrong(logits, labels, message):
    with pytest.raises(ScoreError, match=message):
        check_logits(logits, labels)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_not_finite_name_their_member_and_sample(value):
    logits = torch.zeros(12, 4, 3)
    logits[1, 2, 0] = logits[1, 3, 0] = logits[11, 0, 0] = value
    with pytest.raises(ScoreError, match=r"member 1, sample 2 are not finite; 2 of 12 members.*\(1, 11\)"):
        check_logits(logits, LABELS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("labels", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_float_logits_and_integer_labels_of_every_width_are_accepted(dtype, labels):
    check_logits(LOGITS.to(dtype), LABELS.to(labels))
