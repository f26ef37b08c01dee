"""A study of several methods: planned by the cost of units, trained, reported; and what is refused."""

import numpy as np
import pytest

import ensembudget
from ensembudget import studies
from ensembudget.analysis.methods import method_comparisons
from ensembudget.budgets.activations import budget as activations
from ensembudget.errors import ArmError, StudyError
from ensembudget.planning.plan import plan
from ensembudget.prediction.network import planned_network
from ensembudget.records import Task
from ensembudget.rendering.render import from_csv
from ensembudget.scoring.ensembles import score_pool
from ensembudget.store import Store
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study

STUDY = """
name = "units"
description = "every method on a few digits"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 60
validation_size = 20
budgets = [20712]
members = [1, 2]
tolerance = 0.3
replicates = 1
pool = 3
stepping = { pack = 3 }

[recipe]
epochs = 4
batch_size = 20
crop_padding = 0
flip = false

[[arms]]
name = "whole"

[[arms]]
name = "snapshots"
method = "snapshots"
method_options = { predictors = 4 }

[[arms]]
name = "SWA"
method = "swa"
method_options = { start = 0.5 }

[[arms]]
name = "SWAG"
method = "swag"
method_options = { start = 0.5, predictors = 5, deviations = 2 }

[[arms]]
name = "tunnel"
method = "tunnel"
method_options = { predictors = 2 }
"""
NETWORKS = {"whole": 1, "snapshots": 4, "SWA": 1, "SWAG": 4, "tunnel": 2}
PREDICTORS = {"whole": 1, "snapshots": 4, "SWA": 1, "SWAG": 5, "tunnel": 2}
PARAMETERS = {1: 408, 2: 1402, 3: 2992, 4: 5178, 5: 7960, 6: 11338, 7: 15312, 8: 19882}  # of WRN-10, grey


@pytest.fixture(scope="module")
def folder_of_run(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("units")
    (folder / "units.toml").write_text(STUDY)
    planned = plan_study(studies.load_study(folder / "units.toml"))
    outcomes = ensembudget.run(planned, Store(folder / "store"), executor="serial")
    assert {one.status for one in outcomes} == {"done"}
    return folder


@pytest.fixture(scope="module")
def run_here(folder_of_run):
    return plan_study(studies.load_study(folder_of_run / "units.toml")), Store(folder_of_run / "store")


@pytest.fixture(scope="module")
def results(run_here):
    return evaluate(*run_here)


@pytest.fixture(scope="module")
def analysis(results):
    return analyse(results)


def make_plan(text=STUDY):
    study = studies.parse(text, "units")
    return plan(study, Task(10, 1, 8), digest="0" * 64, dataset="digits", train_samples=1000)


# What is planned.


def test_widths_spend_the_budget_on_units():
    for one in make_plan().splits:
        stored = one.members * NETWORKS[one.arm]
        width = min(PARAMETERS, key=lambda k: abs(stored * PARAMETERS[k] - 20712))
        assert one.width == width
        assert one.parameters_total == stored * PARAMETERS[width]
        assert one.predictors == one.members * PREDICTORS[one.arm]


def test_members_are_planned_and_not_predictors():
    found = make_plan()
    assert len(found.runs) == 3 * len(found.cells)
    whole = {one.cell.width: one.training_flops for one in found.cells if one.arm == "whole"}
    for one in found.cells:
        if one.cell.width in whole:
            assert one.training_flops == whole[one.cell.width]  # a unit is trained once


def test_every_arm_starts_from_the_same_weights_and_has_keys_of_its_own():
    text = STUDY.replace("budgets = [20712]", "widths = [4]")
    cells = {one.arm: one.cell for one in make_plan(text).cells}
    assert set(cells) == set(NETWORKS)
    assert len({cell.key for cell in cells.values()}) == len(cells)
    assert len({cell.start_key for cell in cells.values()}) == 1


def test_the_default_method_does_not_enter_a_key():
    plain = STUDY[: STUDY.index("[[arms]]")]
    alone, arms = make_plan(plain), make_plan()
    assert [one.cell.key for one in alone.cells] == [one.cell.key for one in arms.cells if one.arm == "whole"]
    facts = alone.cells[0].cell.key_facts()
    assert not {"method", "method_options"} & set(facts)


def test_options_left_out_and_defaults_written_down_are_one_cell():
    short = STUDY.replace("method_options = { start = 0.5 }", "")
    long = STUDY.replace(
        "method_options = { start = 0.5 }", "method_options = { start = 0.75, rate = 0.5, cycle = 1 }"
    )
    assert [one.cell.key for one in make_plan(short).cells] == [one.cell.key for one in make_plan(long).cells]
    assert make_plan(short).cells != make_plan().cells


def test_an_arm_that_names_no_method_lays_options_over_the_studys():
    text = STUDY[: STUDY.index("[[arms]]")].replace(
        "pool = 3", 'pool = 3\nmethod = "swag"\nmethod_options = { start = 0.25, deviations = 2 }'
    )
    text += """
[[arms]]
name = "more"
method_options = { predictors = 9 }

[[arms]]
name = "other"
method = "snapshots"
"""
    options = {one.arm: (one.cell.method, one.cell.method_options) for one in make_plan(text).cells}
    assert options["more"] == ("swag", {"predictors": 9, "deviations": 2, "start": 0.25, "rate": 0.5})
    assert options["other"] == ("snapshots", {"predictors": 4})


def test_activations_of_predictors_add_up_as_those_of_members():
    found = {(one.arm, one.members): one for one in make_plan().splits}
    whole, unit = found["whole", 2], found["snapshots", 1]
    from ensembudget.families._build import describe

    for one, times in ((whole, 2), (unit, 4)):
        network = describe("wide_resnet", one.width, Task(10, 1, 8), options={"depth": 10})
        assert one.activations_per_sample == times * activations.measure(network, Task(10, 1, 8), "float32")


# What is trained and reported.


def test_a_stored_unit_says_what_it_is(run_here):
    planned, store = run_here
    for run in planned.runs:
        one = store.read(run.key)
        arm = next(cell.arm for cell in planned.cells if cell.cell.key == run.cell.key)
        assert one.member.parameters == NETWORKS[arm] * PARAMETERS[run.cell.width]
        assert (one.member.unit is None) == (PREDICTORS[arm] == 1)
        if one.member.unit:
            assert one.member.unit.predictors == PREDICTORS[arm]
            assert (one.member.unit.radius is None) == (arm != "tunnel")
            # Log-probabilities: each image's sum to one.
            np.testing.assert_allclose(np.exp(one.test_logits.astype(float)).sum(1), 1, atol=1e-5)


def test_run_again_trains_nothing(run_here):
    planned, store = run_here
    assert ensembudget.run(planned, store, executor="serial") == []


def test_all_arms_are_compared_at_one_budget(analysis):
    (found,) = analysis.methods
    assert [(row.result.split.arm, row.result.split.members) for row in found.rows] == [
        (arm, n) for arm in NETWORKS for n in (1, 2)
    ]
    cnll = {
        (row.result.split.arm, row.result.split.members): row.contender.score.cnll.value for row in found.rows
    }
    deep = min(cnll["whole", 1], cnll["whole", 2])
    for row in found.rows:
        key = row.result.split.arm, row.result.split.members
        compared = row.contender.compared
        assert compared.above.value == pytest.approx(cnll[key] - min(cnll.values()), abs=1e-12)
        if key != ("whole", 1):
            assert compared.difference.value == pytest.approx(cnll[key] - cnll["whole", 1], abs=1e-12)
        if row is found.deep:
            assert row.from_deep is None
            assert cnll[key] == deep
        else:
            assert row.from_deep.value == pytest.approx(cnll[key] - deep, abs=1e-12)
            assert row.from_deep.low < row.from_deep.value < row.from_deep.high
        pool = row.result.pool
        units = [one.member.unit for one in pool.trained]
        if PREDICTORS[key[0]] > 1:
            assert row.facts["disagreement"] == pytest.approx(np.mean([one.disagreement for one in units]))
        else:
            assert set(row.facts.values()) == {None}
        assert row.training_flops == key[1] * pool.planned.training_flops


def test_an_ensemble_of_units_is_scored_as_the_mean_of_all_predictors(results):
    split = next(one for one in results.plan.splits if (one.arm, one.members) == ("snapshots", 2))
    pool = results.pool_of(split)
    whole = pool.logits.double().softmax(-1).mean(0)
    found = score_pool(pool.logits, pool.labels).mean(3, "nll")
    own = whole[np.arange(len(whole)), pool.labels]
    assert found == pytest.approx(float(-own.log().mean()), rel=1e-5)


def test_one_method_has_no_table(analysis):
    assert method_comparisons([one for one in analysis.budgets if one.setting.arm == "SWAG"]) == ()


def test_the_report_has_a_table_of_methods(folder_of_run, command, monkeypatch):
    monkeypatch.chdir(folder_of_run)
    said = command("report", "units.toml", "--store", "store", "--out", "report")
    assert said.code == 0, said.err
    rows = from_csv((folder_of_run / "report" / "methods.csv").read_text())
    assert [(row["arm"], row["members"], row["predictors"]) for row in rows] == [
        (arm, n, n * PREDICTORS[arm]) for arm in NETWORKS for n in (1, 2)
    ]
    assert sum(row["best"] == "best" for row in rows) == 1
    assert "the best of all arms is" in (folder_of_run / "report" / "methods.md").read_text()
    split = from_csv((folder_of_run / "report" / "memory_split.csv").read_text())
    assert {row["arm"]: row["predictors"] for row in split if row["members"] == 1} == {
        "whole": None, "snapshots": 4, "SWA": None, "SWAG": 5, "tunnel": 2,
    }  # fmt: skip
    assert "n counts units" in (folder_of_run / "report" / "memory_split.md").read_text()


def test_a_dry_run_tells_predictors(folder_of_run, command, monkeypatch):
    monkeypatch.chdir(folder_of_run)
    said = command("run", "units.toml", "--store", "store", "--dry-run", "--executor", "serial")
    assert said.code == 0, said.err
    assert "predictors" in said.out


# What is refused.


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"swag"', '"swog"', "no method 'swog'. Did you mean 'swag'"),
        ("start = 0.5 }", "begin = 0.5 }", "method 'swa' has no option 'begin'"),
        ("start = 0.5 }", "start = 1.5 }", "option start = 1.5 of method 'swa' is not from 0.0 to 1.0"),
        ("start = 0.5 }", 'start = "0.5" }', "option start = '0.5' of method 'swa' must be a number"),
        ("predictors = 4", "predictors = 0", "option predictors = 0 of method 'snapshots' is not from 1"),
        ("predictors = 4", "predictors = 2.5", "must be a whole number"),
        ("predictors = 4", "predictors = 5", "5 cycles do not fit into 4 epochs"),
        ("start = 0.5 }", "start = 1.0 }", "gathers weights after epoch 4 of 4"),
        ("deviations = 2", "deviations = 3", "2 cycles, and 3 are needed. Set method_options.start to at"),
        ("deviations = 2", "deviations = 5", "and 5 are needed. Set at least 5 epochs"),
        ("pool = 3", "pool = 3\nkeep_weights = true", "keep_weights = true needs members of one network"),
        ("pool = 3", 'pool = 3\ndtype = "int8"', "dtype 'int8' needs members of one network each"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(command, folder, old, new, words):
    assert old in STUDY
    (folder / "s.toml").write_text(STUDY.replace(old, new, 1))
    said = command("run", "s.toml", "--dry-run")
    assert (said.code, words in " ".join(said.err.split())) == (2, True), said.err


def test_a_first_look_shorter_than_its_cycles_is_refused(command, folder):
    (folder / "s.toml").write_text(STUDY)
    said = command("run", "s.toml", "--epochs", "2", "--dry-run")
    assert (said.code, "4 cycles do not fit into 2 epochs" in said.err) == (2, True), said.err


def test_two_arms_of_one_method_and_options_are_told(cache):
    text = STUDY + '\n[[arms]]\nname = "again"\nmethod = "tunnel"\nmethod_options = { predictors = 2 }\n'
    with pytest.raises(StudyError, match="'tunnel' and 'again' train the same networks"):
        make_plan(text)


def test_units_are_not_exported(folder_of_run, command, monkeypatch, tmp_path):
    monkeypatch.chdir(folder_of_run)
    asked = ("--store", "store", "--budget", "20712", "--out", tmp_path / "out")
    said = command("export", "units.toml", "--arm", "SWAG", *asked)
    assert (said.code, "no format holds them" in said.err) == (2, True), said.err
    assert not (tmp_path / "out").exists()


def test_an_average_of_weights_is_exported_as_any_network(folder_of_run, command, monkeypatch, tmp_path):
    monkeypatch.chdir(folder_of_run)
    said = command(
        "export", "units.toml", "--arm", "SWA", "--store", "store", "--budget", "20712", "--members", 2,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert ensembudget.load(tmp_path / "out").card.files["safetensors"].difference < 1e-5


def test_predictions_count_single_networks_alone(run_here):
    planned, _ = run_here
    assert planned_network(planned, "SWA").family == "wide_resnet"
    with pytest.raises(ArmError, match="is a unit of 4 predictors"):
        planned_network(planned, "snapshots")
