"""A study: a grid of splits, in one or several arms."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from ._base import DOCUMENTED, Record
from .cell import INDEPENDENT, MethodOptions, Options, Recording
from .probe import ProbeChoice
from .recipe import RecipeChoice
from .stepping import SteppingChoice
from .tuning import Tune

Colour = Literal["rgb", "grey"]

STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

# A letter comes first, so that no table reads a name as a number.
ARM_NAME = r"^[A-Za-z][A-Za-z0-9_.=, -]*$"
Name = Annotated[str, Field(pattern=ARM_NAME)]


# One value, or a list of them; a wrong one is told as one fault and not as one for each.
_either = Discriminator(lambda value: "list" if isinstance(value, list) else "one")
OneOrMore = Annotated[
    Annotated[PositiveInt, Tag("one")] | Annotated[list[PositiveInt], Field(min_length=1), Tag("list")],
    _either,
]
NameOrNames = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[str], Field(min_length=1), Tag("list")], _either
]


class Arm(Record):
    """One of several ways to train that a study compares; what it sets replaces what the study says."""

    model_config = DOCUMENTED

    name: Name
    """What tables call the arm. Example: `name = "sphere"`"""
    mode: str | None = None
    """Replaces the mode of the study; left out, an arm with a base recipe of its own has the mode of that one
    if the study states none.

    Example: `mode = "sphere"`
    """
    method: str | None = None
    """Replaces the method of the study. Example: `method = "swa"`"""
    method_options: MethodOptions = {}
    """Options of the arm's method. An arm that names no method lays them over the study's.

    Example: `method_options = { start = 0.5 }`
    """
    options: Options = {}
    """Laid over the study's options of the family. Example: `options = { batch_norm = true }`"""
    recipe: RecipeChoice = RecipeChoice()
    """Recipe fields, laid over the study's recipe. Example: `recipe = { learning_rate = 0.05 }`"""


class Study(Record):
    """A grid of splits: which networks to train on what, for which budgets and ensemble sizes.

    All of it is done for every arm, for every combination of swept values, at every train size, and for every
    subset of training images. docs/study.md lists the fields, and is generated from what follows.
    """

    model_config = DOCUMENTED

    name: Annotated[str, Field(pattern=STUDY_NAME)]
    """What the study is called: letters, digits, and _ . - after the first. Reports go to `report/NAME`.

    Example: `name = "birds"`
    """
    description: str
    """One line that says what is asked. `ensembudget ls studies` prints it.

    Example: `description = "three birds at 32x32 pixels"`
    """
    source: str = ""
    """Where the design comes from, such as a paper. Example: `source = "arXiv:2007.08483"`"""
    family: str
    """The architecture whose width is free (`ensembudget ls families`). Example: `family = "wide_resnet"`"""
    options: Options = {}
    """Options of the family, such as its depth (`ensembudget plan --help` lists them).

    Example: `options = { depth = 10 }`
    """
    dataset: str
    """The samples (`ensembudget ls datasets`): a name, or a name and a place, as `folder:DIR` or
    `characters:FILE`, which is relative to the study file.

    Example: `dataset = "folder:birds"`
    """
    image_size: PositiveInt | None = None
    """Pixels a side. Images are cut to their central square and resized; left out, they stay as they are.

    Example: `image_size = 32`
    """
    colour: Colour | None = None
    """Whether all images become RGB or grey; left out, they stay as they are, and all must be alike.

    Example: `colour = "rgb"`
    """
    skip_corrupt: bool = False
    """Whether files that cannot be decoded are left out and counted. Example: `skip_corrupt = true`"""
    vocabulary: int | None = None
    """The size of the vocabulary of texts: byte-pair tokens and a few reserved ones. The default is 1,000.
    All characters of the training texts must be among them.

    Example: `vocabulary = 2000`
    """
    length: PositiveInt | None = None
    """Tokens of a text (default 32), of a block of characters (64), or of each sentence of a pair (64).
    Longer samples are cut, or left out if they are training pairs; a note counts them.

    Example: `length = 48`
    """
    train_size: OneOrMore | None = None
    """Training samples; left out, all that are not held out. With a list, all is done at each of these sizes.

    Example: `train_size = [500, 2000]`
    """
    subsets: PositiveInt = 1
    """How many disjoint draws of training samples each train size has. Example: `subsets = 3`"""
    validation_size: NonNegativeInt = 0
    """Training samples that are held out, to tune on; at least 50 where the study has `tune`.

    Example: `validation_size = 200`
    """
    scored_positions: Annotated[int, Field(ge=2)] | None = None
    """For tasks that predict every position: how many tokens of the test data, and of the validation data,
    are scored and have their logits kept, drawn at random. The default is 4,000. Others score all samples.

    Example: `scored_positions = 10000`
    """
    mode: str = "bn_wd"
    """What an update step means (`ensembudget ls modes`). Left out, it is that of the base recipe: `adamw` of
    `transformer`, and `bn_wd` of the others.

    Example: `mode = "sphere"`
    """
    method: str = INDEPENDENT
    """What a member is (`ensembudget ls methods`): one network, or a unit of several predictors from one
    training run, whose probabilities are averaged. Budgets are spent on whole units.

    Example: `method = "snapshots"`
    """
    method_options: MethodOptions = {}
    """Options of the method, such as how many predictors a unit has.

    Example: `method_options = { predictors = 4 }`
    """
    budget_kind: str = "parameters"
    """What budgets count (`ensembudget ls budgets`). Example: `budget_kind = "bytes"`"""
    budgets: list[str | int] = []
    """What all members of an ensemble may cost together, as numbers or with a unit.

    Example: `budgets = ["250k", "1M"]`
    """
    dtype: NameOrNames = "float32"
    """How trained weights are stored (`ensembudget ls dtypes`). Logits are of the rounded networks, and
    budgets of bytes count rounded numbers. With a list, all is done in each of them.

    Example: `dtype = ["float32", "int8"]`
    """
    members: Annotated[list[PositiveInt], Field(min_length=1)] = [1]
    """Ensemble sizes to compare. 1 is the wide network. Example: `members = [1, 2, 4, 8]`"""
    multiple_of: PositiveInt = 1
    """Only widths that are multiples of this number. Example: `multiple_of = 4`"""
    narrowest: PositiveInt = 1
    """Splits whose networks are narrower than this width are left out. Example: `narrowest = 5`"""
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05
    """The largest share by which a split may miss its budget; a split further off is refused.

    Example: `tolerance = 0.1`
    """
    replicates: PositiveInt = 2
    """How many disjoint ensembles of every size the pools must hold. Example: `replicates = 4`"""
    pool: PositiveInt = 8
    """Members trained of every width, at least. From 8 on, intervals rest on the spread of ensembles.

    Example: `pool = 16`
    """
    widths: list[PositiveInt] = []
    """Widths to train beside those that the budgets call for. Example: `widths = [4, 64]`"""
    keep_weights: bool = False
    """Whether the store keeps the trained weights and not only the logits. Example: `keep_weights = true`"""
    stepping: SteppingChoice = SteppingChoice()
    """What is fixed of how members are stepped; the rest is autotuned. A table, see below.

    Example: `stepping = { pack = 8, compiled = false }`
    """
    recipe: RecipeChoice = RecipeChoice()
    """How members are trained. A table, see below. Example: `recipe = { epochs = 20 }`"""
    recipe_at: dict[str, RecipeChoice] = {}
    """Recipe fields for one train size, laid over the recipe of every arm.

    Example: `recipe_at = { 500 = { epochs = 60 } }`
    """
    arms: list[Arm] = []
    """Several ways to train, compared with each other. Tables, see below.

    Example: `arms = [{ name = "plain" }, { name = "sphere", mode = "sphere" }]`
    """
    sweep: dict[str, Annotated[list[float | int | str | bool], Field(min_length=1)]] = {}
    """Recipe fields, and the values to compare. Every combination is a variant of every arm.

    Example: `sweep = { weight_decay = [1e-4, 1e-3] }`
    """
    record: Recording | None = None
    """What to record while members train; left out, nothing. A table, see below.

    Example: `record = { every = 2 }`
    """
    probes: list[ProbeChoice] = []
    """What is measured of the loss around and between the trained members. Tables, see below.

    Example: `probes = [{ kind = "line" }, { kind = "tunnel" }]`
    """
    first_look: str = ""
    """What `--epochs`, `--train-size` and `--limit` replaced; every table says it. They alone write it: a
    study file that has it is refused.

    Example: `first_look = "epochs 3"`
    """
    tune: Tune | None = None
    """Recipe fields that are chosen on validation samples; left out, none. A table, see below.

    Example: `tune = { values = { weight_decay = [1e-4, 1e-3] } }`
    """

    def placed(self, folder: Path) -> Self:
        """The study whose dataset's folder, if it is relative, is relative to another folder."""
        return self._at(lambda place: str(folder / place))

    @property
    def unplaced(self) -> Self:
        """The study wherever its dataset's folder lies: `folder:../photos` becomes `folder:photos`."""
        return self._at(lambda place: Path(os.path.normpath(Path.cwd() / place)).name)

    def _at(self, move: Callable[[str], str]) -> Self:
        kind, _, place = self.dataset.partition(":")
        return self.model_copy(update={"dataset": f"{kind}:{move(place)}"}) if place else self
