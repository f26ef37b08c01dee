"""One `torch.export` program of the whole ensemble, for any number of samples.

It maps images, uint8 (sample, row, column, channel), or tokens, int32 (sample, position), to probabilities
(sample, class) and disagreement (sample,), and needs torch alone. `torch.export.load` unpickles, so load it
only where you trust the file.
"""

import io

import torch

from ..card import Blueprint
from ..graph import Runner, WeightedEnsemble
from ._base import Content, Format


def write(ensemble: WeightedEnsemble) -> Content:
    buffer, program = io.BytesIO(), ensemble.program
    torch.export.save(program, buffer)
    constants = [one for one in program.constants.values() if isinstance(one, torch.Tensor)]
    tensors = [*program.state_dict.values(), *constants]
    return Content(buffer.getvalue(), sum(tensor.nbytes for tensor in tensors))


def read(content: bytes, blueprint: Blueprint) -> Runner:
    return torch.export.load(io.BytesIO(content)).module()


format = Format(
    "ensemble.pt2", write, read, 'torch.export.load("ensemble.pt2").module()(samples)', safe=False
)
