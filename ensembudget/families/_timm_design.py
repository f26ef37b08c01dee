"""How timm makes one of its models: its class, and the arguments that it is called with."""

import copy
import dataclasses
import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import UnknownPartError, did_you_mean, told

# Arguments that timm's builder keeps for itself; it passes all others to the class.
_BUILDERS = (
    "pretrained_cfg", "pretrained_cfg_overlay", "feature_cfg", "pretrained_strict", "pretrained_filter_fn",
    "cache_dir", "kwargs_filter", "pretrained_model_args", "model_cfg", "pruned", "features_only",
    "out_indices",
)  # fmt: skip
# Tensor operations of weight initialisation.
_FILLING = ("uniform_", "normal_", "erfinv_", "mul_", "add_", "clamp_", "fill_", "zero_", "copy_")
_TURN = threading.Lock()  # one thread at a time replaces timm's builder
TASK_ARGUMENTS = ("num_classes", "in_chans", "img_size")  # what a task decides: classes, channels, image size


@dataclass(frozen=True)
class Design:
    """One timm model before it is made.

    Attributes:
        name: The model's name in timm.
        make: The model's class.
        given: The arguments that timm calls it with.
        arguments: Every argument that it takes, with timm's value or else its default.
        image_size: Pixels a side of the images that timm made the model for.
    """

    name: str
    make: Callable[..., nn.Module]
    given: Mapping[str, Any]
    arguments: Mapping[str, Any]
    image_size: int

    def made(self, changes: Mapping[str, Any]) -> nn.Module:
        """Makes the model with some arguments changed, and dropout and stochastic depth off."""
        off = {name: 0.0 for name, value in self.arguments.items() if _is_drop(name, value)}
        # Copied, for a class may write into its arguments.
        arguments = copy.deepcopy({**self.given, **off, **changes})
        with warnings.catch_warnings(), _Unfilled():
            warnings.simplefilter("ignore")  # about arguments that timm chose, not the user
            model = self.make(**arguments)
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout):
                module.p = 0.0
            elif isinstance(getattr(module, "drop_prob", None), float):
                module.drop_prob = 0.0  # type: ignore[assignment]
        return model


class _Unfilled(TorchFunctionMode):
    """Skips initialising tensors on the meta device, which takes most of the time of making a ViT there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _FILLING and args and isinstance(args[0], Tensor):
            if args[0].is_meta:
                return args[0]
        return func(*args, **(kwargs or {}))


def _is_drop(name: str, value: object) -> bool:
    return "drop" in name and isinstance(value, int | float) and not isinstance(value, bool)


class _CalledError(Exception):
    """Carries the arguments of a call of timm's builder out of that call."""

    def __init__(self, make: Callable[..., nn.Module], arguments: dict[str, Any]) -> None:
        super().__init__(make, arguments)
        self.make, self.arguments = make, arguments


@functools.cache
def design_of(name: str) -> Design:
    """How timm makes a model, found without making it or reading weights.

    Raises:
        UnknownPartError: timm has no such model, or does not make it by its own builder.

    Example:
        >>> found = design_of("convnext_atto")
        >>> found.make.__name__, found.arguments["dims"]
        ('ConvNeXt', (40, 80, 160, 320))
    """
    from timm.models import get_pretrained_cfg

    _check_name(name)
    make, called = _called(name)
    known = get_pretrained_cfg(name)
    facts: Mapping[str, Any] = vars(known) if known else {}
    given = {k: v for k, v in called.items() if k not in (*_BUILDERS, *(called.get("kwargs_filter") or ()))}
    taken, open_ended = _parameters(make)
    config = called.get("model_cfg")
    if config is not None:
        given["cfg"] = config
        if open_ended and dataclasses.is_dataclass(config):
            taken |= {one.name: getattr(config, one.name) for one in dataclasses.fields(config)}
    if facts.get("global_pool") is not None and "global_pool" in taken:
        given.setdefault("global_pool", facts["global_pool"])
    size = (facts.get("input_size") or (3, 224, 224))[-1]
    return Design(name, make, given, {**taken, **given}, size)


def _check_name(name: str) -> None:
    """Refuses names that are no timm models, and those of pretrained weights."""
    from timm.models import is_model, list_models

    plain, _, tag = name.partition(".")
    if tag and is_model(plain):
        raise UnknownPartError(
            f"no family {told('timm:' + name)}: {told(tag)} names pretrained weights, and members are trained"
            f" from scratch. Write 'timm:{plain}'."
        )
    if not name or not is_model(name):
        near = did_you_mean(name, list_models())
        raise UnknownPartError(f"no family {told('timm:' + name)}: timm has no model {told(name)}.{near}")


def _called(name: str) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """A model's class and its arguments, found by calling timm's entry point with the builder replaced."""
    from timm.models import model_entrypoint

    entry = model_entrypoint(name)
    try:
        with _TURN, _builder_that_tells(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names that timm deprecates
            entry(pretrained=False)
    except _CalledError as called:
        return called.make, called.arguments
    raise UnknownPartError(
        f"no family {told('timm:' + name)}: {entry.__module__} registered that model with timm and makes it"
        " without timm's builder, so nothing says how wide it is. Choose one of timm's own."
    )


@contextmanager
def _builder_that_tells() -> Iterator[None]:
    """In this context timm's builder raises `_CalledError` with its arguments instead of building.

    timm has no function for this: only a model's entry point knows what it passes to the class.
    """

    def tell(model_cls: Callable[..., nn.Module], variant: str, pretrained: bool, **rest: Any) -> None:
        raise _CalledError(model_cls, rest)

    of_timm = [module for name, module in sys.modules.items() if name.startswith("timm.models.")]
    was = {one: vars(one)["build_model_with_cfg"] for one in of_timm if "build_model_with_cfg" in vars(one)}
    for module in was:
        vars(module)["build_model_with_cfg"] = tell
    try:
        yield
    finally:
        for module, builder in was.items():
            vars(module)["build_model_with_cfg"] = builder


def _parameters(make: Callable[..., nn.Module]) -> tuple[dict[str, Any], bool]:
    """The named arguments of a class with their defaults, and whether it takes others too.

    A class that passes `*args` and `**kwargs` on to its parent has the parent's arguments as well.
    """
    found: dict[str, Any] = {}
    classes = inspect.getmro(make) if inspect.isclass(make) else (make,)
    for one in classes:
        if inspect.isclass(one) and "__init__" not in vars(one):
            continue
        parameters = inspect.signature(one).parameters.values()
        named = {p.name: p.default for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        found = {**named, **found}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return found, False
        if one is nn.Module or not any(p.kind == p.VAR_POSITIONAL for p in parameters):
            return found, True
    return found, True
