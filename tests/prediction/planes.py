"""Planes of a known law, and members that are a signal and noise of their own."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch

from ensembudget.prediction.forms import INTERACTING, Form
from ensembudget.prediction.plane import Plane, WidthCurve, checked

EACH = 100  # parameters of a member over its width squared
SIZES, WIDTHS = (1, 2, 4, 8), (4, 6, 8, 12, 16)


def coarse(points: int = 9) -> tuple[Form]:
    """The interacting form alone, with few exponents."""
    along_members, along_width = INTERACTING.exponents
    grids = (
        along_members._replace(grid=np.geomspace(0.2, 2.5, points)),
        along_width._replace(grid=np.geomspace(0.1, 2.5, points)),
    )
    return (INTERACTING._replace(exponents=grids),)


COARSE = coarse()


class Law(NamedTuple):
    c: float = 0.5
    b: float = 0.3
    d: float = 0.6
    e: float = 0.1
    alpha: float = 0.75
    beta: float = 0.5

    def __call__(self, members, width, narrowest=WIDTHS[0]):
        n, q = np.asarray(members, float) ** -self.alpha, (width / narrowest) ** (-2 * self.beta)
        return self.c + self.b * n + self.d * q + self.e * n * q


def errors(stderr: float, sizes: int, correlation: float = 0.75) -> np.ndarray:
    return stderr**2 * (correlation + (1 - correlation) * np.eye(sizes))


def plane_of(
    law: Law,
    widths: Sequence[int] = WIDTHS,
    sizes: Sequence[int] = SIZES,
    *,
    stderr: float = 0.0,
    rng: np.random.Generator | None = None,
    shifts: Mapping[int, float] | None = None,
    each: float = EACH,
    times: float = 1.0,
) -> Plane:
    """A plane that follows a law, with errors of measurement where there is a generator."""
    covariance, curves = errors(stderr, len(sizes)), []
    for width in widths:
        cnll = law(sizes, width, widths[0]) + (shifts or {}).get(width, 0.0)
        if rng is not None:
            cnll = cnll + rng.multivariate_normal(np.zeros(len(sizes)), covariance)
        found = times * cnll, times**2 * covariance
        curves.append(WidthCurve(width, round(each * width**2), np.array(sizes, float), *found))
    return checked(curves, "plane")


def places(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(members, width) as what draws are asked for: members and parameters."""
    members, widths = np.array(pairs, float).T
    return members, EACH * widths**2


def pool_of(logits: np.ndarray, labels: np.ndarray, width: int) -> SimpleNamespace:
    """As much of a pool as a plane needs."""
    member = SimpleNamespace(member=SimpleNamespace(parameters=EACH * width**2))
    return SimpleNamespace(
        logits=torch.from_numpy(logits),
        labels=torch.from_numpy(labels),
        samples=None,
        planned=SimpleNamespace(cell=SimpleNamespace(width=width)),
        trained=[member] * len(logits),
    )


class World:
    """Members are a shared signal, a skill and noise of their own."""

    def __init__(self, seed: int, samples: int = 60, classes: int = 4) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(classes, size=samples)
        self.shared = 1.5 * np.eye(classes)[self.labels] + rng.normal(size=(samples, classes))

    def members(self, rng: np.random.Generator, count: int, noise: float = 1.0) -> np.ndarray:
        skill = rng.uniform(0.5, 1.5, size=(count, 1, 1))
        return skill * self.shared + noise * rng.normal(size=(count, *self.shared.shape))
