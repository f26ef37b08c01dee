"""Studies of training dynamics that cannot be: each gets one message with field and value, and no store."""

import re
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import Said

FIELDS = {
    "name": '"dynamics"',
    "description": '"a study that a test can afford"',
    "family": '"convnet"',
    "options": '{ invariance = "full" }',
    "dataset": '"digits"',
    "train_size": "100",
    "widths": "[2]",
    "mode": '"bn_wd"',
}
RECIPE = {"epochs": "3", "batch_size": "32"}
STILL = {"weight_decay": "0.0", "momentum": "0.0"}
SPHERE = {**STILL, "effective_learning_rate": "1e-3"}


def study(
    *, recipe: dict | None = None, sweep: dict | None = None, record: dict | None = None, more: str = "",
    **fields: str | None,
) -> str:  # fmt: skip
    """A good study's TOML with these fields in it changed; None leaves one out."""
    tables = {
        "": FIELDS | fields, "recipe": RECIPE | (recipe or {}), "sweep": sweep or {}, "record": record or {},
    }  # fmt: skip
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]"] * bool(table and values)
        lines += [f"{field} = {value}" for field, value in values.items() if value is not None]
    return "\n".join([*lines, more])


@pytest.fixture
def ask(command, tmp_path):
    """`ask(text)` runs a study of that text: its exit code and what it printed."""

    def run(text: str, verb: str = "run", *arguments: str) -> Said:
        path = tmp_path / "study.toml"
        path.write_text(text)
        return command(verb, path, *arguments)

    return run


def faults_in(said: Said) -> list[str]:
    """The faults of a study as they were told, after a look at how."""
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "fault of ensembudget's own" not in said.err
    head, *faults = said.err.rstrip("\n").split("\n  - ")
    assert head.startswith("ensembudget: study ")
    assert said.err.count("ensembudget: ") == 1
    assert said.err.count("\n") == len(faults) + 1
    assert all(fault[-1] in ".?" for fault in faults), faults
    return faults


class Case(NamedTuple):
    text: str
    words: tuple[str, ...]  # the field, the value, what would do


def on_sphere(*words: str, recipe: dict | None = None, **fields) -> Case:
    return Case(study(mode='"sphere"', recipe=SPHERE | (recipe or {}), **fields), words)


def two_stage(*words: str, **recipe: str) -> Case:
    return Case(study(recipe={"schedule": '"two_stage"', **recipe}), words)


PLAIN_VGG = {"family": '"vgg"', "options": "{ depth = 11 }"}
BN_VGG = {"family": '"vgg"', "options": "{ depth = 11, batch_norm = true }"}

CASES = {
    # The sphere and what it is for.
    "sphere on vgg without batch norm": on_sphere("mode: ", "sphere", "batch_norm = true", **PLAIN_VGG),
    "sphere of filters on vgg without batch norm": Case(
        study(mode='"sphere_filters"', recipe=SPHERE, **PLAIN_VGG), ("mode: ", "sphere", "batch_norm = true")
    ),
    "sphere of filters on a residual net": Case(
        study(mode='"sphere_filters"', recipe=SPHERE, family='"resnet18"'),
        ("mode: ", "'sphere_filters'", "12 of the 20", "Use mode 'sphere'"),
    ),
    "sphere of filters on a wide residual net": Case(
        study(
            mode='"sphere_filters"',
            recipe=SPHERE,
            family='"wide_resnet"',
            options='{ depth = 10, invariance = "full" }',
        ),
        ("mode: ", "'sphere_filters'", "Use mode 'sphere'"),
    ),
    "weight decay on the sphere": on_sphere(
        "recipe.weight_decay = 0.0001", "weight_decay = 0", "'bn_wd'", recipe={"weight_decay": "1e-4"}
    ),
    "momentum on the sphere": on_sphere(
        "recipe.momentum = 0.9", "momentum = 0", "'bn_wd'", recipe={"momentum": "0.9"}
    ),
    "weight decay on the sphere of filters": Case(
        study(mode='"sphere_filters"', recipe=SPHERE | {"weight_decay": "0.5"}),
        ("recipe.weight_decay = 0.5", "weight_decay = 0"),
    ),
    "weight decay of the base on the sphere": Case(
        study(mode='"sphere"', recipe={"effective_learning_rate": "1e-3", "momentum": "0.0"}),
        ("recipe.weight_decay = 0.0003", 'base = "kodryan2022"'),
    ),
    "no effective learning rate on the sphere": Case(
        study(mode='"sphere"', recipe=STILL), ("recipe.effective_learning_rate", "none", "1e-3")
    ),
    "an effective learning rate without a sphere": Case(
        study(recipe={"effective_learning_rate": "2e-3"}),
        ("effective_learning_rate 0.002", "'sphere'", "'bn_wd'"),
    ),
    "the sphere's recipe without a sphere": Case(
        study(recipe={"base": '"kodryan2022"'}), ("effective_learning_rate 0.001", "'sphere'", "'bn_wd'")
    ),
    "misspelt mode": Case(study(mode='"sphre"'), ("mode: ", "'sphre'", "Did you mean 'sphere'?")),
    "misspelt effective learning rate": Case(
        study(recipe={"efective_learning_rate": "0.1"}),
        ("recipe.efective_learning_rate", "Did you mean 'effective_learning_rate'?"),
    ),
    # Two stages.
    "drop at the end": two_stage(
        "after epoch 3 of 3", "drop_epoch to at most 2", drop_epoch="3", drop_factor="0.1"
    ),
    "drop after the end": two_stage(
        "after epoch 400 of 3", "drop_epoch to at most 2", drop_epoch="400", drop_factor="0.1"
    ),
    "drop before the first epoch": two_stage("recipe.drop_epoch = 0", drop_epoch="0", drop_factor="0.1"),
    "drop in the middle of an epoch": two_stage(
        "recipe.drop_epoch = 1.5", drop_epoch="1.5", drop_factor="0.1"
    ),
    "drop of nothing": two_stage("recipe.drop_factor = 1.0", drop_epoch="1", drop_factor="1.0"),
    "drop to nothing": two_stage("recipe.drop_factor = 0.0", drop_epoch="1", drop_factor="0.0"),
    "two stages without a factor": two_stage("'two_stage'", "drop_factor", drop_epoch="1"),
    "two stages without an epoch": two_stage("'two_stage'", "drop_epoch", drop_factor="0.1"),
    "two stages without either": two_stage("'two_stage'", "drop_epoch", "drop_factor"),
    "factor without two stages": Case(
        study(recipe={"drop_factor": "0.1"}), ("drop_factor", "'plateau_linear'", 'schedule = "two_stage"')
    ),
    "epoch without two stages": Case(
        study(recipe={"schedule": '"cosine"', "drop_epoch": "1"}),
        ("drop_epoch", "'cosine'", 'schedule = "two_stage"'),
    ),
    "misspelt schedule": Case(
        study(recipe={"schedule": '"two_stages"'}), ("recipe.schedule = 'two_stages'", "'two_stage'")
    ),
    # Invariance.
    "misspelt invariance": Case(
        study(options='{ invariance = "ful" }'),
        ("options: ", "invariance = 'ful'", "practical, full", "Did you mean 'full'?"),
    ),
    "invariance that is no word": Case(
        study(options="{ invariance = true }"), ("options: ", "invariance = True", "practical, full")
    ),
    "invariance of vgg without batch norm": Case(
        study(family='"vgg"', options='{ depth = 11, invariance = "full" }'),
        ("options: ", "invariance 'full'", "Set batch_norm = true"),
    ),
    "invariance of vgg with batch norm left out": Case(
        study(family='"vgg"', options='{ depth = 11, batch_norm = false, invariance = "practical" }'),
        ("options: ", "invariance 'practical'", "Set batch_norm = true"),
    ),
    # What is recorded.
    "record on vgg without batch norm": Case(
        study(record={"steps": "1"}, **PLAIN_VGG), ("record", "'vgg'", "batch_norm = true")
    ),
    "negative steps": Case(study(record={"steps": "-1"}), ("record.steps = -1", "0")),
    "half a step": Case(study(record={"steps": "0.5"}), ("record.steps = 0.5",)),
    "every epoch but none": Case(study(record={"every": "0"}), ("record.every = 0",)),
    "every negative epoch": Case(study(record={"every": "-2"}), ("record.every = -2",)),
    "negative test images": Case(study(record={"test_size": "-1"}), ("record.test_size = -1",)),
    "negative curvature": Case(study(record={"curvature": "-1"}), ("record.curvature = -1",)),
    "curvature of one image": Case(study(record={"curvature_size": "1"}), ("record.curvature_size = 1", "2")),
    "negative eigenvalues": Case(study(record={"eigenvalues": "-3"}), ("record.eigenvalues = -3",)),
    "a pass that is no yes or no": Case(study(record={"fixed_pass": "1"}), ("record.fixed_pass = 1",)),
    "misspelt step": Case(study(record={"step": "1"}), ("record.step", "Did you mean 'steps'?")),
    "record that is no table": Case(
        study(record=None).replace("[recipe]", "record = true\n[recipe]"), ("record = True",)
    ),
    # Sweeps.
    "sweep of no values": Case(
        study(sweep={"learning_rate": "[]"}), ("sweep.learning_rate = []", "at least 1")
    ),
    "sweep of one value in no list": Case(
        study(sweep={"learning_rate": "0.1"}), ("sweep.learning_rate = 0.1", "list")
    ),
    "sweep over a misspelt field": Case(
        study(sweep={"learnin_rate": "[0.1]"}), ("sweep: ", "'learnin_rate'", "Did you mean 'learning_rate'?")
    ),
    "sweep over a field of the study": Case(study(sweep={"width": "[2, 3]"}), ("sweep: ", "'width'")),
    "sweep to an effective learning rate of nothing": on_sphere(
        "arm 'effective_learning_rate = 0'",
        "effective_learning_rate = 0.0",
        "greater than 0",
        sweep={"effective_learning_rate": "[1e-3, 0.0]"},
    ),
    "sweep to weight decay on the sphere": on_sphere(
        "arm 'weight_decay = 0.001'", "recipe.weight_decay = 0.001", sweep={"weight_decay": "[0.0, 1e-3]"}
    ),
    "sweep to a run shorter than its first stage": Case(
        study(
            recipe={"schedule": '"two_stage"', "drop_epoch": "2", "drop_factor": "0.1"},
            sweep={"epochs": "[3, 2]"},
        ),
        ("arm 'epochs = 2'", "after epoch 2 of 2", "at most 1"),
    ),
    "sweep that is no table": Case(
        study().replace("[recipe]", "sweep = [0.1]\n[recipe]"), ("sweep = [0.1]",)
    ),
    # Arms.
    "an arm that cannot be trained": Case(
        study(
            more='[[arms]]\nname = "bn"\n[[arms]]\nname = "on it"\nmode = "sphere"\n'
            "recipe = { momentum = 0.0, weight_decay = 0.0 }"
        ),
        ("arm 'on it': mode", "recipe.effective_learning_rate"),
    ),
    "an arm without batch norm under a record": Case(
        study(
            record={"steps": "1"}, more='[[arms]]\nname = "plain"\noptions = { batch_norm = false }', **BN_VGG
        ),
        ("arm 'plain'", "record", "batch_norm = true"),
    ),
    "an arm with another family's options": Case(
        study(more='[[arms]]\nname = "bn"\noptions = { batch_norm = true }'),
        ("arm 'bn': options", "'batch_norm'", "invariance"),
    ),
    "two arms that train the same": Case(
        study(more='[[arms]]\nname = "one"\n[[arms]]\nname = "other"'), ("'one'", "'other'", "width 2")
    ),
    "two arms of one name": Case(
        study(more='[[arms]]\nname = "one"\n[[arms]]\nname = "one"\nrecipe = { epochs = 9 }'),
        ("arms: ", "'one'"),
    ),
    "an arm without a name": Case(study(more='[[arms]]\nmode = "sphere"'), ("arms.0.name", "missing")),
    "arms that are no list": Case(study(more='[arms]\nname = "one"'), ("arms = ",)),
    "a misspelt key of an arm": Case(
        study(more='[[arms]]\nname = "one"\nmod = "sphere"'), ("arms.0.mod", "Did you mean 'mode'?")
    ),
    "a misspelt key of an arm's recipe": Case(
        study(more='[[arms]]\nname = "one"\nrecipe = { epoch = 3 }'),
        ("arms.0.recipe.epoch", "Did you mean 'epochs'?"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_cannot_be_gets_one_fault_and_makes_nothing(case, ask, folder):
    faults = faults_in(ask(case.text))
    assert len(faults) == 1, faults
    for word in case.words:
        assert word in faults[0], faults
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", ["0", "0.0", "-1e-3", "nan", "inf", "'1e-3'", "true", "[1e-3]"])
@pytest.mark.parametrize("mode", ["sphere", "sphere_filters", "bn_wd"])
def test_an_effective_learning_rate_that_is_none_is_refused_with_its_value(value, mode, ask, folder):
    faults = faults_in(ask(study(mode=f'"{mode}"', recipe=SPHERE | {"effective_learning_rate": value})))
    shown = {"0": "0", "0.0": "0.0", "-1e-3": "-0.001", "true": "True", "[1e-3]": "[0.001]"}.get(value, value)
    assert faults[0].startswith(f"recipe.effective_learning_rate = {shown}: input should be ")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", ["0.0", "-1e-3", "nan"])
def test_an_effective_learning_rate_that_is_none_is_one_fault_and_not_called_missing(value, ask):
    """It is given, and wrong: "none is given" would be a second fault, and an untrue one."""
    faults = faults_in(ask(study(mode='"sphere"', recipe=SPHERE | {"effective_learning_rate": value})))
    assert len(faults) == 1, faults


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (study(mode='"sphere"', recipe=SPHERE, family="3"), "family"),
        (study(mode='"sphere"', recipe=SPHERE, family=None), "family"),
        (study(record={"steps": "1"}, family="3"), "family"),
        (study(mode='"sphere"', recipe=SPHERE, options="3", family='"vgg"'), "options"),
        (study(mode="3", recipe=SPHERE), "mode"),
        (study(mode='"sphere"', recipe=SPHERE | {"epochs": "0"}), "recipe.epochs"),
        (study(mode='"sphere"', recipe=SPHERE | {"epochs": None, "epoch": "3"}), "recipe.epoch"),
    ],
    ids=["family", "no family", "family of a record", "options", "mode", "epochs", "misspelt epochs"],
)
def test_a_fault_of_one_field_is_not_blamed_on_the_mode(text, field, ask):
    """What stands in for a field that cannot be read is nobody's wish, and no ground for a fault."""
    faults = faults_in(ask(text))
    assert faults[0].startswith(field)
    assert len(faults) == 1, faults


@pytest.mark.parametrize(
    "text",
    [
        study(recipe={"epochs": str(10**20)}),
        study(record={"curvature_size": str(10**20)}),
        study(sweep={"epochs": f"[{10**20}]"}),
    ],
    ids=["recipe", "record", "sweep"],
)
def test_a_number_beyond_what_json_holds_is_refused_and_no_fault_of_its_own(text, ask, folder):
    assert str(10**20) in " ".join(faults_in(ask(text)))
    assert list(folder.iterdir()) == []


def test_weight_decay_and_momentum_on_the_sphere_are_told_at_once(ask):
    """As a study has them that only changes the mode: the default recipe has both."""
    told = " ".join(faults_in(ask(study(mode='"sphere"', recipe={"effective_learning_rate": "1e-3"}))))
    assert "weight_decay = 0.0003" in told
    assert "momentum = 0.9" in told


def test_a_study_that_only_changes_the_mode_is_told_all_it_lacks(ask):
    told = " ".join(faults_in(ask(study(mode='"sphere"'))))
    for field in ("effective_learning_rate", "weight_decay", "momentum"):
        assert field in told, told


def test_several_faults_of_one_study_are_told_at_once(ask, folder):
    text = study(
        options='{ invariance = "ful" }',
        mode='"sphre"',
        recipe={"schedule": '"two_stage"', "drop_epoch": "3", "drop_factor": "0.1"},
        budgets='["12 Q"]',
    )
    faults = faults_in(ask(text))
    expected = {
        "options": "Did you mean 'full'?",
        "mode": "Did you mean 'sphere'?",
        "recipe": "after epoch 3 of 3",
        "budgets '12 Q'": "unknown unit",
    }
    assert {fault.partition(": ")[0] for fault in faults} == set(expected)
    for field, words in expected.items():
        assert any(fault.startswith(field) and words in fault for fault in faults), faults
    assert list(folder.iterdir()) == []


def test_wrong_types_and_wrong_names_are_told_at_once(ask):
    text = study(
        options='{ invariance = "ful" }',
        recipe={"effective_learning_rate": "0.0", "drop_factor": "2.0"},
        record={"every": "0", "steps": "-1", "stps": "1"},
        sweep={"learnin_rate": "[0.1]", "epochs": "[]"},
    )
    faults = faults_in(ask(text))
    for words in (
        "record.every = 0", "record.steps = -1", "Did you mean 'steps'?", "sweep.epochs = []",
        "recipe.effective_learning_rate = 0.0", "recipe.drop_factor = 2.0", "Did you mean 'full'?",
    ):  # fmt: skip
        assert sum(words in fault for fault in faults) == 1, (words, faults)


def test_a_mode_and_a_record_that_cannot_be_are_told_at_once(ask):
    """The one needs a rate, the other batch norm; neither follows from the other."""
    text = study(recipe={"effective_learning_rate": "2e-3"}, record={"steps": "1"}, **PLAIN_VGG)
    told = " ".join(faults_in(ask(text)))
    assert "effective_learning_rate 0.002" in told
    assert "record" in told


@pytest.mark.parametrize("verb", ["status", "report"])
@pytest.mark.parametrize(
    "name",
    ["weight decay on the sphere", "drop at the end", "negative steps", "sweep over a misspelt field",
     "an arm that cannot be trained"],
)  # fmt: skip
def test_every_verb_refuses_it_alike(verb, name, ask, folder):
    case = CASES[name]
    assert ask(case.text, verb) == ask(case.text)
    assert list(folder.iterdir()) == []


def test_a_store_that_is_there_is_left_as_it_was(ask, folder):
    store = folder / "store"
    store.mkdir()
    (store / "store.json").write_text('{"format": 1}')
    before = [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]
    for name in ("weight decay on the sphere", "every epoch but none", "two arms that train the same"):
        assert ask(CASES[name].text, "run", "--store", str(store)).code == 2
    assert [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))] == before


GOOD = {
    "convnet on the sphere": study(mode='"sphere"', recipe=SPHERE),
    "vgg with batch norm on the sphere": study(mode='"sphere"', recipe=SPHERE, **BN_VGG),
    "vgg with batch norm on spheres of filters": study(mode='"sphere_filters"', recipe=SPHERE, **BN_VGG),
    "resnet18 on the sphere": study(mode='"sphere"', recipe=SPHERE, family='"resnet18"'),
    "the sphere's own recipe": study(mode='"sphere"', recipe={"base": '"kodryan2022"'}),
    "two stages": study(recipe={"schedule": '"two_stage"', "drop_epoch": "2", "drop_factor": "0.1"}),
    "a record of everything": study(record={"steps": "1", "curvature": "1", "fixed_pass": "true"}),
    "an empty sweep": study(more="[sweep]"),
    "an empty record": study(more="[record]"),
    "a sweep of a whole number for a rate": study(sweep={"learning_rate": "[1]"}),
    "two arms": study(
        more='[[arms]]\nname = "bn"\n[[arms]]\nname = "on it"\nmode = "sphere"\n'
        'recipe = { base = "kodryan2022" }'
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_is_nearly_that_is_taken(text, ask, folder):
    said = ask(text, "run", "--dry-run")
    assert said.code == 0, said
    assert all("timing a few steps" in line for line in said.err.splitlines())
    assert "Nothing was trained" in said.out
    assert list(folder.iterdir()) == []


WRONG = {
    "effective_learning_rate": st.floats(max_value=0) | st.just(float("nan")) | st.text("ab", max_size=3),
    "drop_epoch": st.integers(max_value=0) | st.floats(0.01, 0.99),
    "drop_factor": st.floats(max_value=0) | st.floats(min_value=1),
    "weight_decay": st.floats(max_value=-1e-300),
    "momentum": st.floats(max_value=-1e-300) | st.floats(min_value=1),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), field=st.sampled_from(list(WRONG)))
def test_whatever_a_rate_is_instead_it_is_named_with_its_value(data, field, ask, folder):
    value = data.draw(WRONG[field])
    written = repr(value) if not isinstance(value, str) else f'"{value}"'
    faults = faults_in(ask(study(mode='"sphere"', recipe=SPHERE | {field: written})))
    assert any(fault.startswith(f"recipe.{field} = {value!r}: ") for fault in faults), faults
    assert list(folder.iterdir()) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(epochs=st.integers(1, 50), drop=st.integers(1, 60))
def test_two_stages_are_taken_exactly_where_both_have_an_epoch(epochs, drop, ask, folder):
    recipe = {"epochs": f"{epochs}", "schedule": '"two_stage"', "drop_epoch": f"{drop}", "drop_factor": "0.5"}
    said = ask(study(recipe=recipe), "run", "--dry-run")
    if drop < epochs:
        assert said.code == 0, said
    else:
        (fault,) = faults_in(said)
        assert f"after epoch {drop} of {epochs}" in fault
        # What it advises must do.
        field, most = re.search(r"Set (drop_epoch|epochs) to at (?:most|least) (\d+)", fault).groups()
        advised = recipe | {field: most} | ({"drop_epoch": "1"} if field == "epochs" else {})
        assert ask(study(recipe=advised), "run", "--dry-run").code == 0
    assert list(folder.iterdir()) == []
