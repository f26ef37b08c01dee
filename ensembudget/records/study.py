"""A study: a grid of splits, in one or several arms."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from ._base import Record
from .cell import Options, Recording
from .recipe import RecipeChoice
from .stepping import SteppingChoice
from .tuning import Tune

Dtype = Literal["float32", "float16", "bfloat16", "int8"]

# A letter comes first, so that no table reads a name as a number.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.=, -]*$")]


# A number, or a list of them; a wrong value is told as one fault and not as one for each.
OneOrMore = Annotated[
    Annotated[PositiveInt, Tag("int")] | Annotated[list[PositiveInt], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "int"),
]


class Arm(Record):
    """One of several ways to train that a study compares; what it sets replaces what the study says."""

    name: Name
    mode: str | None = None
    options: Options = {}
    recipe: RecipeChoice = RecipeChoice()


class Study(Record):
    """A grid of splits: which networks to train on what, for which budgets and ensemble sizes.

    Of every width at least `pool` members are trained, and enough for `replicates` disjoint ensembles of
    every size. `widths` adds widths that no budget calls for. A split narrower than `narrowest` is left
    out, and one that misses its budget by more than `tolerance` (a fraction) is refused. All this is done
    for every arm and for every combination of the values that `sweep` lists.

    A list of train sizes is an axis of its own, and so are `subsets` disjoint draws of training images.
    With `image_size` images are cut to their central square and resized to so many pixels a side.
    `recipe_at` lays fields over the recipe of every arm at one train size: `500 = { epochs = 60 }`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    description: str
    source: str = ""
    family: str
    options: Options = {}
    dataset: str
    image_size: PositiveInt | None = None
    train_size: OneOrMore | None = None
    subsets: PositiveInt = 1
    validation_size: NonNegativeInt = 0
    mode: str = "bn_wd"
    budget_kind: str = "parameters"
    budgets: list[str | int] = []
    dtype: Dtype = "float32"
    members: Annotated[list[PositiveInt], Field(min_length=1)] = [1]
    multiple_of: PositiveInt = 1
    narrowest: PositiveInt = 1
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05
    replicates: PositiveInt = 2
    pool: PositiveInt = 8
    widths: list[PositiveInt] = []
    keep_weights: bool = False
    stepping: SteppingChoice = SteppingChoice()
    recipe: RecipeChoice = RecipeChoice()
    recipe_at: dict[str, RecipeChoice] = {}
    arms: list[Arm] = []
    sweep: dict[str, Annotated[list[float | int | str | bool], Field(min_length=1)]] = {}
    record: Recording | None = None
    tune: Tune | None = None
