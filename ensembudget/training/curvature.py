"""Curvature of the training loss along scale-invariant weights: traces and top eigenvalues.

Source: Lobacheva et al. 2021, arXiv:2106.15739: traces by random unit vectors (Hutchinson), divided by
the number of parameters; the Fisher matrix is J' (diag p - p p') J; eigenvalues by Lanczos, here that
of ARPACK through SciPy. To be compared along training, all are multiplied by the squared norm.
"""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..families._invariance import invariant_of

VECTORS = 5  # random directions for each trace


def columns(eigenvalues: int) -> list[str]:
    """The names of what `curvature` gives.

    >>> columns(2)
    ['hessian_trace', 'fisher_trace', 'hessian_1', 'hessian_2']
    """
    return ["hessian_trace", "fisher_trace", *(f"hessian_{i + 1}" for i in range(eigenvalues))]


def curvature(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    eigenvalues: int,
    generator: Generator,
    vectors: int = VECTORS,
) -> dict[str, float]:
    """Traces of the Hessian and the Fisher matrix, and the Hessian's largest eigenvalues.

    Args:
        network: A single network; it is copied and left as it was. Batch norm uses the batch.
        inputs: One batch, as the network takes it.
        labels: (sample,) or (sample, position); of each sample or position, -100 where there is none.
        eigenvalues: How many of the largest.
        generator: Draws the directions.
        vectors: Random directions for each trace.

    Returns:
        The `columns`: both traces divided by the number of parameters, then the eigenvalues, largest
        first; all multiplied by the squared norm, so that scale drops out. NaN where the weights are
        not finite, or where Lanczos finds none.
    """
    network = without_memory(network)
    tensors = list(invariant_of(network).tensors)
    if not all(bool(tensor.isfinite().all()) for tensor in network.parameters()):
        return dict.fromkeys(columns(eigenvalues), math.nan)
    squared = float(sum(tensor.detach().double().square().sum() for tensor in tensors))
    logits = network(inputs).flatten(0, -2)
    hessian = hessian_of(F.cross_entropy(logits, labels.flatten()), tensors)
    count = sum(tensor.numel() for tensor in tensors)

    pull = torch.zeros_like(logits, requires_grad=True)
    pulled = torch.autograd.grad(logits, tensors, pull, create_graph=True)
    probs = logits.detach().softmax(-1)

    def fisher(vector: Tensor) -> float:
        inner = sum(((g * v).sum() for g, v in zip(pulled, _shaped(vector, tensors), strict=True)))
        (pushed,) = torch.autograd.grad(inner, pull, retain_graph=True)  # type: ignore[arg-type]
        variance = (probs * pushed.square()).sum(1) - (probs * pushed).sum(1).square()
        return float(variance.mean())

    drawn = torch.randn(vectors, count, generator=generator).to(logits)
    units = drawn / drawn.norm(dim=1, keepdim=True)
    products = [hessian(v) for v in units]
    traces = [
        sum(float(v @ p) for v, p in zip(units, products, strict=True)) / vectors,
        sum(fisher(v) for v in units) / vectors,
    ]
    # Lanczos cannot start on a Hessian of zeros.
    flat = not any(bool(product.any()) for product in products)
    largest = np.zeros(eigenvalues) if flat else _largest(hessian, units[0], eigenvalues)
    return dict(zip(columns(eigenvalues), [squared * float(v) for v in (*traces, *largest)], strict=True))


def _largest(hessian: Callable[[Tensor], Tensor], start: Tensor, count: int) -> NDArray[np.float64]:
    """The largest eigenvalues of a symmetric operator, largest first; NaN where none are found."""
    if not count:
        return np.empty(0)
    operator = LinearOperator(
        (len(start), len(start)), dtype=np.float64,
        matvec=lambda v: hessian(torch.from_numpy(v.ravel()).to(start)).double().cpu().numpy(),
    )  # fmt: skip
    at = start.double().cpu().numpy()
    try:
        found = eigsh(operator, count, which="LA", v0=at, tol=1e-3, return_eigenvectors=False)
    except ArpackError:
        return np.full(count, math.nan)
    largest: NDArray[np.float64] = np.sort(found)[::-1]
    return largest


def hessian_of(loss: Tensor, tensors: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """The product of the Hessian of a loss with a vector, both (parameter,), as often as it is called.

    Args:
        loss: A scalar with its graph.
        tensors: What it is differentiated by; vectors are theirs, flattened, one after another.
    """
    gradients = torch.autograd.grad(loss, tensors, create_graph=True)

    def product(vector: Tensor) -> Tensor:
        inner = sum(((g * v).sum() for g, v in zip(gradients, _shaped(vector, tensors), strict=True)))
        products = torch.autograd.grad(inner, tensors, retain_graph=True)  # type: ignore[arg-type]
        return torch.cat([product.flatten() for product in products])

    return product


def without_memory(network: nn.Module) -> nn.Module:
    """A copy in training mode whose batch norm keeps no running statistics."""
    network = copy.deepcopy(network).train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    return network


def _shaped(vector: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    parts = vector.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
