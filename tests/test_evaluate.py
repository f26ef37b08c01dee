"""Pools out of a store, and logits from elsewhere: what is refused, and what is left out and counted."""

import struct

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from scipy.special import log_softmax, logsumexp

import helpers
from ensembudget.datasets._data import Data
from ensembudget.errors import IncompleteError, ScoreError
from ensembudget.planning.plan import plan
from ensembudget.records import Plan, Study
from ensembudget.store import Store
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.predictions import HEADER_LIMIT, read_logits

LABELS = np.arange(40) % 10
POOL = 5


def logits(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(40, 10)) + 2 * np.eye(10)[LABELS]).astype(np.float32)


@pytest.fixture
def planned(digits: Data) -> Plan:
    study = Study(
        name="pool",
        description="one width",
        family="wide_resnet",
        options={"depth": 10},
        dataset="digits",
        budgets=[2 * 5178],
        members=[2],
        pool=POOL,
    )
    found = plan(study, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    assert [cell.cell.width for cell in found.cells] == [4]
    return found


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def publish(store, planned, seed, *, like=None, diverged_at=None, labels=LABELS):
    scored = logits(seed if like is None else like)
    if diverged_at is not None:
        scored = np.full_like(scored, np.nan)
    helpers.publish(store, helpers.trained_as(planned.runs[seed], scored, diverged_at=diverged_at), labels)


def by_hand(members: list[int]) -> float:
    """NLL of an ensemble, by SciPy."""
    each = log_softmax(np.stack([logits(seed) for seed in members]).astype(np.float64), -1)
    average = logsumexp(each, 0) - np.log(len(members))
    return float(-average[np.arange(40), LABELS].mean())


def test_a_whole_pool_is_scored_at_every_size(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed)
    results = evaluate(planned, store)
    pool = results.pools[0]
    assert not results.partial
    assert (pool.missing, pool.diverged, len(pool.trained)) == (0, 0, POOL)
    assert pool.logits.shape == (POOL, 40, 10)
    assert {score.members for score in pool.scores.scores} == {1, 2, 3, 4, 5}
    assert {score.cell for score in pool.scores.scores} == {planned.cells[0].cell.key}
    assert pool.scores.mean(5, "nll") == pytest.approx(by_hand([0, 1, 2, 3, 4]), abs=1e-9)
    assert pool.split_losses(5).members == 5
    assert pool.split_losses(6) is None


def test_a_diverged_member_is_left_out_of_scores_and_counted(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed, diverged_at=3 if seed == 1 else None)
    results = evaluate(planned, store)
    pool = results.pools[0]
    assert not results.partial  # it was trained: nothing is missing
    assert (pool.missing, pool.diverged) == (0, 1)
    assert [one.member.run.seed for one in pool.trained] == [0, 2, 3, 4]
    assert pool.scores.mean(4, "nll") == pytest.approx(by_hand([0, 2, 3, 4]), abs=1e-9)
    expected = (by_hand([0, 2]) + by_hand([3, 4])) / 2
    assert pool.scores.mean(2, "nll") == pytest.approx(expected, abs=1e-9)
    assert pool.split_losses(5) is None


def test_a_pool_of_diverged_members_has_no_scores(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed, diverged_at=0)
    results = evaluate(planned, store)
    assert results.pools[0].scores is None
    assert results.pools[0].diverged == POOL
    assert results.pools[0].split_losses(1) is None


def test_missing_members_are_refused_unless_partial_results_are_asked_for(store, planned):
    for seed in (0, 3):
        publish(store, planned, seed)
    with pytest.raises(IncompleteError, match=r"'pool' lacks 3 of 5 members.*--allow-partial"):
        evaluate(planned, store)
    results = evaluate(planned, store, allow_partial=True)
    assert results.partial
    pool = results.pools[0]
    assert (pool.missing, pool.diverged) == (3, 0)
    assert pool.scores.mean(2, "nll") == pytest.approx(by_hand([0, 3]), abs=1e-9)


@pytest.mark.parametrize("allow", [False, True])
def test_no_members_at_all_are_refused_either_way(allow, store, planned):
    with pytest.raises(IncompleteError) as caught:
        evaluate(planned, store, allow_partial=allow)
    assert caught.value.exit_code == 3
    assert str(store.root) in str(caught.value)


def test_copies_are_no_ensemble(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed, like=1 if seed == 4 else None)
    with pytest.raises(ScoreError, match="members 1 and 4 of width 4 have the same logits"):
        evaluate(planned, store)


def test_two_diverged_members_are_no_copies(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed, diverged_at=2 if seed in (1, 4) else None)
    assert evaluate(planned, store).pools[0].diverged == 2


def test_members_tested_on_other_labels_are_refused(store, planned):
    for seed in range(POOL):
        publish(store, planned, seed, labels=LABELS[::-1] if seed == 2 else LABELS)
    with pytest.raises(ScoreError, match="width 4 were tested on different labels"):
        evaluate(planned, store)


GOOD = {"logits": np.stack([logits(0), logits(1)]), "labels": LABELS}


def saved(path, **arrays):
    path.write_bytes(safetensors.numpy.save({**GOOD, **arrays}))
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("labels", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_logits_of_any_float_type_are_read(dtype, labels, tmp_path):
    path = tmp_path / "pool.safetensors"
    given = {"logits": torch.tensor(GOOD["logits"]).to(dtype), "labels": torch.tensor(LABELS).to(labels)}
    safetensors.torch.save_file(given, path)
    found = read_logits(path)
    assert torch.equal(found[0], given["logits"])
    assert torch.equal(found[1].long(), given["labels"].long())


def test_other_tensors_beside_them_do_no_harm(tmp_path):
    found = read_logits(saved(tmp_path / "pool.safetensors", notes=np.zeros(3)))
    assert found[0].shape == (2, 40, 10)


def broken(value, place=(1, 7, 3)):
    changed = GOOD["logits"].copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"logits": broken(np.nan)}, ["logits", "1"]),
        ({"logits": broken(np.inf)}, ["logits", "1"]),
        ({"logits": GOOD["logits"][0]}, ["(40, 10)", "(member, sample, class)"]),
        ({"logits": GOOD["logits"][:0]}, ["(0, 40, 10)"]),
        ({"logits": GOOD["logits"].astype(np.int32)}, ["int32", "float"]),
        ({"logits": GOOD["logits"][:, :, :1], "labels": 0 * LABELS}, ["1 classes", "at least 2"]),
        ({"labels": LABELS[:39]}, ["(39,)", "40 samples"]),
        ({"labels": LABELS[:, None]}, ["(40, 1)"]),
        ({"labels": LABELS.astype(np.float32)}, ["labels", "float32", "integer"]),
        ({"labels": LABELS > 4}, ["labels", "bool", "integer"]),
        ({"labels": np.where(np.arange(40) == 5, 10, LABELS)}, ["label 10 of sample 5", "0..9"]),
        ({"labels": np.where(np.arange(40) == 5, -1, LABELS)}, ["label -1 of sample 5", "0..9"]),
    ],
)
def test_numbers_that_cannot_be_scored_are_refused(arrays, words, tmp_path):
    with pytest.raises(ScoreError) as caught:
        read_logits(saved(tmp_path / "pool.safetensors", **arrays))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_labels_of_unusual_types_are_read_or_refused(dtype, tmp_path):
    path = tmp_path / "pool.safetensors"
    arrays = {"logits": torch.tensor(GOOD["logits"]), "labels": torch.tensor(LABELS).to(dtype)}
    safetensors.torch.save_file(arrays, path)
    try:
        assert torch.equal(read_logits(path)[1].long(), torch.tensor(LABELS))
    except ScoreError as error:
        assert str(dtype) in str(error)  # noqa: PT017


def test_logits_of_eight_bits_are_read_or_refused(tmp_path):
    path = tmp_path / "pool.safetensors"
    eight = torch.tensor(GOOD["logits"]).to(torch.float8_e4m3fn)
    safetensors.torch.save_file({"logits": eight, "labels": torch.tensor(LABELS)}, path)
    try:
        assert read_logits(path)[0].shape == eight.shape
    except ScoreError as error:
        assert "float8" in str(error)  # noqa: PT017


WHOLE = safetensors.numpy.save(GOOD)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"members,cnll\n1,0.8\n",
        WHOLE[:100],
        WHOLE[:-1],
        WHOLE + b"x",
        struct.pack("<Q", HEADER_LIMIT + 1) + b"{}",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**64 - 1) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xff\xff\xff",
    ],
    ids=["nothing", "three bytes", "text", "cut in its header", "cut in its data", "a byte too many",
         "long header", "huge header", "hugest header", "a list", "no text"],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused_by_name(content, tmp_path):
    path = tmp_path / "pool.safetensors"
    path.write_bytes(content)
    with pytest.raises(ScoreError) as caught:
        read_logits(path)
    assert str(path) in str(caught.value)
    assert "not a safetensors file" in str(caught.value)


def test_a_huge_header_is_not_believed(tmp_path, monkeypatch):
    """The reader of safetensors is not even asked, as it would set memory aside."""
    path = tmp_path / "pool.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    monkeypatch.setattr(safetensors.torch, "load_file", lambda path: pytest.fail("it was asked"))
    with pytest.raises(ScoreError):
        read_logits(path)


@pytest.mark.parametrize("missing", ["logits", "labels"])
def test_a_missing_tensor_is_named_beside_those_there_are(missing, tmp_path):
    path = tmp_path / "pool.safetensors"
    kept = {name: value for name, value in GOOD.items() if name != missing}
    path.write_bytes(safetensors.numpy.save({**kept, "extra": LABELS}))
    with pytest.raises(ScoreError, match=rf"extra.*missing: {missing}"):
        read_logits(path)


def test_a_path_that_is_no_file_is_refused_by_name(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ScoreError) as caught:
            read_logits(path)
        assert str(path) in str(caught.value)
