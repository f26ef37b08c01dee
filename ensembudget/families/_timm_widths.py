"""What the width of a timm model is: which of its arguments count channels, and how each scales with k.

The first of `LEADERS` that a model has defines its width: that argument is set to k, or, where it has one
value a stage, its first value is k and the others keep their ratios to it. Those of `FOLLOWERS` that the
model has scale by the same factor. The names are timm's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from ..errors import PlanError, told
from ._base import OptionValue
from ._timm_design import TASK_ARGUMENTS, Design

LEADERS = (
    "channels",  # of each stage: ResNet, ResNetV2, NFNet, DLA, CspNeXt
    "dims",  # of each stage: ConvNeXt, MetaFormer, EdgeNeXt, InceptionNeXt, MambaOut
    "embed_dims",  # of each stage: PVT, Twins, DaViT, FastViT, EfficientFormer, VOLO
    "embed_dim",  # of all tokens: ViT, BEiT, Mixer; of the first stage: Swin, FocalNet; of each: LeViT
    "widths",  # of each stage: EfficientViT
    "width_list",  # of each stage: LowFormer
    "growth_rate",  # that a layer adds: DenseNet, whose stem has twice as many
    "dim",  # ConvMixer
    "base_dim",  # of the first stage: StarNet
)
FOLLOWERS = ("stem_width", "stem_chs", "stem_hidden_dim", "head_hidden_size", "head_widths", "feature_dim")
ROUNDED = "round_chs_fn"  # EfficientNet, MobileNet: multiplies all channels and rounds them
# Arguments that multiply all channels, and the channels of the first layer at a factor of 1.
FACTORS = {"width_mult": 16, "width": 16, "width_factor": 64}  # ReXNet; GhostNet; TResNet

MAPPING = "width_argument"  # the option that names the arguments of the width
HEAD_SIZE = "head_size"  # the option that fixes the size of heads, so that their number scales

Rule = Callable[[int], Any]  # from a width to the value of an argument


@dataclass(frozen=True)
class WidthScale:
    """How a model's arguments depend on the width.

    Attributes:
        own: The width of timm's own model, where it is known.
        means: What a width of k is, for messages: "dims = k x (1, 2, 4, 8)".
        rules: For each argument, its value as a function of the width.
    """

    own: int | None
    means: str
    rules: Mapping[str, Rule]

    def arguments(self, width: int) -> dict[str, Any]:
        """The values of all arguments that depend on the width."""
        return {name: rule(width) for name, rule in self.rules.items()}


def scale_of(design: Design, options: Mapping[str, OptionValue]) -> WidthScale | None:
    """How a model scales, by its option `width_argument` or else by the table; None if nothing is known.

    Raises:
        PlanError: The option cannot be read, or names an argument that the model does not have.

    Example:
        >>> from ._timm_design import design_of
        >>> atto = scale_of(design_of("convnext_atto"), {})
        >>> atto.own, atto.arguments(8)
        (40, {'dims': (8, 16, 32, 64)})
        >>> scale_of(design_of("vgg16"), {}) is None
        True
    """
    values = {**design.arguments, **options}
    found = _mapped(design, str(options[MAPPING])) if options.get(MAPPING) else _known(values)
    return _with_heads(found, values) if found else None


def _known(values: Mapping[str, Any]) -> WidthScale | None:
    if callable(values.get(ROUNDED)) and isinstance(values.get("stem_size"), int):
        return _rounded(values)
    for name in LEADERS:
        first = _first(values.get(name))
        if first:
            scaled = [name, *(one for one in FOLLOWERS if _first(values.get(one)))]
            rules = {one: partial(_in_proportion, values[one], first) for one in scaled}
            return WidthScale(first, f"{name} = {_ratios(values[name], first)}", rules)
    for name, channels in FACTORS.items():
        if isinstance(values.get(name), int | float):
            rule = partial(_multiple, (Fraction(1, channels),), as_real=True)
            return WidthScale(round(channels * values[name]), f"{name} = k/{channels}", {name: rule})
    return None


def _rounded(values: Mapping[str, Any]) -> WidthScale:
    """Scales the stem's channels before rounding, and the last layer, which the class does not scale."""
    from timm.models._efficientnet_builder import round_channels

    stem, rounding, features = values["stem_size"], values[ROUNDED], values.get("num_features")
    before = getattr(rounding, "keywords", {}).get("multiplier", 1.0)
    round_to: Callable[..., int] = round_channels
    rules: dict[str, Rule] = {ROUNDED: lambda k: partial(round_to, multiplier=k / stem)}
    if features:
        rules["num_features"] = lambda k: round_to(features, k / (stem * before))
    return WidthScale(round(stem * before), f"all channels times k/{stem}, rounded to multiples of 8", rules)


def _mapped(design: Design, text: str) -> WidthScale:
    """Reads a user's mapping: `embed_dim`, `dims=1,2,4,8`, `channels=1,2,4,8 stem_width=1/2`."""
    rules, meanings, own = dict[str, Rule](), [], None
    for item in text.replace(";", " ").split():
        name, equals, written = item.partition("=")
        value = _argument(design, text, name)
        if equals:
            rules[name] = _written_rule(value, _multiples(text, written))
            meanings.append(f"{name} = k x {written}")
        else:
            first = _channels(text, name, value)
            rules[name] = partial(_in_proportion, value, first)
            meanings.append(f"{name} = {_ratios(value, first)}")
            own = own or first
    if not rules:
        raise PlanError(f"option {MAPPING} = {told(text)} names no argument. Write it like dims=1,2,4,8.")
    return WidthScale(own, " and ".join(meanings), rules)


def _argument(design: Design, text: str, name: str) -> Any:
    if name not in design.arguments:
        raise PlanError(
            f"option {MAPPING} = {told(text)}: 'timm:{design.name}' takes no argument {told(name)}."
            f" It takes {', '.join(sizes(design)) or 'none that is a number'}."
        )
    return design.arguments[name]


def _written_rule(value: Any, multiples: tuple[Fraction, ...]) -> Rule:
    """The rule for an argument of a value, whose multiples of the width a user wrote."""
    several = isinstance(value, tuple | list) or len(multiples) > 1
    return partial(_multiples_of if several else _multiple, multiples, as_real=isinstance(value, float))


def _channels(text: str, name: str, value: Any) -> int:
    if first := _first(value):
        return first
    raise PlanError(
        f"option {MAPPING} = {told(text)}: {name} is {told(value)} and no number of channels. Say how"
        f" much of it a width of 1 is, as in {name}=1/64."
    )


def _multiples(text: str, written: str) -> tuple[Fraction, ...]:
    try:
        found = tuple(Fraction(one) for one in written.split(","))
    except (ValueError, ZeroDivisionError):
        found = ()
    if not found or any(not 0 < one <= 10**6 for one in found):
        raise PlanError(
            f"option {MAPPING} = {told(text)}: {told(written)} is no list of multiples of the width. Write it"
            " like dims=1,2,4,8 or stem_width=1/2."
        )
    return found


def _with_heads(scale: WidthScale, values: Mapping[str, Any]) -> WidthScale:
    """Fixes the size of heads where the option `head_size` does; else their number stays the model's."""
    size = values.get(HEAD_SIZE)
    if size is None:
        return scale
    embed = scale.rules.get("embed_dim")
    if embed is None or not all(isinstance(values.get(one), int) for one in ("num_heads", "embed_dim")):
        raise PlanError(
            f"option {HEAD_SIZE} = {size} is for models of one embed_dim and one num_heads, as ViT is. Leave"
            " it out: heads keep their number, and their size scales."
        )
    if size < 1:
        raise PlanError(f"option {HEAD_SIZE} = {size} is below 1, the smallest head.")

    def heads(k: int) -> int:
        if embed(k) % size:
            raise PlanError(f"embed_dim {embed(k)} is no multiple of {HEAD_SIZE} {size}")
        return int(embed(k) // size)

    return WidthScale(scale.own, f"{scale.means} in heads of {size}", {**scale.rules, "num_heads": heads})


def sizes(design: Design) -> list[str]:
    """The arguments of a model that are numbers or lists of them: candidates for its width."""
    return [
        name
        for name, value in design.arguments.items()
        if (_first(value) or isinstance(value, float)) and "drop" not in name and name not in TASK_ARGUMENTS
    ]


def _first(value: object) -> int:
    """A positive whole number, or the first of several; 0 where the value is neither."""
    if isinstance(value, tuple | list) and value and all(_first(one) for one in value):
        return _first(value[0])
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _in_proportion(value: Any, first: int, k: int) -> Any:
    return _times(value, Fraction(k, first))


def _multiple(multiples: tuple[Fraction, ...], k: int, *, as_real: bool) -> int | float:
    return float(multiples[0] * k) if as_real else int(_times(1, multiples[0] * k))


def _multiples_of(multiples: tuple[Fraction, ...], k: int, *, as_real: bool) -> tuple[int | float, ...]:
    return tuple(_multiple((one,), k, as_real=as_real) for one in multiples)


def _times(value: Any, factor: Fraction) -> Any:
    """Multiplies every number by a factor, rounds it to the nearest whole one, and keeps it at least 1."""
    if isinstance(value, tuple | list):
        return type(value)(_times(one, factor) for one in value)
    return max(1, int(value * factor + Fraction(1, 2)))


def _ratios(value: Any, first: int) -> str:
    """The numbers at a width of k, in words: `k`, or `k x (1, 2, 4, 8)`."""
    if not isinstance(value, tuple | list):
        return "k"
    return f"k x ({', '.join(f'{one / first:.3g}' for one in value)})"
