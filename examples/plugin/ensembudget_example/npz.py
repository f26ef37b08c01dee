"""Weights as a NumPy archive: arrays called `0.NAME`, `1.NAME` and so on, a number a member."""

import io

import numpy as np

from ensembudget.exporting.card import Blueprint
from ensembudget.exporting.formats._base import Content, Format
from ensembudget.exporting.graph import Runner, WeightedEnsemble, state_of, state_shapes


def write(ensemble: WeightedEnsemble) -> Content:
    arrays = {
        f"{member}.{name}": tensor.numpy()
        for member, state in enumerate(ensemble.states)
        for name, tensor in state.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return Content(buffer.getvalue(), sum(array.nbytes for array in arrays.values()))


def read(content: bytes, blueprint: Blueprint) -> Runner:
    names = state_shapes(blueprint)
    try:
        with np.load(io.BytesIO(content)) as archive:
            weights = [{n: archive[f"{i}.{n}"] for n in names} for i in range(blueprint.members)]
    except (KeyError, EOFError) as error:
        raise ValueError(f"it lacks arrays: {error}") from None
    return WeightedEnsemble(blueprint, [state_of(one, names) for one in weights]).graph


format = Format("ensemble.npz", write, read, "ensembudget.load(DIR), or numpy.load")
