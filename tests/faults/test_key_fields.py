"""Every field of every specification is changed: the key changes exactly where the member can."""

from ensembudget.planning.plan import plan
from ensembudget.records import (
    Arm,
    Cell,
    ProbeChoice,
    Recipe,
    RecipeChoice,
    Recording,
    Run,
    SteppingChoice,
    Study,
    Tune,
)

RECIPE = Recipe(epochs=4, learning_rate=0.1, weight_decay=1e-4, effective_learning_rate=1e-3)
STAGED = {"schedule": "two_stage", "drop_epoch": 1, "drop_factor": 0.5}
CELL = Cell(
    family="convnet", options={"invariance": "full"}, width=3, dataset="digits", dataset_digest="0" * 64,
    train_size=10, validation_size=0, mode="sphere", recipe=RECIPE, record=Recording(),
)  # fmt: skip

# One other value of every field; a field that is missing here fails the test.
RECIPES = {
    "epochs": 5, "batch_size": 64, "learning_rate": 0.2, "effective_learning_rate": None, "weight_decay": 0.0,
    "momentum": 0.5, "dropout": 0.1, "schedule": "cosine", "drop_epoch": 2, "drop_factor": 0.25,
    "crop_padding": 1, "flip": False, "normalisation": "imagenet", "precision": "float64",
}  # fmt: skip
RECORDINGS = {
    "every": 2, "test_size": 10, "fixed_pass": True, "steps": 3, "curvature": 1, "curvature_size": 20,
    "eigenvalues": 1,
}  # fmt: skip
CELLS = {
    "family": "vgg", "options": {}, "width": 4, "dataset_digest": "1" * 64, "train_size": 11, "subset": 1,
    "validation_size": 1, "mode": "bn_wd", "recipe": RECIPE.model_copy(update={"epochs": 9}), "record": None,
    "training_abi": 1, "dtype": "int8", "method": "swa", "method_options": {"start": 0.5},
}  # fmt: skip
NAMES = {"dataset"}  # of a cell: what the images are called decides nothing

STUDY = Study(
    name="s", description="d", family="wide_resnet", options={"depth": 10}, dataset="digits", train_size=100,
    validation_size=60, budgets=[5178], members=[1], tolerance=1.0, pool=6, widths=[4],
    recipe=RecipeChoice(epochs=4, batch_size=32),
)  # fmt: skip
MEMBERS = {
    "family": {"family": "convnet", "options": {}}, "options": {"options": {"depth": 16}},
    "train_size": {"train_size": 99}, "validation_size": {"validation_size": 61},
    "mode": {"mode": "sphere_filters"},
    "method": {"method": "swa"}, "method_options": {"method": "swa", "method_options": {"start": 0.5}},
    "dtype": {"dtype": "int8"}, "recipe": {"recipe": RecipeChoice(epochs=5, batch_size=32)},
    "recipe_at": {"train_size": [100], "recipe_at": {"100": RecipeChoice(epochs=6)}},
    "arms": {"arms": [Arm(name="a", recipe=RecipeChoice(momentum=0.5))]},
    "sweep": {"sweep": {"momentum": [0.5]}},
    "record": {"record": Recording()},
}  # fmt: skip
OTHERS = {
    "name": "t", "description": "e", "source": "x", "budget_kind": "bytes", "budgets": [11338],
    "members": [1, 2], "multiple_of": 2, "narrowest": 2, "tolerance": 0.9, "replicates": 3, "pool": 7,
    "widths": [3, 4], "keep_weights": True, "stepping": SteppingChoice(pack=1, threads=1), "subsets": 2,
    "probes": [ProbeChoice(kind="line")], "first_look": "epochs 3",
    "tune": Tune(values={"weight_decay": [1e-3, 1e-2]}),
}  # fmt: skip
# They decide the arrays, whose digest is keyed.
DECODED = {"dataset", "image_size", "colour", "skip_corrupt", "vocabulary", "length"}


def keys(digits, digest="0" * 64, **changes) -> dict[tuple, str]:
    """By width and seed, those of the untuned first subset."""
    study = STUDY.model_copy(update=changes)
    made = plan(study, digits.task, digest=digest, dataset="digits", train_samples=1000)
    return {
        (one.cell.width, run.seed): run.key
        for one in made.cells
        if not one.tuned and not one.subset
        for run in one.runs
    }


def test_every_field_of_a_specification_changes_the_key_of_its_members(times, attacked):
    assert set(RECIPES) == set(Recipe.model_fields)
    assert set(RECORDINGS) == set(Recording.model_fields)
    assert set(CELLS) | NAMES == set(Cell.model_fields)
    seen = {Run(cell=CELL, seed=0).key, Run(cell=CELL, seed=1).key}
    changed = []
    for name, value in RECIPES.items():
        staged = name.startswith("drop_")
        base = RECIPE.model_copy(update=STAGED) if staged else RECIPE
        assert getattr(base, name) != value
        changed.append(CELL.model_copy(update={"recipe": base.model_copy(update={name: value})}))
    for name, value in RECORDINGS.items():
        assert getattr(CELL.record, name) != value
        changed.append(CELL.model_copy(update={"record": CELL.record.model_copy(update={name: value})}))
    for name, value in CELLS.items():
        assert getattr(CELL, name) != value
        changed.append(CELL.model_copy(update={name: value}))
    for cell in changed:
        key = Run(cell=Cell.from_json(cell.to_json()), seed=0).key
        assert key == Run(cell=cell, seed=0).key
        assert key not in seen, cell
        seen.add(key)
    assert CELL.model_copy(update={"dataset": "elsewhere"}).key == CELL.key
    attacked("P7", "every field of cell, recipe and recording is changed: another key each", len(changed) + 1)


def test_every_field_of_a_study_changes_keys_exactly_where_it_changes_members(digits, attacked):
    known = set(MEMBERS) | set(OTHERS) | DECODED
    assert known == set(Study.model_fields), known ^ set(Study.model_fields)
    before = keys(digits)
    for name, change in MEMBERS.items():
        assert not set(before.values()) & set(keys(digits, **change).values()), name
    for name, value in OTHERS.items():
        after = keys(digits, **{name: value})
        common = set(before) & set(after)
        assert common, name
        assert all(before[place] == after[place] for place in common), name
    assert not set(before.values()) & set(keys(digits, digest="1" * 64).values())
    attacked("P7", "every field of a study is changed: other keys exactly where members differ", len(known))
