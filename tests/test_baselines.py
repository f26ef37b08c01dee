"""The sides of the speed benchmarks do what they say, at sizes that a test can afford."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu
from benchmarks.baselines import eager, papers_cnll, plain
from benchmarks.baselines import scoring as scored
from benchmarks.baselines._workload import Workload, images_of
from benchmarks.baselines.growth import Load
from benchmarks.speed._sides import Side, alternate, ratio
from ensembudget import calibrated_nll
from ensembudget.rendering.render import from_csv
from ensembudget.scoring.calibration import halvings
from helpers import outside_pytest

ROOT = Path(__file__).parents[1]


def workload(**changes) -> Workload:
    fields = {
        "name": "tiny", "family": "wide_resnet", "options": {"depth": 10}, "width": 2, "members": 2,
        "size": 8, "train_size": 40, "batch_size": 16, "epochs": 1, "augmented": False,
    }  # fmt: skip
    return Workload.model_validate(fields | changes)


def test_both_sizes_are_the_same_digits():
    small, large = images_of(workload()).arrays, images_of(workload(size=32)).arrays
    assert large.train_inputs.shape == (40, 32, 32, 3)
    np.testing.assert_array_equal(large.train_inputs[:, ::4, ::4, 1], small.train_inputs[..., 0])
    np.testing.assert_array_equal(large.train_labels, small.train_labels)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("size", [8, 32])
def test_the_strong_loop_sees_normalised_images(size, augmented):
    images = eager.Images(images_of(workload(size=size)), augmented)
    batch = images.batch(torch.arange(40))
    assert batch.shape == (40, 1 if size == 8 else 3, size, size)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    if not augmented:
        torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(batch.shape[1]), atol=1e-5, rtol=0)


def test_the_strong_loop_learns():
    spec = workload(width=8, train_size=448, batch_size=64, epochs=8, test_size=500)
    images = eager.Images(images_of(spec), augmented=False)
    arrays = images_of(spec).arrays
    network = eager.train(spec, images, 0).eval()
    with torch.no_grad():
        predicted = network(images.normal(arrays.test_inputs)).argmax(1)
    assert (predicted.numpy() == arrays.test_labels).mean() > 0.85


@pytest.mark.parametrize("augmented", [False, True])
def test_the_papers_loop_gives_batches_of_tensors(augmented):
    images = plain.Images(workload(size=32, augmented=augmented))
    image, label = images[3]
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.float32
    assert label == images_of(workload()).arrays.train_labels[3]


def test_work_is_counted_for_all_members_and_epochs():
    assert workload(members=6, epochs=5).flops == 15 * workload().flops


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("members", [1, 3])
def test_the_papers_cnll_is_ours_when_its_tolerance_is_small(members, before):
    logits, labels = scored.pool(members, 300, 7)
    theirs = papers_cnll.cnll(
        logits.double().numpy(), labels.numpy(), halvings(300), before=before, tolerance=1e-9
    )
    assert calibrated_nll(logits, labels, before=before).nll == pytest.approx(theirs, abs=1e-6)


def test_ratios_are_of_paired_rounds():
    assert ratio([2.0, 9.0, 8.0], [1.0, 3.0, 8.0]) == (2.0, 1.0, 3.0)


@pytest.mark.slow
def test_every_side_answers_round_by_round():
    with Side("eager", workload()) as one, Side("plain", workload()) as two, Side("product") as three:
        rounds = alternate({"eager": one, "plain": two, "peak": three}, 2)
    assert all(len(found) == 2 and min(found) > 0 for found in rounds.values())
    assert min(rounds["peak"]) > 1e8
    with Side("ours", workload()) as ours:
        assert ours.round() > 0


def test_a_side_that_fails_is_named():
    with pytest.raises(RuntimeError, match="a side ended"), Side("eager", Load(what="scoring")):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("what", ["training", "scoring"])
def test_growth_is_of_seconds_and_memory(what):
    load = Load(what=what, members=2, width=2, size=8, pack=2)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.baselines.growth", load.to_json()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    used = json.loads(done.stdout)
    assert used["seconds"] > 0
    assert used["megabytes"] >= 0


@pytest.mark.slow
def test_the_gpu_script_runs_whole_at_toy_size(tmp_path):
    gpu.main(["--out", str(tmp_path), "--device", "cpu", "--toy", "--minutes", "4"])
    steps, checks = (from_csv((tmp_path / f"gpu_{name}.csv").read_text()) for name in ("steps", "checks"))
    assert {row["members"] for row in steps} == {1, 4}
    assert {row["precision"] for row in steps} == {"bfloat16", "float32"}
    assert all(row["split_ms"] or row["fault"] for row in steps)
    assert {row["verdict"] for row in checks if row["check"] == "float64 losses"} == {"same"}
    assert len(checks) >= 5
    assert (tmp_path / "gpu_steps.md").read_text().startswith("###")


def test_the_gpu_script_refuses_a_gpu_that_is_not_there(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "no GPU" in capsys.readouterr().err


def test_time_that_is_up_is_said_and_not_left_out(tmp_path):
    rows = list(gpu.step_rows(gpu.TOY, "cpu", lambda: -1.0))
    assert {row["fault"] for row in rows} == {"not reached in the time"}


def test_speed_is_measured_only_where_it_is_named():
    found = {
        where: subprocess.run(
            [sys.executable, "-m", "pytest", where, "--collect-only", "-q"],
            cwd=ROOT, env=outside_pytest(), capture_output=True, text=True, check=True,
        ).stdout
        for where in ("benchmarks", "benchmarks/speed")
    }  # fmt: skip
    assert "speed" not in found["benchmarks"]
    assert "test_costs" in found["benchmarks"]
    assert "speed/test_growth" in found["benchmarks/speed"]
