"""Studies as files, and the published recipes that they name."""

import pytest

from ensembudget import recipes, studies
from ensembudget.datasets._load import task_of
from ensembudget.errors import StudyError
from ensembudget.planning.plan import plan
from ensembudget.records import Study
from helpers import ROOT

GOOD = """
name = "mine"
description = "a study"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
budgets = ["20k", 40000]
members = [1, 2]

[recipe]
epochs = 3
learning_rate = 1e-1
"""


def faults_of(text):
    with pytest.raises(StudyError) as caught:
        studies.parse(text, "mine.toml")
    head, *faults = str(caught.value).split("\n  - ")
    assert "'mine.toml'" in head
    return faults


@pytest.mark.parametrize("name", studies.names())
def test_every_preset_parses(name):
    study = studies.load_study(name)
    assert study.name == name
    assert study.description
    assert Study.from_json(study.to_json()) == study


@pytest.mark.parametrize("name", [n for n in studies.names() if studies.load_study(n).dataset == "digits"])
def test_every_preset_on_digits_can_be_planned(name):
    study = studies.load_study(name)
    found = plan(study, task_of("digits"), digest="0" * 64, dataset="digits", train_samples=1000)
    assert found.runs


def test_a_study_is_read_from_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    for place in (path, str(path)):
        study = studies.load_study(place)
        assert (study.name, study.family, study.budgets) == ("mine", "wide_resnet", ["20k", 40000])
        assert study.recipe.overrides == {"epochs": 3, "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("members", "membrs", ["membrs", "no such key", "Did you mean 'members'?"]),
        ("epochs", "epoch", ["recipe.epoch", "no such key", "Did you mean 'epochs'?"]),
    ],
)
def test_a_misspelt_key_is_refused_with_the_one_meant(old, new, words):
    fault = next(f for f in faults_of(GOOD.replace(old, new)) if "no such key" in f)
    assert all(word in fault for word in words), fault


def test_a_missing_key_is_named():
    assert "family: missing" in faults_of(GOOD.replace('family = "wide_resnet"', ""))[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("members = [1, 2]", "members = 4", ["members = 4"]),
        ("members = [1, 2]", "members = []", ["members = []"]),
        ("members = [1, 2]", "members = [1, 0]", ["members.1 = 0", "greater than 0"]),
        ("members = [1, 2]", "members = [1, 2.5]", ["members.1 = 2.5"]),
        ("members = [1, 2]", 'members = ["1"]', ["members.0 = '1'"]),
        ('name = "mine"', "name = 3", ["name = 3"]),
        ('name = "mine"', 'name = "../up"', ["name = '../up'"]),
        ("epochs = 3", "epochs = -1", ["recipe.epochs = -1"]),
        ("epochs = 3", 'epochs = "3"', ["recipe.epochs = '3'"]),
        ("learning_rate = 1e-1", "learning_rate = nan", ["recipe.learning_rate = nan"]),
        ("learning_rate = 1e-1", "dropout = 1.0", ["recipe.dropout = 1.0", "less than 1"]),
        ("learning_rate = 1e-1", 'schedule = "cosin"', ["recipe.schedule = 'cosin'", "cosine"]),
        ('"20k"', '"12 Q"', ["budgets '12 Q'", "unknown unit"]),
        ('"wide_resnet"', '"wide_resnt"', ["family", "Did you mean 'wide_resnet'?"]),
        ("depth = 10", "depth = 11", ["options", "6n+4", "10 or 16"]),
        ("depth = 10", "dpth = 10", ["options", "Did you mean 'depth'?"]),
        ("epochs = 3", 'base = "defalt"', ["recipe.base", "Did you mean 'default'?"]),
        ('dataset = "digits"', 'dataset = "digits"\nmode = "bn_wdd"', ["mode", "Did you mean 'bn_wd'?"]),
        (
            'dataset = "digits"', 'dataset = "digits"\nbudget_kind = "flop"',
            ["budget_kind", "Did you mean 'flops'?"],
        ),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_one_fault_with_field_and_value(old, new, words):
    assert old in GOOD
    faults = faults_of(GOOD.replace(old, new))
    assert len(faults) == 1, faults
    assert all(word in faults[0] for word in words), faults[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [("40000", "4.0e4"), ("40000", "true"), ("depth = 10", 'depth = "10"'), ("depth = 10", "depth = 1.5")],
)
def test_a_value_of_neither_type_is_one_fault_not_two(old, new):
    faults = faults_of(GOOD.replace(old, new))
    assert len(faults) == 1, faults


def test_an_unknown_dataset_is_refused_before_anything_is_read():
    faults = faults_of(GOOD.replace('"digits"', '"digts"'))
    assert "Did you mean 'digits'?" in faults[0]


def test_several_faults_are_told_in_one_message():
    text = GOOD.replace("family", "famly").replace("epochs = 3", "epochs = 0").replace('"mine"', "5")
    faults = faults_of(text)
    assert len(faults) == 4  # the misspelt key, the missing one, and two values
    assert {fault.split(" ")[0].rstrip(":") for fault in faults} == {
        "name",
        "family",
        "famly",
        "recipe.epochs",
    }

    text = GOOD.replace('"wide_resnet"', '"vg"').replace("epochs = 3", 'base = "x"').replace("20k", "-5")
    assert len(faults_of(text)) == 3
    with pytest.raises(StudyError, match="study 'm' has 3 faults"):
        studies.parse(text, "m")


def test_a_missing_file_is_refused_with_the_presets(tmp_path):
    with pytest.raises(StudyError, match="neither a preset nor a file"):
        studies.load_study(tmp_path / "none.toml")
    with pytest.raises(StudyError, match=r"Did you mean 'digits'\?.*lists the presets"):
        studies.load_study("digit")
    with pytest.raises(StudyError, match="neither a preset nor a file"):
        studies.load_study(tmp_path)


def test_a_name_longer_than_a_file_can_have_is_refused():
    with pytest.raises(StudyError):
        studies.load_study("x" * 300)


@pytest.mark.parametrize("text", ["name = ", "{", "a = 1\na = 2", "just words"])
def test_what_is_not_toml_is_refused_with_the_place(text):
    with pytest.raises(StudyError, match=r"'mine' is not TOML: .* \(at "):
        studies.parse(text, "mine")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(StudyError, match="cannot be read"):
        studies.load_study(path)


def test_a_study_in_utf_8_is_read_under_any_locale(tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.replace("a study", "größer").encode())
    assert studies.load_study(path).description == "größer"


# Recipes. (weight decay, dropout, learning rate) as PROTOCOLS.md, section B, has them.

TUNED = {
    ("vgg", "cifar100"): {
        6: (1e-3, 0.25, 0.005),
        8: (1e-3, 0, 0.05), 11: (1e-3, 0, 0.05), 16: (1e-3, 0, 0.05),
        23: (1e-3, 0.25, 0.05), 32: (1e-3, 0.25, 0.05), 45: (1e-3, 0.25, 0.05),
        64: (1e-3, 0.5, 0.05),
        91: (3e-4, 0.5, 0.05), 128: (3e-4, 0.5, 0.05),
        181: (1e-3, 0.5, 0.05),
    },
    ("vgg", "cifar10"): {
        6: (1e-3, 0, 0.005),
        8: (1e-3, 0, 0.05), 11: (1e-3, 0, 0.05),
        16: (3e-4, 0, 0.05),
        23: (3e-4, 0.25, 0.05), 32: (3e-4, 0.25, 0.05), 45: (3e-4, 0.25, 0.05), 64: (3e-4, 0.25, 0.05),
        91: (3e-4, 0, 0.05), 128: (3e-4, 0, 0.05), 181: (3e-4, 0, 0.05),
    },
    ("wide_resnet", "cifar100"): {k: (3e-4, 0, 0.1) for k in (20, 40, 57, 160, 453)},
    ("wide_resnet", "cifar10"): {k: (3e-4, 0, 0.1) for k in (20, 40, 57, 160, 453)},
}  # fmt: skip
ROWS = [
    (family, dataset, width, values)
    for (family, dataset), widths in TUNED.items()
    for width, values in widths.items()
]


def resolve(family, dataset, width, base="lobacheva2020", **overrides):
    return recipes.resolve(base, overrides, family=family, dataset=dataset, width=width)


@pytest.mark.parametrize(("family", "dataset", "width", "values"), ROWS)
def test_every_row_of_the_papers_table_is_found(family, dataset, width, values):
    recipe, origin = resolve(family, dataset, width)
    assert origin == "tuned"
    assert (recipe.weight_decay, recipe.dropout, recipe.learning_rate) == values
    assert (recipe.epochs, recipe.batch_size, recipe.momentum) == (200, 128, 0.9)
    assert (recipe.schedule, recipe.crop_padding, recipe.flip) == ("plateau_linear", 4, True)
    assert recipe.normalisation == {"vgg": "imagenet", "wide_resnet": "cifar10"}[family]


def test_a_width_between_the_tuned_takes_the_nearest_and_says_so():
    recipe, origin = resolve("vgg", "cifar100", 7)  # log distance: 6 is 0.154 away, 8 is 0.134
    assert origin == "transferred"
    assert recipe.learning_rate == 0.05
    assert resolve("vgg", "cifar100", 1000).recipe.dropout == 0.5
    assert resolve("vgg", "cifar100", 1000).origin == "transferred"


def test_another_dataset_takes_the_nearest_width_and_says_so():
    recipe, origin = resolve("vgg", "svhn", 6)
    assert origin == "transferred"
    assert recipe.learning_rate == 0.005
    assert resolve("wide_resnet", "digits", 4).origin == "transferred"


def test_what_nothing_was_tuned_for_is_the_default():
    assert resolve("convnet", "cifar10", 32).origin == "default"
    assert resolve("vgg", "cifar100", 64, base="default").origin == "default"


def test_overrides_lie_over_everything():
    recipe = resolve("vgg", "cifar100", 64, dropout=0.1, epochs=3).recipe
    assert (recipe.dropout, recipe.epochs, recipe.weight_decay) == (0.1, 3, 1e-3)


@pytest.mark.parametrize("base", recipes.names())
@pytest.mark.parametrize("family", ["vgg", "wide_resnet"])
@pytest.mark.parametrize("width", [1, 64, 10_000])
def test_every_recipe_answers_for_every_cell(base, family, width):
    assert resolve(family, "fashion_mnist", width, base=base).recipe.epochs > 0


def test_an_unknown_recipe_is_refused_with_the_one_meant():
    with pytest.raises(StudyError, match="Did you mean 'kodryan2022'"):
        resolve("vgg", "cifar10", 64, base="kodrian2022")


@pytest.mark.parametrize("name", [name for name in studies.names() if name.startswith("digits")])
def test_studies_with_published_tables_leave_nothing_to_a_trial(name):
    """Ways to step differ in rounding, and a noisy machine would choose another."""
    assert set(studies.load_study(name).stepping.model_dump(exclude_none=True)) >= {
        "pack", "layout", "compiled", "threads"
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("tables/*/study.toml"), *ROOT.glob("benchmarks/declared/*.toml")]),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_every_study_of_a_table_and_every_declared_one_has_no_faults(path):
    assert studies.parse(path.read_text(), path.name).name


@pytest.mark.parametrize(
    ("family", "works"), [("vgg", "options = { batch_norm = true }"), ("transformer", None)]
)
def test_what_cannot_be_recorded_is_refused_with_what_can(family, works):
    text = f'name = "x"\ndescription = "x"\nfamily = "{family}"\ndataset = "digits"\nbudgets = ["1M"]\n'
    (fault,) = faults_of(text + "record = {}\n")
    assert "histories are about scale-invariant weights" in fault
    if works:
        assert f"Set {works}, or leave record out." in fault
        assert studies.parse(f"{text}record = {{}}\n{works}\n", "x.toml").record
    else:
        assert "No option gives them to this family. Leave record out" in fault
        assert "batch norm" not in fault
