"""Every metric is a number for every ensemble; one of another package is in every table of scores."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from ensembudget.catalog import METRICS, TASKS
from ensembudget.cli import main
from ensembudget.errors import ScoreError
from ensembudget.planning.plan import plan
from ensembudget.records import Study
from ensembudget.scoring.ensembles import score_pool
from ensembudget.store import Store
from helpers import publish, trained_as

LABELS = np.arange(60) % 10


def logits(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(60, 10)) + 2 * np.eye(10)[LABELS]).astype(np.float32)


POOL = torch.from_numpy(np.stack([logits(seed) for seed in range(4)]))
TRUTH = torch.from_numpy(LABELS)

TOP_TWO = '''
    """The share of samples whose true class is among the two likeliest."""

    from ensembudget.metrics._base import Metric


    def score(one):
        return float((one.log_probs.topk(2).indices == one.labels[:, None]).any(1).double().mean())


    metric = Metric(score, "top two", ".3f", rule="Top two: the true class is among the two likeliest.")
'''


def kind_of(name: str) -> str:
    """A kind of task that has this metric."""
    return min(METRICS[name].tasks or TASKS)


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_is_absent_where_the_task_lacks_it(name):
    for kind in TASKS:
        has = METRICS[name].tasks is None or kind in METRICS[name].tasks
        assert all((name in score.metrics) == has for score in score_pool(POOL[:2], TRUTH, kind=kind).scores)


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_is_a_finite_number_or_nothing_for_every_ensemble_of_a_pool(name):
    values = [score.metrics[name] for score in score_pool(POOL, TRUTH, kind=kind_of(name)).scores]
    assert all(value is None or math.isfinite(value) for value in values)
    assert any(value is not None for value in values)


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_has_what_its_column_needs(name):
    metric = METRICS[name]
    assert metric.heading
    assert format(0.5, metric.form)
    assert not metric.rule or metric.rule.endswith(".")


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_does_not_ask_in_which_order_members_and_samples_come(name):
    order = torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(0))
    whole, other = (
        score_pool(pool, labels, kind=kind_of(name)).scores[-1].metrics[name]
        for pool, labels in ((POOL, TRUTH), (POOL.flip(0)[:, order], TRUTH[order]))
    )
    assert other == pytest.approx(whole, abs=1e-12)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ensembudget(*arguments: str | Path) -> str:
    """A command in a process of its own, whose tables have the columns of what is installed now."""
    ran = subprocess.run([sys.executable, "-m", "ensembudget", *map(str, arguments)],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def top_two(members: list[int]) -> float:
    probs = np.exp([logits(seed).astype(np.float64) for seed in members])
    average = (probs / probs.sum(-1, keepdims=True)).mean(0)
    likeliest = np.argsort(-average, 1)[:, :2]
    return float((likeliest == LABELS[:, None]).any(1).mean())


@pytest.fixture
def metric_of_another_package(install) -> None:
    install("other", metrics={"top_two": TOP_TWO})


@pytest.mark.usefixtures("metric_of_another_package")
def test_a_metric_of_another_package_is_listed_and_scored_from_its_one_file(capsys):
    assert main(["ls", "metrics"]) == 0
    assert "among the two likeliest" in capsys.readouterr().out
    for score in score_pool(POOL, TRUTH).scores:
        first = score.members * score.replicate
        members = list(range(first, first + score.members))
        assert score.metrics["top_two"] == pytest.approx(top_two(members), abs=1e-12)


@pytest.mark.usefixtures("metric_of_another_package")
def test_a_metric_of_another_package_is_in_the_tables_of_logits_from_elsewhere(tmp_path):
    path = tmp_path / "pool.safetensors"
    path.write_bytes(safetensors.numpy.save({"logits": POOL.numpy(), "labels": LABELS}))
    said = ensembudget("evaluate", "--logits", path, "--format", "csv", "--out", tmp_path / "out")
    assert "top_two" in said
    assert float(lines(tmp_path / "out/scores.csv")[0]["top_two"]) == pytest.approx(top_two([0]))
    assert float(lines(tmp_path / "out/sizes.csv")[3]["top_two"]) == pytest.approx(top_two([0, 1, 2, 3]))
    assert "Top two: the true class" in (tmp_path / "out/sizes.md").read_text()


@pytest.mark.usefixtures("metric_of_another_package")
def test_a_metric_of_another_package_is_in_the_tables_of_a_report(tmp_path, digits):
    text = """
        name = "small"
        description = "one width"
        family = "wide_resnet"
        options = { depth = 10 }
        dataset = "digits"
        budgets = [10356]
        members = [2]
        pool = 4
    """
    (tmp_path / "small.toml").write_text(text)
    study = Study(name="small", description="one width", family="wide_resnet", options={"depth": 10},
                  dataset="digits", budgets=[10356], members=[2], pool=4)  # fmt: skip
    planned = plan(study, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    store = Store(tmp_path / "store")
    store.save_plan(planned)
    for run in planned.runs:
        publish(store, trained_as(run, logits(run.seed)), LABELS)
    ensembudget("report", tmp_path / "small.toml", "--store", store.root, "--out", tmp_path / "out")
    (split,) = lines(tmp_path / "out/memory_split.csv")
    expected = (top_two([0, 1]) + top_two([2, 3])) / 2
    assert float(split["top_two"]) == pytest.approx(expected, abs=1e-12)
    assert "top two" in (tmp_path / "out/memory_split.md").read_text()
    assert [float(line["top_two"]) for line in lines(tmp_path / "out/members.csv")] == [
        pytest.approx(top_two([seed]), abs=1e-12) for seed in range(4)
    ]
    names = list(lines(tmp_path / "out/scores.csv")[0])
    assert names.index("top_two") == names.index("disagreement") + 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lost", "float('nan')", "metric 'lost' of 1 members is nan"),
        ("lost", "one.log_probs.mean()", "metric 'lost' of 1 members is tensor"),
        ("cnll", "0.0", "metric 'cnll' cannot be used"),
    ],
)
def test_a_metric_that_is_no_number_or_hides_another_is_refused_by_name(name, value, words, install):
    source = f"""
        from ensembudget.metrics._base import Metric

        metric = Metric(lambda one: {value}, "lost")
    """
    install("other", metrics={name: source})
    with pytest.raises(ScoreError, match=words):
        score_pool(POOL, TRUTH)
