"""The variants of a study: each arm and combination of its sweep, at each data size, subset and dtype."""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypedDict

from .. import recipes
from ..errors import StudyError, did_you_mean, told
from ..families._base import OptionValue
from ..records import FLOAT32, INDEPENDENT, MethodOptions, RecipeChoice, Setting, Study

MOST_VARIANTS = 10_000  # of one study: more is a typing error


class Counted(TypedDict):
    """What decides the cost of a member besides its width, by the names of `planning.widths.cost`."""

    options: Mapping[str, OptionValue]
    dtype: str
    method: str
    method_options: MethodOptions


class Variant(NamedTuple):
    """One arm of a study with one combination of swept values, at one data size, subset and dtype.

    Attributes:
        setting: Where it stands on the study's axes.
        train_size: Training samples; None for all that are not held out.
        base_arm: The arm's name in the study, "" where the study has no arms.
        values: The swept fields and this variant's values of them.
        mode: How members are trained.
        options: Of the family.
        base: The published recipe to start from.
        overrides: Recipe fields laid over it, the swept ones among them.
        dtype: How trained weights are stored.
        method: What a member is.
        method_options: Those that replace the method's defaults.
    """

    setting: Setting
    train_size: int | None
    base_arm: str
    values: Mapping[str, Any]
    mode: str
    options: Mapping[str, OptionValue]
    base: str
    overrides: Mapping[str, Any]
    dtype: str = FLOAT32
    method: str = INDEPENDENT
    method_options: MethodOptions = {}  # noqa: RUF012, a named tuple's default that nothing changes

    @property
    def counted(self) -> Counted:
        return Counted(
            options=self.options, dtype=self.dtype, method=self.method, method_options=self.method_options
        )

    def recipe(self, family: str, dataset: str, width: int) -> recipes.Resolved:
        """The recipe of one width, and where its hyperparameters come from.

        Raises:
            StudyError: No such published recipe, or fields that contradict each other.
        """
        return recipes.resolve(self.base, self.overrides, family=family, dataset=dataset, width=width)


def variants_of(study: Study) -> list[Variant]:
    """Every variant of a study; without arms and sweep there is one, with an empty label.

    Arms come in the study's order. Within an arm the swept fields are sorted by name, and their values
    keep the study's order, the last field varying fastest. Then come data sizes, subsets and dtypes.

    Raises:
        StudyError: Two arms of one name; a sweep of unknown fields, repeated or too many values; repeated
            data sizes or dtypes, or a recipe at a size that the study does not have.

    Example:
        >>> study = Study(name="x", description="", family="vgg", dataset="digits", sweep={"epochs": [1, 2]})
        >>> [(variant.setting.arm, variant.base_arm, variant.values) for variant in variants_of(study)]
        [('epochs = 1', '', {'epochs': 1}), ('epochs = 2', '', {'epochs': 2})]
    """
    if faults := variant_faults(study):
        raise StudyError("; ".join(faults))
    fields = sorted(study.sweep)
    return [
        _swept(
            _stored(_sized(variant, study, size, subset), study, dtype),
            dict(zip(fields, values, strict=True)),
        )
        for variant in unswept(study)
        for values in product(*(study.sweep[field] for field in fields))
        for size in train_sizes(study)
        for subset in range(study.subsets)
        for dtype in dtypes(study)
    ]


def train_sizes(study: Study) -> list[int | None]:
    """The data sizes of a study; None stands for all samples that are not held out."""
    return [*study.train_size] if isinstance(study.train_size, list) else [study.train_size]


def dtypes(study: Study) -> list[str]:
    """The dtypes of a study."""
    return study.dtype if isinstance(study.dtype, list) else [study.dtype]


def unswept(study: Study) -> list[Variant]:
    """One variant an arm, before anything is swept."""
    base, shared = study.recipe.base or recipes.default_of(study.family), study.recipe.overrides
    if not study.arms:
        alone = Variant(Setting(), None, "", {}, study.mode, study.options, base, shared)
        return [alone._replace(method=study.method, method_options=study.method_options)]
    return [
        Variant(
            setting=Setting(arm.name),
            train_size=None,
            base_arm=arm.name,
            values={},
            mode=arm.mode or study.mode,
            options={**study.options, **arm.options},
            base=arm.recipe.base or base,
            overrides={**shared, **arm.recipe.overrides},
            method=arm.method or study.method,
            method_options={**({} if arm.method else study.method_options), **arm.method_options},
        )
        for arm in study.arms
    ]


def variant_faults(study: Study) -> list[str]:
    """Why the arms and the sweep of a study cannot be, one sentence a fault."""
    return [*_arm_faults(study), *_sweep_faults(study), *_size_faults(study), *_dtype_faults(study)]


def _arm_faults(study: Study) -> list[str]:
    names = [arm.name for arm in study.arms]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [
        f"arms: the name {name!r} is that of more than one arm. Give each its own name." for name in repeated
    ]


def _sweep_faults(study: Study) -> list[str]:
    known, faults = list(RecipeChoice.model_fields), []
    for field, values in study.sweep.items():
        if field not in known:
            faults.append(
                f"sweep: {told(field)} is no field of a recipe.{did_you_mean(field, known)}"
                f" Known: {', '.join(known)}."
            )
        if repeated := [value for i, value in enumerate(values) if value in values[:i]]:
            faults.append(f"sweep: {told(field)[1:-1]} = {told(repeated[0])} is listed twice. Leave one out.")
    count = prod(map(len, study.sweep.values())) * max(1, len(study.arms))
    count *= len(train_sizes(study)) * study.subsets * len(dtypes(study))
    if count > MOST_VARIANTS:
        faults.append(
            f"{count:,} combinations of arms, swept values, train sizes, subsets and dtypes; at most"
            f" {MOST_VARIANTS:,} are planned. List fewer values."
        )
    return faults


def _size_faults(study: Study) -> list[str]:
    sizes, faults = train_sizes(study), []
    if repeated := [size for i, size in enumerate(sizes) if size in sizes[:i]]:
        faults.append(f"train_size: {repeated[0]:,} is listed twice. Leave one out.")
    known = [str(size) for size in sizes if size is not None]
    if unknown := [size for size in study.recipe_at if size not in known]:
        faults.append(
            f"recipe_at: the study has no train_size {', '.join(map(told, unknown))}."
            f" It has {', '.join(known) or 'none'}."
        )
    return faults


def _dtype_faults(study: Study) -> list[str]:
    named = dtypes(study)
    faults = [
        f"dtype: {name!r} is listed twice. Leave one out."
        for name in dict.fromkeys(name for i, name in enumerate(named) if name in named[:i])
    ]
    if study.record and set(named) != {FLOAT32}:
        faults.append(
            "record: histories are of training, which is in float32, and dtype asks for"
            f" {', '.join(name for name in named if name != FLOAT32)}. Leave record or dtype out."
        )
    return faults


def _sized(variant: Variant, study: Study, size: int | None, subset: int) -> Variant:
    """A variant at one data size and subset; only a list of sizes, and several subsets, are axes."""
    at = study.recipe_at.get(str(size), RecipeChoice())
    setting = variant.setting._replace(
        tuned=None if study.tune is None else False,
        train_size=size if isinstance(study.train_size, list) else None,
        subset=subset if study.subsets > 1 else None,
    )
    return variant._replace(
        setting=setting,
        train_size=size,
        base=at.base or variant.base,
        overrides={**variant.overrides, **at.overrides},
    )


def _stored(variant: Variant, study: Study, dtype: str) -> Variant:
    """A variant in one dtype; only a list of them is an axis."""
    axis = dtype if isinstance(study.dtype, list) else ""
    return variant._replace(setting=variant.setting._replace(dtype=axis), dtype=dtype)


def _swept(variant: Variant, values: Mapping[str, Any]) -> Variant:
    said = [f"{field} = {str(value).removesuffix('.0')}" for field, value in values.items()]
    return variant._replace(
        setting=variant.setting._replace(arm=", ".join([*filter(None, [variant.setting.arm]), *said])),
        values=values,
        base=str(values.get("base", variant.base)),
        overrides={**variant.overrides, **{k: v for k, v in values.items() if k != "base"}},
    )
