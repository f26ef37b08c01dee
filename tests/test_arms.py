"""Arms and sweeps: the variants of a study, which settings replace which, and what is refused."""

import hashlib
import itertools
import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ensembudget import recipes, studies
from ensembudget.cli.values import read_costs
from ensembudget.errors import StudyError
from ensembudget.planning.check import study_faults
from ensembudget.planning.plan import plan
from ensembudget.planning.variants import variants_of
from ensembudget.planning.widths import cost
from ensembudget.records import Arm, Cell, Plan, Recipe, RecipeChoice, Recording, Run, Setting, Study, Task
from ensembudget.rendering.render import from_csv, to_csv
from ensembudget.tables import memory_split

DIGITS = Task(10, 1, 8)
ON_SPHERE = RecipeChoice(effective_learning_rate=1e-3, weight_decay=0.0, momentum=0.0)


def make_study(**changes) -> Study:
    defaults = {
        "name": "arms",
        "description": "two ways to train",
        "family": "convnet",
        "dataset": "digits",
        "train_size": 100,
        "validation_size": 20,
        "budgets": [3769, 6534],
        "members": [1, 2],
        "tolerance": 0.2,
        "pool": 2,
    }
    return Study(**{**defaults, **changes})


def make_plan(study: Study) -> Plan:
    return plan(study, DIGITS, digest="0" * 64, dataset="digits", train_samples=1000)


BN, SPHERE = Arm(name="bn"), Arm(name="sphere", mode="sphere", recipe=ON_SPHERE)
BOTH = [BN, SPHERE]

TOML = """
name = "mine"
description = "two ways to train"
family = "convnet"
dataset = "digits"
widths = [2]

[recipe]
epochs = 3

[[arms]]
name = "plain"

[[arms]]
name = "other"
options = { invariance = "full" }
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        studies.parse(text, "mine.toml")
    head, *faults = str(caught.value).split("\n  - ")
    assert "'mine.toml'" in head
    return faults


# Ways.


def test_a_study_without_arms_or_sweep_has_one_variant_without_a_label():
    study = make_study(mode="sphere", options={"invariance": "full"}, recipe=ON_SPHERE)
    (variant,) = variants_of(study)
    assert (variant.setting.arm, variant.mode, dict(variant.options), variant.base) == (
        "",
        "sphere",
        {"invariance": "full"},
        "default",
    )
    assert variant.overrides == {"effective_learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0}


def test_an_arm_that_says_nothing_trains_as_its_study_says():
    study = make_study(arms=[Arm(name="only")], recipe=RecipeChoice(base="lobacheva2020", epochs=4))
    (variant,), (alone,) = variants_of(study), variants_of(study.model_copy(update={"arms": []}))
    assert variant == alone._replace(setting=Setting("only"), base_arm="only")


def test_variants_are_arms_times_sweep_in_the_order_written_the_last_field_fastest():
    study = make_study(arms=[SPHERE, BN], sweep={"effective_learning_rate": [0.001, 0.1], "epochs": [2, 5]})
    found = variants_of(study)
    assert [variant.setting.arm for variant in found] == [
        "sphere, effective_learning_rate = 0.001, epochs = 2",
        "sphere, effective_learning_rate = 0.001, epochs = 5",
        "sphere, effective_learning_rate = 0.1, epochs = 2",
        "sphere, effective_learning_rate = 0.1, epochs = 5",
        "bn, effective_learning_rate = 0.001, epochs = 2",
        "bn, effective_learning_rate = 0.001, epochs = 5",
        "bn, effective_learning_rate = 0.1, epochs = 2",
        "bn, effective_learning_rate = 0.1, epochs = 5",
    ]
    assert [variant.mode for variant in found] == ["sphere"] * 4 + ["bn_wd"] * 4
    assert [variant.base_arm for variant in found] == ["sphere"] * 4 + ["bn"] * 4
    assert found[1].values == {"effective_learning_rate": 0.001, "epochs": 5}


@pytest.mark.parametrize(
    ("arms", "field", "value", "name"),
    [
        ([SPHERE], "effective_learning_rate", 0.001, "sphere, effective_learning_rate = 0.001"),
        ([], "effective_learning_rate", 0.001, "effective_learning_rate = 0.001"),
        ([], "learning_rate", 1e-05, "learning_rate = 1e-05"),
        ([], "learning_rate", 1, "learning_rate = 1"),
        ([], "epochs", 1_000_000, "epochs = 1000000"),
        ([], "flip", False, "flip = False"),
        ([], "schedule", "cosine", "schedule = cosine"),
        ([BN], "base", "lobacheva2020", "bn, base = lobacheva2020"),
    ],
)
def test_a_variant_is_named_after_its_arm_and_what_it_sweeps(arms, field, value, name):
    (variant,) = variants_of(make_study(arms=arms, sweep={field: [value]}))
    assert variant.setting.arm == name
    if field != "base":
        assert variant.overrides[field] is value or variant.overrides[field] == value


DECIMALS = st.integers(1, 10_000).map(lambda n: n / 10_000)
VALUES = {
    "learning_rate": DECIMALS,
    "weight_decay": DECIMALS,
    "epochs": st.integers(1, 9),
    "batch_size": st.integers(2, 64),
    "flip": st.booleans(),
    "schedule": st.sampled_from(["cosine", "constant"]),
    "base": st.sampled_from(["default", "lobacheva2020"]),
}


@st.composite
def sweeps(draw) -> dict[str, list]:
    fields = draw(st.lists(st.sampled_from(list(VALUES)), unique=True, max_size=3))
    return {field: draw(st.lists(VALUES[field], min_size=1, max_size=3, unique=True)) for field in fields}


@settings(max_examples=60, deadline=None)
@given(sweep=sweeps(), count=st.integers(0, 3))
def test_every_combination_is_there_once_and_in_order(sweep, count):
    arms = [Arm(name=f"arm{i}", recipe=RecipeChoice(epochs=i + 10)) for i in range(count)]
    study = make_study(arms=arms, sweep=sweep, recipe=RecipeChoice(epochs=50))
    expected = []
    for epochs, place in [(arm.recipe.epochs, arm.name) for arm in arms] or [(50, "")]:
        for values in itertools.product(*(sweep[field] for field in sorted(sweep))):
            fields = dict(zip(sorted(sweep), values, strict=True))
            base = fields.pop("base", "default")
            expected.append((place, base, {"epochs": epochs, **fields}))
    found = variants_of(study)
    assert [(variant.base, variant.overrides) for variant in found] == [
        (base, fields) for _, base, fields in expected
    ]
    assert all(
        variant.setting.arm.startswith(place) for variant, (place, _, _) in zip(found, expected, strict=True)
    )
    assert len({variant.setting.arm for variant in found}) == len(found)


@settings(max_examples=30, deadline=None)
@given(sweep=sweeps())
def test_a_sweep_has_the_same_variants_after_a_round_trip(sweep):
    """Canonical JSON sorts keys, and the order of a sweep is that of the names and of the product."""
    study = make_study(sweep=sweep)
    again = Study.from_json(study.to_json())
    assert [variant.setting.arm for variant in variants_of(again)] == [
        variant.setting.arm for variant in variants_of(study)
    ]


def test_values_that_differ_late_are_arms_of_their_own():
    """A plan finds a split's cell by its arm's name, so two names may not be one."""
    found = make_plan(make_study(sweep={"learning_rate": [0.1, 0.10000001]}))
    assert {planned.cell.recipe.learning_rate for planned in found.cells} == {0.1, 0.10000001}
    assert len(found.settings) == 2, found.settings


@pytest.mark.parametrize("values", [[0.1, 0.1], [1, 1.0], [0.1, 0.2, 0.1]])
def test_a_value_swept_twice_is_refused(values):
    with pytest.raises(StudyError, match="learning_rate"):
        make_plan(make_study(sweep={"learning_rate": values}))


# What lies over what.


def test_a_sweep_lies_over_an_arm_over_the_study_over_the_base():
    study = make_study(
        recipe=RecipeChoice(learning_rate=0.01, momentum=0.1, dropout=0.1),
        arms=[Arm(name="a", recipe=RecipeChoice(momentum=0.2, dropout=0.2)), Arm(name="b")],
        sweep={"dropout": [0.3]},
    )
    a, b = (next(p.cell.recipe for p in make_plan(study).cells if p.arm.startswith(name)) for name in "ab")
    default = recipes.resolve("default", {}, family="convnet", dataset="digits", width=2).recipe
    assert (a.learning_rate, a.momentum, a.dropout) == (0.01, 0.2, 0.3)
    assert (b.learning_rate, b.momentum, b.dropout) == (0.01, 0.1, 0.3)
    assert a.epochs == b.epochs == default.epochs
    assert a.weight_decay == default.weight_decay


LEVELS = ("study", "arm", "sweep")


@settings(max_examples=60, deadline=None)
@given(
    said=st.dictionaries(
        st.sampled_from(["learning_rate", "momentum", "epochs", "flip"]),
        st.sets(st.sampled_from(LEVELS), min_size=1),
    )
)
def test_the_nearest_that_says_a_field_decides_it(said):
    values = {
        "learning_rate": (0.01, 0.02, 0.03),
        "momentum": (0.1, 0.2, 0.3),
        "epochs": (1, 2, 3),
        "flip": (True, False, True),
    }
    at = {level: {f: values[f][i] for f in said if level in said[f]} for i, level in enumerate(LEVELS)}
    study = make_study(
        recipe=RecipeChoice(**at["study"]),
        arms=[Arm(name="a", recipe=RecipeChoice(**at["arm"]))],
        sweep={field: [value] for field, value in at["sweep"].items()},
        budgets=[],
        widths=[2],
    )
    recipe = make_plan(study).cells[0].cell.recipe
    for field, levels in said.items():
        assert getattr(recipe, field) == values[field][max(LEVELS.index(level) for level in levels)]


def test_the_base_of_a_sweep_lies_over_an_arms_over_the_studys():
    bases = {
        "nobody": (None, None, None, "default"),
        "study": ("lobacheva2020", None, None, "lobacheva2020"),
        "arm": ("lobacheva2020", "default", None, "default"),
        "sweep": (None, "default", "lobacheva2020", "lobacheva2020"),
    }
    for study, arm, swept, expected in bases.values():
        one = make_study(
            recipe=RecipeChoice(base=study),
            arms=[Arm(name="a", recipe=RecipeChoice(base=arm))],
            sweep={"base": [swept]} if swept else {},
        )
        (variant,) = variants_of(one)
        assert variant.base == expected
        assert "base" not in variant.overrides
        recipe = make_plan(one).cells[0].cell.recipe
        wanted = recipes.resolve(expected, {}, family="convnet", dataset="digits", width=2).recipe
        assert recipe == wanted


def test_a_base_can_be_swept_with_rows_of_its_own_for_every_width():
    """lobacheva2020 has another learning rate for the narrowest VGG on CIFAR-10."""
    study = make_study(
        family="vgg", dataset="cifar10", widths=[6, 64], budgets=[], train_size=None, validation_size=0,
        sweep={"base": ["lobacheva2020", "default"]},
    )  # fmt: skip
    found = plan(study, Task(10, 3, 32), digest="0" * 64, dataset="cifar10", train_samples=50_000)
    rates = {(p.arm, p.cell.width): (p.cell.recipe.learning_rate, p.origin) for p in found.cells}
    assert rates == {
        ("base = lobacheva2020", 6): (0.005, "tuned"),
        ("base = lobacheva2020", 64): (0.05, "tuned"),
        ("base = default", 6): (0.05, "default"),
        ("base = default", 64): (0.05, "default"),
    }


def test_options_of_an_arm_lie_over_the_studys():
    study = make_study(
        family="wide_resnet", options={"depth": 10, "invariance": "full"}, budgets=[], widths=[2],
        arms=[Arm(name="as it is"), Arm(name="deeper", options={"depth": 16})],
    )  # fmt: skip
    assert [p.cell.options for p in make_plan(study).cells] == [
        {"depth": 10, "invariance": "full"},
        {"depth": 16, "invariance": "full"},
    ]


def test_options_of_an_arm_change_the_widths_that_spend_a_budget():
    study = make_study(
        family="wide_resnet", options={"depth": 10}, budgets=[40_000], members=[1, 4],
        arms=[Arm(name="shallow"), Arm(name="deep", options={"depth": 16})],
    )  # fmt: skip
    found = make_plan(study)
    widths = {(s.arm, s.members): s.width for s in found.splits}
    for (arm, members), width in widths.items():
        depth = {"shallow": 10, "deep": 16}[arm]

        def total(w, depth=depth, members=members):
            return members * cost("wide_resnet", w, DIGITS, options={"depth": depth})

        assert width == min(range(1, 30), key=lambda w: abs(total(w) - 40_000))
    assert all(widths["deep", n] < widths["shallow", n] for n in (1, 4))
    for split in found.splits:
        depth = {"shallow": 10, "deep": 16}[split.arm]
        each = cost("wide_resnet", split.width, DIGITS, options={"depth": depth})
        assert (split.parameters_per_member, split.parameters_total) == (each, each * split.members)
        assert found.cell_of(split).cell.options == {"depth": depth}
    for planned in found.cells:
        flops = cost("wide_resnet", planned.cell.width, DIGITS, "flops", options=planned.cell.options)
        assert planned.flops_per_sample == flops


# Plans.


def test_splits_and_cells_carry_their_arm():
    found = make_plan(make_study(arms=BOTH, replicates=2))
    assert [setting.arm for setting in found.settings] == ["bn", "sphere"]
    assert [(s.arm, s.budget, s.members) for s in found.splits] == [
        (arm, budget, members) for arm in ("bn", "sphere") for budget in (3769, 6534) for members in (1, 2)
    ]
    pools = {(p.arm, p.cell.width): p.members for p in found.cells}
    assert pools == {(arm, w): n for arm in ("bn", "sphere") for w, n in ((2, 4), (3, 4), (4, 2))}
    for split in found.splits:
        planned = found.cell_of(split)
        assert (planned.arm, planned.cell.width) == (split.arm, split.width)
        assert planned.cell.mode == {"bn": "bn_wd", "sphere": "sphere"}[split.arm]
    assert len({run.key for run in found.runs}) == len(found.runs) == sum(pools.values())


def test_every_arm_has_the_members_that_the_study_has_without_arms():
    alone = make_plan(make_study(widths=[5], pool=3))
    both = make_plan(make_study(widths=[5], pool=3, arms=BOTH))
    for arm in ("bn", "sphere"):
        mine = [p for p in both.cells if p.arm == arm]
        assert [(p.cell.width, p.members) for p in mine] == [(p.cell.width, p.members) for p in alone.cells]
        splits = [s.model_copy(update={"arm": ""}) for s in both.splits if s.arm == arm]
        assert splits == alone.splits


def test_a_plan_with_arms_a_sweep_and_a_record_is_the_same_after_a_round_trip():
    study = make_study(
        arms=[SPHERE, Arm(name="full, too", mode="sphere", options={"invariance": "full"}, recipe=ON_SPHERE)],
        sweep={"effective_learning_rate": [0.001, 1.0], "flip": [True, False], "schedule": ["cosine"]},
        record=Recording(steps=5, curvature=2),
    )
    found = make_plan(study)
    again = Plan.from_json(found.to_json())
    assert again == found
    assert again.to_json() == found.to_json()
    assert again.study == study
    assert [run.key for run in again.runs] == [run.key for run in found.runs]
    assert [again.cell_of(split) for split in again.splits] == [
        found.cell_of(split) for split in found.splits
    ]


def test_a_study_without_arms_is_the_same_after_a_round_trip_of_a_text_that_knows_none():
    """As a plan that was saved before there were arms."""
    found = make_plan(make_study())
    document = json.loads(found.to_json())
    for field in ("arms", "sweep", "record"):
        del document["study"][field]
    for part in (*document["splits"], *document["cells"]):
        assert part.pop("arm") == ""
    for part in document["cells"]:
        assert part["cell"].pop("record") is None
        for field in ("effective_learning_rate", "drop_epoch", "drop_factor"):
            assert part["cell"]["recipe"].pop(field) is None
    assert Plan.from_json(json.dumps(document)) == found


# Keys.


def key_by_hand(cell: Cell, **more) -> str:
    """A cell's key as it was before there were arms: these fields, sorted, in the shortest JSON."""
    recipe = {
        name: getattr(cell.recipe, name)
        for name in (
            "epochs", "batch_size", "learning_rate", "weight_decay", "momentum", "dropout", "schedule",
            "crop_padding", "flip", "normalisation", "precision",
        )
    }  # fmt: skip
    facts = {
        "training_abi": cell.training_abi,
        "family": cell.family,
        "options": cell.options,
        "width": cell.width,
        "dataset_digest": cell.dataset_digest,
        "train_size": cell.train_size,
        "validation_size": cell.validation_size,
        "mode": cell.mode,
        "recipe": {k: int(v) if v in (0.0, 1.0) and type(v) is float else v for k, v in recipe.items()},
        **more,
    }
    return sha256_of(facts)


def sha256_of(facts: dict) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def test_a_study_without_arms_has_the_keys_it_had_before_there_were_arms():
    found = make_plan(make_study(family="wide_resnet", options={"depth": 10}, budgets=[5178], widths=[7]))
    assert [p.arm for p in found.cells] == [""] * len(found.cells)
    assert {s.arm for s in found.splits} == {""}
    for planned in found.cells:
        assert planned.cell.key == key_by_hand(planned.cell)
        for run in planned.runs:
            assert run.key == sha256_of({"training_abi": 1, "cell": planned.cell.key, "seed": run.seed})


@pytest.mark.parametrize(
    ("options", "changes", "key"),
    [
        ({"depth": 10}, {"family": "wide_resnet", "dropout": 0.0}, "40d5c1c0da76d3a2"),
        ({"depth": 16, "batch_norm": True}, {"family": "vgg", "dropout": 0.25}, "60beadc0ef91b6bf"),
    ],
)
def test_golden_keys_come_out_of_a_study_too(options, changes, key, make_cell, digits):
    """The cells of tests/training/test_golden.py, planned and not built by hand."""
    hand = make_cell(options=options, learning_rate=0.02, **changes)
    study = make_study(
        family=hand.family, options=options, validation_size=50, budgets=[], widths=[4],
        recipe=RecipeChoice(
            epochs=2, batch_size=32, learning_rate=0.02, weight_decay=3e-4, crop_padding=1,
            dropout=changes["dropout"],
        ),
    )  # fmt: skip
    for arms in ([], [Arm(name="any")]):
        one = study.model_copy(update={"arms": arms})
        found = plan(one, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
        (planned,) = found.cells
        assert planned.cell == hand
        assert planned.cell.key == key_by_hand(hand)
        assert Run(cell=planned.cell, seed=0).key.startswith(key)


def test_an_arms_name_is_no_part_of_a_key():
    mine, yours = (make_plan(make_study(arms=[Arm(name=name)])).runs for name in ("mine", "yours"))
    assert [run.key for run in mine] == [run.key for run in yours]


def test_a_record_is_part_of_a_cells_key_and_none_is_not(make_cell):
    plain = make_cell()
    assert plain.key == key_by_hand(plain)
    recorded = make_cell(record=Recording(steps=3))
    facts = {
        "every": 1, "test_size": 1000, "fixed_pass": False, "steps": 3, "curvature": 0,
        "curvature_size": 500, "eigenvalues": 3,
    }  # fmt: skip
    assert recorded.key == key_by_hand(recorded, record=facts)


@pytest.mark.parametrize(
    "change",
    [
        {"every": 2}, {"test_size": 7}, {"fixed_pass": True}, {"steps": 1}, {"curvature": 1},
        {"curvature_size": 20}, {"eigenvalues": 1},
    ],
)  # fmt: skip
def test_every_field_of_a_record_is_part_of_the_key(change, make_cell):
    cells = [make_cell(), make_cell(record=Recording()), make_cell(record=Recording(**change))]
    assert len({cell.key for cell in cells}) == 3
    assert set(change) <= set(Recording.model_fields)


@pytest.mark.parametrize(
    "change",
    [
        {"effective_learning_rate": 0.1},
        {"schedule": "two_stage", "drop_epoch": 1, "drop_factor": 0.1},
        {"schedule": "two_stage", "drop_epoch": 1, "drop_factor": 0.2},
    ],
)
def test_what_is_set_of_the_new_fields_is_part_of_the_key(change, make_cell):
    seen = {make_cell().key, make_cell(schedule="constant").key}
    assert make_cell(**change).key not in seen


# The choice of a recipe.


def test_a_choice_has_exactly_a_recipes_fields_and_a_base():
    assert set(RecipeChoice.model_fields) == {"base", *Recipe.model_fields}
    assert list(RecipeChoice.model_fields) == ["base", *Recipe.model_fields]
    assert RecipeChoice().overrides == {}


@pytest.mark.parametrize("field", Recipe.model_fields)
def test_a_choice_takes_the_values_that_a_recipe_takes(field):
    def bare(schema: dict) -> list[dict]:
        options = schema.get("anyOf", [schema])
        kept = [
            {k: v for k, v in one.items() if k not in ("title", "default", "description")} for one in options
        ]
        return [one for one in kept if one != {"type": "null"}]

    recipe, choice = (model.model_json_schema()["properties"][field] for model in (Recipe, RecipeChoice))
    assert bare(choice) == bare(recipe)


# What is refused.


def test_two_arms_with_the_same_cell_are_refused_by_both_names():
    twin = Arm(name="twin", recipe=RecipeChoice(momentum=0.9))  # as the base has it
    with pytest.raises(StudyError) as caught:
        make_plan(make_study(arms=[BN, SPHERE, twin]))
    message = str(caught.value)
    assert "'bn'" in message
    assert "'twin'" in message
    assert "'sphere'" not in message


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": [Arm(name="a"), Arm(name="b", options={"invariance": "practical"})]},
        {"arms": [Arm(name="a"), Arm(name="b", mode="bn_wd")]},
        {"arms": [Arm(name="a", recipe=RecipeChoice(epochs=3)), Arm(name="b")], "sweep": {"epochs": [2]}},
        {"sweep": {"base": ["default", "lobacheva2020"], "epochs": [2]}},
    ],
)
def test_arms_that_only_look_different_are_refused(changes):
    """A default written out, twice; a field that the sweep decides; two bases that say the same."""
    study = make_study(**changes)
    with pytest.raises(StudyError) as caught:
        make_plan(study)
    for variant in variants_of(study):
        assert repr(variant.setting.arm) in str(caught.value)


def test_arms_that_share_a_cell_at_one_width_only_are_refused_with_the_width():
    """Of two bases one is tuned for a width; beside it both say the same."""
    study = make_study(
        family="vgg", dataset="cifar10", widths=[8, 16], budgets=[], train_size=None, validation_size=0,
        arms=[
            Arm(name="tuned", recipe=RecipeChoice(dropout=0.0)),
            Arm(name="fixed", recipe=RecipeChoice(dropout=0.0, weight_decay=1e-3)),
        ],
        recipe=RecipeChoice(base="lobacheva2020"),
    )  # fmt: skip
    with pytest.raises(StudyError, match=r"'tuned' and 'fixed' .*width 8"):
        plan(study, Task(10, 3, 32), digest="0" * 64, dataset="cifar10", train_samples=50_000)


def test_two_arms_of_one_name_are_refused():
    with pytest.raises(StudyError, match="'bn' is that of more than one arm"):
        variants_of(make_study(arms=[BN, SPHERE, Arm(name="bn", mode="sphere")]))
    faults = faults_of(TOML.replace('"other"', '"plain"'))
    assert len(faults) == 1
    assert faults[0].startswith("arms: ")
    assert "'plain'" in faults[0]


def test_two_arms_of_one_name_are_a_fault_of_the_arms_also_beside_a_sweep():
    faults = faults_of(TOML.replace('"other"', '"plain"') + "\n[sweep]\nepochs = [1, 2]\n")
    assert faults[0].startswith("arms: "), faults


@pytest.mark.parametrize(
    ("field", "meant"),
    [("learnin_rate", "learning_rate"), ("efective_learning_rate", "effective_learning_rate"),
     ("epoch", "epochs"), ("bas", "base"), ("shedule", "schedule")],
)  # fmt: skip
def test_a_sweep_over_what_is_no_field_is_refused_with_the_one_meant(field, meant):
    with pytest.raises(StudyError, match=f"Did you mean '{meant}'"):
        variants_of(make_study(sweep={field: [0.1]}))
    faults = faults_of(f"{TOML}\n[sweep]\n{field} = [0.1]\n")
    assert len(faults) == 1
    assert faults[0].startswith("sweep: ")
    assert repr(field) in faults[0]
    assert f"Did you mean '{meant}'?" in faults[0]


def test_a_sweep_over_a_field_of_the_study_is_refused():
    assert "'widths'" in faults_of(TOML + "\n[sweep]\nwidths = [1, 2]\n")[0]


INVALID = {
    "base": ["'lobacheva'", "'none'"],
    "epochs": ["0", "-1", "2.5", "'3'", "true"],
    "batch_size": ["1", "-4", "8.5"],
    "learning_rate": ["0.0", "-0.1", "'fast'", "true"],
    "effective_learning_rate": ["0.0", "-1e-3", "0", "false"],
    "weight_decay": ["-1e-4", "'none'"],
    "momentum": ["1.0", "-0.5", "1"],
    "beta2": ["1.0", "-0.5"],
    "clip": ["0.0", "-1.0"],
    "dropout": ["1.0", "-0.25"],
    "label_smoothing": ["1.0", "-0.1"],
    "schedule": ["'cosin'", "1", "true"],
    "schedule_by": ["'batch'", "1"],
    "warmup_steps": ["-1", "1.5"],
    "drop_epoch": ["0", "-1", "1.5"],
    "drop_factor": ["0.0", "1.0", "2.0"],
    "crop_padding": ["-1", "0.5"],
    "flip": ["1", "0", "'yes'"],
    "normalisation": ["'cifar100'", "0.5"],
    "precision": ["'float16'", "32"],
}
PAIRS = [(field, value) for field, values in INVALID.items() for value in values]


def value_of(written: str) -> object:
    return tomllib.loads(f"it = {written}")["it"]


def test_every_field_of_a_recipe_has_a_value_that_is_wrong():
    assert list(INVALID) == list(RecipeChoice.model_fields)


@pytest.mark.parametrize(("field", "value"), PAIRS)
def test_a_swept_value_that_a_recipe_does_not_take_is_refused_with_arm_field_and_value(field, value):
    faults = faults_of(f"{TOML}\n[sweep]\n{field} = [{value}]\n")
    shown = f"{value_of(value):g}" if isinstance(value_of(value), float) else value_of(value)
    for arm in ("plain", "other"):
        told = [fault for fault in faults if f"arm '{arm}, {field} = {shown}'" in fault]
        assert told, faults
        assert any(field in fault.partition(": ")[2] for fault in told), told
        assert any(str(value_of(value)) in fault.partition(": ")[2] for fault in told), told


@pytest.mark.parametrize(("field", "value"), PAIRS)
def test_an_arms_value_that_a_recipe_does_not_take_is_refused_with_its_place(field, value):
    faults = faults_of(f"{TOML}recipe = {{ {field} = {value} }}\n")
    assert len(faults) == 1, faults
    assert "arms.1.recipe" in faults[0] or "arm 'other'" in faults[0]
    assert field in faults[0]
    assert repr(value_of(value)) in faults[0]


def test_faults_of_several_arms_and_of_the_study_are_told_at_once():
    text = (
        TOML.replace('"convnet"', '"convnet"\nbudget_kind = "flop"\noptions = { invariance = "practical" }')
        .replace('name = "plain"', 'name = "plain"\nmode = "sphre"')
        .replace('"full" }', '"ful" }\nrecipe = { base = "lobacheva" }')
    )
    faults = faults_of(text)
    assert len(faults) == 4, faults
    for words in (
        ("budget_kind", "Did you mean 'flops'?"),
        ("arm 'plain': mode", "Did you mean 'sphere'?"),
        ("arm 'other': options", "Did you mean 'full'?"),
        ("arm 'other': recipe", "Did you mean 'lobacheva20"),
    ):
        assert any(all(word in fault for word in words) for fault in faults), (words, faults)


def test_a_fault_that_arms_share_in_their_budgets_is_told_once():
    with pytest.raises(StudyError) as caught:
        make_plan(make_study(arms=BOTH, budgets=[100], members=[1]))
    assert str(caught.value).count("\n  - ") == 1


@pytest.mark.parametrize(
    ("key", "meant"), [("mod", "mode"), ("option", "options"), ("nme", "name"), ("recip", "recipe")]
)
def test_a_misspelt_key_of_an_arm_is_refused_with_the_one_meant(key, meant):
    fault = next(f for f in faults_of(f"{TOML}{key} = 'sphere'\n") if "no such key" in f)
    assert fault.startswith(f"arms.1.{key}: ")
    assert f"Did you mean '{meant}'?" in fault


def test_a_misspelt_key_of_an_arms_recipe_is_refused_with_the_one_meant():
    (fault,) = faults_of(f"{TOML}recipe = {{ epoch = 3 }}\n")
    assert fault.startswith("arms.1.recipe.epoch: ")
    assert "Did you mean 'epochs'?" in fault


def test_an_arm_without_a_name_is_refused():
    (fault,) = faults_of(TOML.replace('name = "plain"', 'mode = "bn_wd"'))
    assert fault.startswith("arms.0.name: missing")


@pytest.mark.parametrize("name", ["", " a", "=a", "-a", "a/b", "a\\u000ab", "a'b", "ä", "+1"])
def test_a_name_that_a_table_cannot_bear_is_refused(name):
    (fault,) = faults_of(TOML.replace('name = "plain"', f'name = "{name}"'))
    assert fault.startswith("arms.0.name = ")


@pytest.mark.parametrize("written", ["[[0.1]]", "[{ a = 1 }]", "[2020-01-01]", "[nan]", "[inf]"])
def test_a_swept_value_of_no_type_is_one_fault_not_two(written):
    faults = faults_of(f"{TOML}\n[sweep]\nlearning_rate = {written}\n")
    assert len(faults) == 1, faults
    assert faults[0].startswith("sweep.learning_rate.0 = ")


def test_every_unknown_field_of_a_sweep_is_told():
    faults = " ".join(faults_of(f"{TOML}\n[sweep]\nlearnin_rate = [0.1]\nmomentm = [0.5]\n"))
    assert "'learning_rate'?" in faults
    assert "'momentum'?" in faults


def test_a_misspelt_mode_is_told_beside_a_misspelt_sweep():
    text = TOML.replace('dataset = "digits"', 'dataset = "digits"\nmode = "sphre"')
    faults = " ".join(faults_of(f"{text}\n[sweep]\nlearnin_rate = [0.1]\n"))
    assert "'learning_rate'?" in faults
    assert "'sphere'?" in faults


def test_a_good_study_with_arms_and_a_sweep_has_no_fault():
    study = studies.parse(f"{TOML}\n[sweep]\nlearning_rate = [0.1, 1]\n", "mine.toml")
    assert list(study_faults(study)) == []
    assert [variant.setting.arm for variant in variants_of(study)] == [
        f"{arm}, learning_rate = {rate}" for arm in ("plain", "other") for rate in ("0.1", "1")
    ]


# Names in tables.


@pytest.mark.parametrize("name", ["007", "1.50", "1e3"])
def test_an_arm_is_not_called_by_a_number(name):
    with pytest.raises(ValidationError):
        Arm(name=name)


@pytest.mark.parametrize("name", ["sphere", "sphere, effective_learning_rate = 0.001", "a7"])
def test_an_arms_name_is_the_same_after_a_csv(name):
    Arm(name=name)  # which is allowed
    (again,) = from_csv(to_csv(memory_split.table, [{"arm": name, "budget": 3769, "members": 2}]))
    assert again["arm"] == name


def test_costs_are_read_by_arm(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text('arm,budget,members,train_step_ms\na,10,1,2\na,10,2,3\n"b, lr = 0.1",10,1,4\n')
    costs = {key: cost.train_step_ms for key, cost in read_costs(str(path)).items()}
    assert costs == {("a", 10, 1): 2, ("a", 10, 2): 3, ("b, lr = 0.1", 10, 1): 4}
