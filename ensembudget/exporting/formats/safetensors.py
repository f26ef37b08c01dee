"""Weights alone, read by ensembudget: tensors called `0.NAME`, `1.NAME` and so on, a number a member."""

import safetensors
import safetensors.torch
from torch import Tensor

from ..card import Blueprint
from ..graph import Runner, State, WeightedEnsemble, stored_shapes
from ._base import Content, Format


def write(ensemble: WeightedEnsemble) -> Content:
    tensors = {
        f"{member}.{name}": tensor.contiguous()
        for member, state in enumerate(ensemble.stored)
        for name, tensor in state.items()
    }
    return Content(safetensors.torch.save(tensors), sum(tensor.nbytes for tensor in tensors.values()))


def read(content: bytes, blueprint: Blueprint) -> Runner:
    return WeightedEnsemble(blueprint, states_of(content, blueprint)).graph


def states_of(content: bytes, blueprint: Blueprint) -> list[State]:
    """The members' tensors.

    Raises:
        ValueError: They are not those of such an ensemble.
    """
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is not a safetensors file: {error}") from None
    wanted = stored_shapes(blueprint)
    if len(tensors) != blueprint.members * len(wanted):
        raise ValueError(
            f"it has {len(tensors)} tensors, and {blueprint.members} members of {len(wanted)} are expected"
        )
    for member in range(blueprint.members):
        for name, tensor in wanted.items():
            _check(f"{member}.{name}", tensors, tensor)
    return [{name: tensors[f"{i}.{name}"] for name in wanted} for i in range(blueprint.members)]


def _check(name: str, tensors: State, wanted: Tensor) -> None:
    if name not in tensors:
        raise ValueError(f"it has no tensor {name!r}")
    found = tensors[name]
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        raise ValueError(
            f"tensor {name!r} is {found.dtype} of shape {tuple(found.shape)} instead of {wanted.dtype} of"
            f" shape {tuple(wanted.shape)}"
        )


format = Format("ensemble.safetensors", write, read, "ensembudget.load(DIR)")
