"""From a plane or a study to the best split of a budget: widths by closed form, draws counted again."""

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from ensembudget import studies
from ensembudget.cli import main
from ensembudget.errors import ArmError, FitError, PlanError
from ensembudget.prediction.budgets import Budgeted, Candidate, plane_budget, study_budget
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import WidthCurve, checked
from ensembudget.prediction.predict import LEVEL, predict
from ensembudget.prediction.read import read_plane
from ensembudget.prediction.sidecar import plane_document
from ensembudget.records import Arm, PublishedPlane
from ensembudget.scoring.ensembles import score_pool
from ensembudget.scoring.pools import pools_of
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.predict import study_plane
from prediction.planes import COARSE


def vgg(k: int) -> int:
    """VGG16 of width k for 100 classes, counted by hand: 3719 k^2 + 909 k + 100."""
    return 3719 * k**2 + 909 * k + 100


def cnll(n, k, narrowest=8):
    """A law that many thin members win."""
    return 0.5 + 0.4 * n**-0.8 + 0.6 * (k / narrowest) ** -1.0


def curve(k, sizes=(1, 2, 4, 8), parameters=vgg, falls=cnll, stderr=0.004) -> WidthCurve:
    n = np.array(sizes, float)
    covariance = stderr**2 * (0.75 + 0.25 * np.eye(len(n)))
    return WidthCurve(k, parameters(k), n, falls(n, k), covariance)


WIDTHS = (8, 11, 16, 23, 32, 45)


@pytest.fixture(scope="module")
def plane():
    return checked([curve(k) for k in WIDTHS], "plane")


@pytest.fixture(scope="module")
def posterior(plane):
    return fit_plane(plane, COARSE)


# Budgets of a plane.


@pytest.mark.parametrize(
    ("written", "widths"),
    [("15.3M", {1: 64, 2: 45, 4: 32, 8: 23, 16: 16, 32: 11, 64: 8}), ("30.6M", {2: 64, 4: 45, 64: 11})],
)
def test_the_widths_of_a_budget_are_those_of_the_closed_form(written, widths, plane):
    found = plane_budget(plane, written)
    assert (found.kind, found.budget) == ("parameters", round(1e6 * float(written[:-1])))
    assert [one.members for one in found.candidates][:7] == [1, 2, 4, 8, 16, 32, 64]
    by_size = {one.members: one for one in found.candidates}
    assert {size: by_size[size].width for size in widths} == widths
    for one in found.candidates:
        assert one.parameters == pytest.approx(vgg(one.width), rel=1e-3)
        assert one.members * one.parameters <= 1.05 * found.budget


def test_no_split_is_narrower_than_the_narrowest_width(plane):
    found = plane_budget(plane, "15.3M").candidates
    assert min(one.width for one in found) == 8
    assert max(one.members for one in found) == 64


def test_measured_widths_have_their_measured_parameters(plane):
    for k in WIDTHS:
        (only,) = plane_budget(plane, str(vgg(k)), [1]).candidates
        assert only == Candidate(1, k, vgg(k))


@pytest.mark.parametrize(
    ("budget", "sizes"), [(10_000, [1, 2, 4]), (20_000, [1, 2, 4, 8]), (30_000, [1, 2, 4, 8, 16])]
)
def test_every_size_whose_narrowest_members_fit_is_a_split_though_widths_are_coarse(budget, sizes):
    plane = checked([curve(k, parameters=wrn) for k in (2, 3, 4, 6)], "plane")
    assert sizes == [n for n in (1, 2, 4, 8, 16, 32, 64) if n * wrn(2) <= budget]
    found = plane_budget(plane, str(budget)).candidates
    assert [one.members for one in found] == sizes
    for one in found:
        nearest = min(range(2, 20), key=lambda k: abs(wrn(k) - budget / one.members))
        assert one.width == nearest
        assert one.parameters == pytest.approx(wrn(nearest), rel=0.01)
    asked = plane_budget(plane, str(budget), [4, 2, 3]).candidates
    assert [one.members for one in asked] == [1, 2, 3, 4]


def test_members_that_are_asked_for_come_with_the_wide_network(plane):
    found = plane_budget(plane, "15.3M", [16, 3, 3])
    assert [one.members for one in found.candidates] == [1, 3, 16]
    # 3719 k^2 + 909 k + 100 is 5.1M nearest at k = 37.
    assert found.candidates[1].width == min(range(1, 100), key=lambda k: abs(vgg(k) - 5.1e6))


def test_a_budget_below_the_smallest_member_is_refused_and_the_member_named(plane):
    with pytest.raises(PlanError, match=f"100,000 parameters.*width 8 with {vgg(8):,} parameters"):
        plane_budget(plane, "100k")
    assert len(plane_budget(plane, str(vgg(8))).candidates) == 1


@pytest.mark.parametrize("written", ["40MB", "5GFLOP"])
def test_a_budget_of_another_kind_is_refused(written, plane):
    with pytest.raises(PlanError, match=f"{written}.*parameters"):
        plane_budget(plane, written)


@pytest.mark.parametrize("written", ["lots", "0", "-5M", ""])
def test_a_budget_that_is_none_is_refused(written, plane):
    with pytest.raises(PlanError, match="budget"):
        plane_budget(plane, written)


# Predictions.


@pytest.fixture(scope="module")
def found(plane, posterior):
    return predict(posterior, [plane_budget(plane, one) for one in ("1.9M", "15.3M")])


def test_a_prediction_counts_its_draws(plane, posterior, found):
    asked = [plane_budget(plane, one) for one in ("1.9M", "15.3M")]
    places = list(dict.fromkeys(one for budget in asked for one in budget.candidates))
    n, _, parameters = np.array(places, float).T
    rows = dict(zip(places, posterior.draws(n, parameters, seed=0), strict=True))
    for one, budget in zip(found, asked, strict=True):
        drawn = np.array([rows[place] for place in budget.candidates])
        for i, split in enumerate(one.splits):
            lowest = np.mean([draw[i] == min(draw) for draw in drawn.T])
            assert split.probability_best == pytest.approx(lowest)
            for said, of in ((split.cnll, drawn[i]), (split.gain, drawn[0] - drawn[i]))[: i + 1]:
                tail = (1 - LEVEL) / 2
                assert said.value == pytest.approx(of.mean())
                assert (of < said.low).mean() == pytest.approx(tail, abs=0.002)
                assert (of > said.high).mean() == pytest.approx(tail, abs=0.002)


def test_probabilities_of_being_best_sum_to_one_and_the_wide_network_gains_nothing(found):
    for one in found:
        assert sum(split.probability_best for split in one.splits) == pytest.approx(1)
        wide = one.splits[0]
        assert wide.members == 1
        assert (wide.gain.value, wide.gain.low, wide.gain.high) == (0, 0, 0)
        best = min(one.splits, key=lambda split: split.cnll.value)
        assert one.best == best.members
        for split in one.splits:
            assert split.gain.value == pytest.approx(wide.cnll.value - split.cnll.value)
            assert split.cnll.low < split.cnll.value < split.cnll.high


def test_the_planted_law_is_predicted_and_its_best_split_found(found):
    for one in found:
        truth = {split.members: cnll(split.members, split.width) for split in one.splits}
        for split in one.splits:
            assert split.cnll.low < truth[split.members] < split.cnll.high
        assert truth[one.best] <= 1.01 * min(truth.values())


def test_extrapolation_is_by_how_much_the_largest_is_exceeded(found):
    largest = 8 * vgg(45)
    for one in found:
        for split in one.splits:
            beyond = split.extrapolation
            assert beyond.width == pytest.approx(max(1, split.width / 45))
            assert beyond.members == pytest.approx(max(1, split.members / 8))
            assert beyond.budget == pytest.approx(max(1, split.parameters_total / largest))
    assert found[1].splits[0].extrapolation.width == pytest.approx(64 / 45)


def test_a_budget_alone_is_predicted_as_among_others(plane, posterior, found):
    (alone,) = predict(posterior, [plane_budget(plane, "15.3M")])
    for one, other in zip(alone.splits, found[1].splits, strict=True):
        spread = other.cnll.high - other.cnll.low
        assert one.cnll.value == pytest.approx(other.cnll.value, abs=0.1 * spread)
        assert one.probability_best == pytest.approx(other.probability_best, abs=0.1)


def test_a_prediction_is_the_same_again_and_other_with_another_seed(plane, posterior):
    asked = [plane_budget(plane, "1.9M")]
    assert predict(posterior, asked, seed=3) == predict(posterior, asked, seed=3)
    assert predict(posterior, asked, seed=3) != predict(posterior, asked, seed=4)


def test_a_plane_that_carries_its_answer_says_ok(found):
    assert [one.status for one in found] == ["ok", "ok"]


def asked_of(posterior, *candidates):
    (one,) = predict(posterior, [Budgeted(10**9, "parameters", list(candidates))])
    return one


def test_only_what_lies_within_a_step_of_width_is_carried(posterior):
    # The two widest are 32 and 45: a step is a factor of 1.41, to 63 or 64.
    near, far = (asked_of(posterior, Candidate(1, k, vgg(k))) for k in (64, 90))
    assert near.status == "ok"
    assert "n = 1 of width 90 is 2.00 times as wide as the widest measured" in far.status
    assert "one step of width is 1.41 times" in far.status
    assert far.status.count("width 90") == 1  # the wide network is the best: said once
    reach = [one.splits[0].cnll.high - one.splits[0].cnll.low for one in (near, far)]
    assert reach[1] > 1.3 * reach[0]


def test_only_a_doubling_of_members_is_carried(posterior):
    wide = Candidate(1, 8, vgg(8))
    near, far = (asked_of(posterior, wide, Candidate(n, 45, vgg(45))) for n in (16, 32))
    assert (near.best, near.status) == (16, "ok")
    assert far.best == 32
    assert "n = 32 of width 45 has 4.0 times the 8 members" in far.status


def test_every_split_that_may_be_the_best_must_be_within_a_step(posterior):
    even = cnll(1, 40) - 0.5
    k = next(k for k in range(8, 200) if abs(0.4 * 1 + 0.6 * 8 / k - even) < 0.02)
    one = asked_of(posterior, Candidate(1, 40, vgg(40)), Candidate(1, 8, vgg(8)), Candidate(64, k, vgg(k)))
    assert "64" in one.status


def test_without_errors_there_are_values_and_no_intervals():
    plane = checked([curve(k, stderr=0.0) for k in WIDTHS], "plane")
    one = asked_of(fit_plane(plane, COARSE), Candidate(1, 45, vgg(45)), Candidate(2, 32, vgg(32)))
    assert "nothing says how well the cells" in one.status
    assert "--stderr" in one.status
    for split in one.splits:
        assert split.cnll.value == pytest.approx(cnll(split.members, split.width), abs=0.02)
        assert (split.cnll.low, split.cnll.high) == (split.gain.low, split.gain.high) == (None, None)
        assert split.probability_best is None


def test_three_widths_carry_nothing_wider():
    posterior = fit_plane(checked([curve(k) for k in (8, 16, 32)], "plane"), COARSE)
    assert asked_of(posterior, Candidate(1, 30, vgg(30))).status == "ok"
    assert "of 3 widths none can be held out" in asked_of(posterior, Candidate(1, 40, vgg(40))).status


@pytest.mark.parametrize(("shift", "carried"), [(0.0, True), (0.25, False)])
def test_nothing_wider_is_carried_where_the_widest_column_is_not_foretold(shift, carried):
    falls = lambda n, k: cnll(n, k) + shift * (k == 45)  # noqa: E731
    posterior = fit_plane(checked([curve(k, falls=falls) for k in WIDTHS], "plane"), COARSE)
    wider, within = (asked_of(posterior, Candidate(1, k, vgg(k))) for k in (50, 20))
    assert (wider.status == "ok") is carried
    assert ("the widest column, predicted from the others, is off by" in wider.status) is not carried
    assert "widest column" not in within.status


def test_a_column_that_is_not_foretold_widens_what_lies_beyond_and_not_what_lies_within():
    reach = []
    for shift in (0.0, 0.1):
        falls = lambda n, k: cnll(n, k) + shift * (k == 45)  # noqa: B023, E731
        posterior = fit_plane(checked([curve(k, falls=falls) for k in WIDTHS], "plane"), COARSE)
        reach.append(posterior.beyond.typical)
    assert reach[1] > 1.3 * reach[0]


def test_a_wider_answer_is_not_carried_where_cnll_rises_with_width():
    rising = checked([curve(k, falls=lambda n, k: 2 + 0.4 / n - 8 / k) for k in WIDTHS], "plane")
    posterior = fit_plane(rising, COARSE)
    (beyond,) = predict(posterior, [Budgeted(10**9, "parameters", [Candidate(1, 50, vgg(50))])])
    (within,) = predict(posterior, [Budgeted(10**9, "parameters", [Candidate(1, 40, vgg(40))])])
    assert "does not fall with width" in beyond.status
    assert "does not fall with width" not in within.status


@pytest.mark.parametrize(("shift", "status"), [(0.0, "ok"), (0.4, "not carried by the data: CNLL scatters")])
def test_a_plane_with_a_width_far_from_its_law_is_not_carried(shift, status):
    off = checked([curve(k, falls=lambda n, k: cnll(n, k) + shift * (k == 16)) for k in WIDTHS], "plane")
    (one,) = predict(fit_plane(off, COARSE), [Budgeted(10**7, "parameters", [Candidate(1, 32, vgg(32))])])
    assert one.status.startswith(status)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stderr", [0.0, 0.02])
def test_a_plane_of_noise_alone_is_not_carried(stderr, seed):
    rng = np.random.default_rng(seed)
    noise = [curve(k, falls=lambda n, k: 1 + 0.02 * rng.normal(size=len(n)), stderr=stderr) for k in WIDTHS]
    plane = checked(noise, "plane")
    (one,) = predict(fit_plane(plane, COARSE), [plane_budget(plane, "1.9M")])
    assert one.status.startswith("not carried by the data: ")
    assert "CNLL scatters about the law" in one.status


# The command line.


@pytest.fixture
def run(command, folder):
    """`run("predict", ...)` is one command in a folder with `plane.csv`."""
    write(
        folder / "plane.csv",
        [f"{n},{k},{vgg(k)},{cnll(n, k):.6f},0.004" for k in WIDTHS for n in (1, 2, 4)],
    )
    return command


def write(path, rows, header="members,width,parameters,cnll,stderr") -> None:
    path.write_text("\n".join([header, *rows]) + "\n")


def test_predict_prints_json_of_every_split(run):
    said = run("predict", "plane.csv", "--budget", "1.9M,15.3M", "--members", "1,2,4", "--format", "json")
    assert (said.code, said.err) == (0, "")
    for one, budget in zip(json.loads(said.out), (1_900_000, 15_300_000), strict=True):
        assert (one["budget"], one["budget_kind"], one["status"]) == (budget, "parameters", "ok")
        assert [split["members"] for split in one["splits"]] == [1, 2, 4]
        assert one["best"] == min(one["splits"], key=lambda split: split["cnll"]["value"])["members"]
        for split in one["splits"]:
            n, k = split["members"], split["width"]
            assert k == min(range(1, 100), key=lambda k: abs(vgg(k) - budget / n))
            assert split["cnll"]["low"] < cnll(n, k) < split["cnll"]["high"]
            assert {"probability_best", "gain", "extrapolation", "parameters_total"} <= set(split)
            assert set(split["gain"]) == set(split["cnll"]) == {"value", "low", "high"}
            assert set(split["extrapolation"]) == {"width", "members", "budget"}


def test_predict_prints_a_table_and_writes_every_format_and_a_figure(run, folder):
    said = run("predict", "plane.csv", "--budget", "1.9M", "--out", "found")
    assert (said.code, said.err) == (0, "")
    kinds = ("csv", "md", "tex", "html", "svg", "png")
    assert {path.name for path in (folder / "found").iterdir()} == {f"predictions.{k}" for k in kinds}
    assert all(path.stat().st_size > 100 for path in (folder / "found").iterdir())
    with (folder / "found" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (best,) = [row for row in rows if row["best"] == "best"]
    assert float(best["cnll"]) == min(float(row["cnll"]) for row in rows)
    (starred,) = [line for line in said.out.splitlines() if "★" in line]
    assert starred.split()[1:3] == [best["members"], "★"]
    assert best["width"] in starred.split()
    assert f"At 1,900,000 parameters the best split is expected to be n = {best['members']}" in said.out
    assert "Law: CNLL = " in said.out
    assert "nan" not in said.out.lower()


def test_predict_prints_csv(run):
    said = run("predict", "plane.csv", "--budget", "1.9M", "--members", "1,4", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["members"] for row in rows] == ["1", "4"]
    assert sum(float(row["probability_best"]) for row in rows) == pytest.approx(1)
    assert [float(row[f"gain{end}"]) for row in rows[:1] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert [row["budget_kind"] for row in rows] == ["parameters"] * 2


BAD = {
    "no such file": ("predict nowhere.csv --budget 1M", ("nowhere.csv", "No such file")),
    "no such study": ("predict digts --budget 1M", ("digts", "Did you mean 'digits'?")),
    "a study without a store": ("predict digits --budget 1M", ("no store", "--store")),
    "a budget too small": ("predict plane.csv --budget 100k", ("100,000", "width 8", f"{vgg(8):,}")),
    "one of two budgets too small": ("predict plane.csv --budget 2M,100k", ("100,000", "width 8")),
    "a budget in bytes": ("predict plane.csv --budget 40MB", ("40MB", "bytes")),
    "a budget that is none": ("predict plane.csv --budget lots", ("lots", "36.8M")),
    "an arm of a file without any": ("predict plane.csv --budget 2M --arm sgd", ("--arm", "sgd", "no arms")),
    "half a member": ("predict plane.csv --budget 2M --members 1,2.5", ("--members", "2.5")),
    "an error below zero": ("predict plane.csv --budget 2M --stderr -1", ("--stderr", "above 0")),
    "an error that is known": (
        "predict plane.csv --budget 2M --stderr 0.01",
        ("--stderr", "already has standard errors"),
    ),
    "an error of a study": ("predict digits --budget 2M --stderr 0.01", ("--stderr", "members")),
    "no members": ("predict plane.csv --budget 2M --members 0", ("--members", "at least 1")),
    "no budget": ("predict plane.csv", ("--budget",)),
    "an unknown format": ("predict plane.csv --budget 2M --format xml", ("--format", "xml")),
    "a folder that is a file": ("predict plane.csv --budget 2M --out plane.csv", ("plane.csv", "--out")),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_a_bad_request_ends_with_one_line_and_nothing_printed(arguments, words, run):
    said = run(*arguments.split())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("ensembudget: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert all(word in said.err for word in words), said.err


def test_a_plane_without_errors_is_predicted_without_intervals_and_says_why(run, folder):
    rows = [f"{n},{k},{vgg(k)},{cnll(n, k):.6f}" for k in WIDTHS for n in (1, 2, 4)]
    write(folder / "bare.csv", rows, "members,width,parameters,cnll")
    said = run("predict", "bare.csv", "--budget", "1.9M", "--out", "found")
    assert (said.code, said.err) == (0, "")
    assert "[" not in said.out.split("Law:")[0]
    assert "nothing says how well the cells of this plane are known" in said.out
    assert "best with probability" not in said.out
    assert "nan" not in said.out.lower()
    assert (folder / "found" / "predictions.png").stat().st_size > 100
    stated = run("predict", "bare.csv", "--budget", "1.9M", "--stderr", "0.004", "--format", "json")
    (one,) = json.loads(stated.out)
    assert one["status"] == "ok"
    for split in one["splits"]:
        assert split["cnll"]["low"] < cnll(split["members"], split["width"]) < split["cnll"]["high"]


def test_a_bad_plane_leaves_no_folder_behind(run, folder):
    write(folder / "bad.csv", ["1,8,100,0.5,0.1", "2,8,100,low,0.1"])
    said = run("predict", "bad.csv", "--budget", "1M", "--out", "found")
    assert (said.code, said.out) == (2, "")
    assert "row 2: cnll is 'low'" in said.err
    assert not (folder / "found").exists()


# A study.

STUDY = """
name = "small"
description = "four widths of a few digits"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
budgets = [5178]
members = [1]
widths = [2, 3, 6]
tolerance = 0.2
replicates = 2
pool = 3
stepping = { pack = 3, way = "separate", layout = "contiguous", compiled = false, threads = 1 }

[recipe]
epochs = 1
batch_size = 50
crop_padding = 0
flip = false
"""


def wrn(k: int) -> int:
    """WRN-10 on digits, by hand as in `test_flow`: 298 k^2 + 100 k + 10."""
    return 298 * k**2 + 100 * k + 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache):
    """A study, and a store with its three members of each of four widths."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(STUDY)
    store = folder / "store"
    assert main(["run", str(folder / "small.toml"), "--store", str(store), "--executor", "serial"]) == 0
    return folder / "small.toml", store


@pytest.fixture(scope="module")
def small(trained):
    path, store = trained
    planned = plan_study(studies.load_study(str(path)))
    return planned, Store(store), study_plane(planned, Store(store))


def test_the_plane_of_a_study_is_what_its_store_has(small):
    planned, store, plane = small
    assert plane.arm == ""
    assert [(one.width, one.parameters) for one in plane.curves] == [(k, wrn(k)) for k in (2, 3, 4, 6)]
    assert all(one.sizes[:2].tolist() == [1, 2] for one in plane.curves)
    assert plane.has_errors
    for cell in planned.cells:
        members = [store.read(run.key) for run in cell.runs]
        logits = torch.from_numpy(np.stack([one.test_logits for one in members]))
        scores = score_pool(logits, torch.from_numpy(members[0].test_labels))
        for size in (1, 2):
            assert plane.measured[size, cell.cell.width] == pytest.approx(scores.mean(size, "cnll"), abs=1e-9)


def test_the_splits_of_a_study_are_its_networks(small):
    *_, plane = small
    found = plane_budget(plane, "20k")
    assert (found.budget, found.kind) == (20_000, "parameters")
    assert [one.members for one in found.candidates] == [1, 2, 4, 8]
    for one in found.candidates:
        nearest = min(range(2, 50), key=lambda k: abs(one.members * wrn(k) - 20_000))
        assert (one.width, one.parameters) == (nearest, wrn(nearest))


@pytest.mark.parametrize("written", ["100kB", "100KB"])
def test_a_study_takes_budgets_in_bytes(written, small):
    *_, plane = small
    found = plane_budget(plane, written)
    assert (found.budget, found.kind) == (100_000, "bytes")
    # Four bytes a parameter, and the buffers of batch norms.
    for one in found.candidates:
        assert 4 * one.members * wrn(one.width) <= 1.05 * 100_000
        assert one.parameters == wrn(one.width)


def test_a_bare_number_is_in_the_unit_of_the_study(small):
    planned, _, plane = small
    bare = study_budget(planned.study.model_copy(update={"budget_kind": "bytes"}), plane, "100000")
    assert (bare.kind, bare) == ("bytes", plane_budget(plane, "100kB"))


def test_a_budget_below_the_narrowest_member_of_a_study_is_refused(small):
    *_, plane = small
    with pytest.raises(PlanError, match=r"1,000 parameters.*width 2 with 1,402 parameters"):
        plane_budget(plane, "1k")


def test_a_study_is_predicted_from_its_store(trained, run):
    path, store = trained
    said = run("predict", path, "--store", store, "--budget", "10k,20k", "--format", "json")
    assert (said.code, said.err) == (0, "")
    for one in json.loads(said.out):
        assert [split["members"] for split in one["splits"]][:3] == [1, 2, 4]
        assert sum(split["probability_best"] for split in one["splits"]) == pytest.approx(1)


def test_a_study_without_members_is_refused(trained, small, tmp_path):
    planned, *_ = small
    with pytest.raises(FitError, match=r"'small'.*no members yet"):
        study_plane(planned, Store(tmp_path / "fresh"))
    with pytest.raises(ArmError, match="--arm 'sgd'"):
        study_plane(planned, Store(tmp_path / "fresh"), "sgd")


def with_arms(study, *names):
    arms = [Arm(name=name, options={"depth": depth}) for name, depth in zip(names, (10, 16), strict=False)]
    return study.model_copy(update={"arms": arms})


def test_the_splits_of_a_study_with_one_arm_need_no_name(small):
    planned, _, plane = small
    assert study_budget(with_arms(planned.study, "only"), plane, "20k") == plane_budget(plane, "20k")


def test_the_splits_of_a_study_with_several_arms_are_those_of_the_arm_that_is_named(small):
    planned, _, plane = small
    both = with_arms(planned.study, "shallow", "deep")
    with pytest.raises(ArmError, match=r"study 'small' has 2 arms.*--arm: 'shallow', 'deep'"):
        study_budget(both, plane, "20k")
    with pytest.raises(ArmError, match=r"--arm 'dep' is not an arm of study 'small'. Did you mean 'deep'"):
        study_budget(both, plane, "20k", "dep")
    shallow, deep = (study_budget(both, plane, "20k", arm) for arm in ("shallow", "deep"))
    assert shallow == plane_budget(plane, "20k")
    assert max(one.width for one in deep.candidates) < max(one.width for one in shallow.candidates)
    assert study_budget(both, replace(plane, arm="deep"), "20k") == deep


# What a report publishes of it.


@pytest.fixture(scope="module")
def reported(trained, tmp_path_factory):
    """The folder of a report of the study."""
    path, store = trained
    folder = tmp_path_factory.mktemp("report")
    assert main(["report", str(path), "--store", str(store), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(reported, tmp_path):
    """`plane.csv` and `plane.json` of the report, to be changed."""
    for name in ("plane.csv", "plane.json"):
        shutil.copy(reported / name, tmp_path / name)
    return tmp_path / "plane.csv"


def test_the_plane_that_a_report_publishes_is_that_of_its_store(small, reported):
    _, _, stored = small
    read = read_plane(str(reported / "plane.csv"))
    assert (read.network, read.arm) == (stored.network, stored.arm)
    assert len(read.curves) == len(stored.curves)
    for one, other in zip(read.curves, stored.curves, strict=True):
        assert one[:2] == other[:2]
        assert all(np.array_equal(*pair) for pair in zip(one[2:], other[2:], strict=True))


@pytest.mark.parametrize("budget", ["10k,20k", "100kB", "7k"])
def test_a_store_and_the_plane_that_its_report_publishes_give_one_answer(budget, trained, reported, command):
    """From a CSV alone, without covariance and network, the answers differed: n = 16 and n = 32."""
    path, store = trained
    asked = "--budget", budget, "--format", "json"
    one = command("predict", path, "--store", store, *asked)
    other = command("predict", reported / "plane.csv", *asked)
    assert (one.code, one.err) == (other.code, other.err) == (0, "")
    assert one.out == other.out


def test_a_plane_in_csv_without_what_is_beside_it_is_read_as_before(reported, tmp_path):
    shutil.copy(reported / "plane.csv", tmp_path / "alone.csv")
    alone, both = read_plane(str(tmp_path / "alone.csv")), read_plane(str(reported / "plane.csv"))
    assert alone.network is None
    assert alone.cnll == pytest.approx(both.cnll, rel=1e-12)
    assert not np.allclose(alone.covariance, both.covariance)


def test_a_plane_that_was_edited_is_refused_beside_what_was_published_with_it(copied, command):
    copied.write_text(copied.read_text() + "8,2,1402,1.5,,1,1.5,0.5\n")
    said = command("predict", copied, "--budget", "20k")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert all(word in said.err for word in ("has changed since", "plane.json", "move the JSON away"))
    copied.with_suffix(".json").unlink()
    assert command("predict", copied, "--budget", "20k").code == 0


def bent(published: dict, how: str) -> object:
    """What `plane.json` may have become."""
    curve = published["arms"][0]["curves"][0]
    match how:
        case "a list":
            return [published]
        case "another format":
            published["format"] = 2
        case "a field too many":
            published["mood"] = "good"
        case "no network":
            del published["arms"][0]["network"]
        case "a width less":
            del published["arms"][0]["curves"][0]
        case "a size less":
            curve["members"].pop()
        case "a cnll less":
            curve["cnll"].pop()
        case "another cnll":
            curve["cnll"][0] *= 1.001
        case "other parameters":
            curve["parameters"] += 1
        case "a row of the covariance less":
            curve["covariance"].pop()
        case "a covariance that is not symmetric":
            curve["covariance"][0][1] += 1.0
        case "a negative variance":
            curve["covariance"][0][0] = -1.0
        case "another arm":
            published["arms"][0]["arm"] = "sgd"
    return published


BENT = (
    "a list", "another format", "a field too many", "no network", "a width less", "a size less",
    "a cnll less", "another cnll", "other parameters", "a row of the covariance less",
    "a covariance that is not symmetric", "a negative variance", "another arm",
)  # fmt: skip


@pytest.mark.parametrize("how", BENT)
def test_a_description_of_a_plane_that_cannot_be_is_told_in_one_message(how, copied, command):
    beside = copied.with_suffix(".json")
    beside.write_text(json.dumps(bent(json.loads(beside.read_text()), how)))
    said = command("predict", copied, "--budget", "20k")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert all(word in said.err for word in (str(beside), str(copied), "move the JSON away")), said.err


@pytest.mark.parametrize("content", [b"", b"not json", b"\xff\xfe", b"{}", b'{"format": 1e999}'])
def test_what_is_beside_a_plane_and_is_no_description_is_told_in_one_message(content, copied, command):
    copied.with_suffix(".json").write_bytes(content)
    said = command("predict", copied, "--budget", "20k")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert "does not describe the plane" in said.err


def test_what_is_published_comes_back_to_the_last_bit(reported):
    text = (reported / "plane.json").read_text()
    assert PublishedPlane.from_json(text).to_json() + "\n" == text


def test_a_plan_of_an_older_version_asks_the_dataset_what_a_network_must_fit(small):
    planned, store, plane = small
    older = planned.model_copy(update={"task": None})
    assert type(planned).from_json(older.to_json()).task is None
    assert study_plane(older, store).network == plane.network
    assert plane_document(older, pools_of(older, store), b"") == plane_document(
        planned, pools_of(planned, store), b""
    )


def test_without_its_dataset_a_plan_of_an_older_version_publishes_no_network(small, tmp_path):
    planned, store, _ = small
    gone = planned.study.model_copy(update={"dataset": f"folder:{tmp_path / 'gone'}"})
    older = planned.model_copy(update={"task": None, "study": gone})
    document = PublishedPlane.from_json(plane_document(older, pools_of(older, store), b""))
    assert document.arms[0].network is None
    assert document.arms[0].curves
