"""A pack's method at work: its rates, its predictors, and the logits and facts of the units they make."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..catalog import METHODS
from ..methods._base import Collector, Finished
from ..methods._last import Last
from ..methods._packed import by_member, norms, trained
from ..packing.parts import Parts
from ..packing.streams import stream
from ..records import Cell, UnitFacts
from ..stepping.pack import Pack
from .evaluation import evaluate_logits
from .schedules import factor, warmup
from .statistics import refit_statistics


class Answers(NamedTuple):
    """What the units of a pack say, and how their predictors differ.

    Attributes:
        validation: Logits, (member, sample, class), float32.
        test: As validation.
        facts: One a member; None where it has one predictor, or numbers that are not finite.
    """

    validation: Tensor
    test: Tensor
    facts: list[UnitFacts | None]

    @property
    def logits(self) -> tuple[Tensor, Tensor]:
        return self.validation, self.test


def rate_factor(cell: Cell, epoch: int, step: int) -> float:
    """The factor on a recipe's learning rates, by the cell's method, schedule and warm-up.

    Args:
        cell: Whose members are trained.
        epoch: Counted from 0.
        step: Of the epoch, counted from 0.
    """
    recipe, steps = cell.recipe, cell.steps // cell.recipe.epochs
    scheduled = factor(recipe, epoch, step, steps)
    by_method = METHODS[cell.method].rate(recipe, cell.method_options, epoch, scheduled)
    return by_method * warmup(recipe, epoch * steps + step)


def collector_of(cell: Cell) -> Collector:
    """What watches a new pack of this cell."""
    return METHODS[cell.method].collect(cell.recipe, cell.method_options)


def unit_answers(collector: Collector, pack: Pack, parts: Parts, *, diverged: bool) -> Answers:
    """The logits of a pack after its last epoch, and what is told of its units.

    With one predictor they are the network's own. With several they are the logarithm of the mean of the
    predictors' probabilities, so that averaging the probabilities of several units averages all predictors.

    Args:
        collector: It watched the pack.
        pack: Trained.
        parts: The samples.
        diverged: Whether all members have, which broke training off: their last network answers.
    """
    finished, tally = _finished(pack, parts), Tally(len(pack.runs))
    for distance in (Last() if diverged else collector).predictors(finished):
        logits = [
            evaluate_logits(pack.network, asked, pack.feed, len(pack.runs))
            for asked in (parts.validation, parts.test)
        ]
        tally.add(logits, trained(pack.network).values(), distance)
    return tally.answers()


def _finished(pack: Pack, parts: Parts) -> Finished:
    network, feed, count = pack.network, pack.feed, len(pack.runs)
    batch_size = pack.runs[0].cell.recipe.batch_size

    def losses() -> Tensor:
        logits = evaluate_logits(network, parts.fitted, feed, count).double()
        labels = parts.fitted.labels.expand(count, -1)
        each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        mean: Tensor = each.unflatten(0, (count, -1)).mean(1)
        return mean

    return Finished(
        network=network,
        members=count,
        generators=lambda number: [stream(run.stream_key, "method", number) for run in pack.runs],
        refit=lambda: refit_statistics(network, pack.inputs, feed, count, batch_size),
        losses=losses,
    )


class Tally:
    """Adds up predictors one by one, so that any number takes the memory of one.

    Of unit vectors u the mean cosine of all pairs is (|sum of u|^2 - j) / (j (j - 1)); of votes v for the
    classes of a sample, the share of pairs that disagree is 1 - sum of v (v - 1) / (j (j - 1)).
    """

    def __init__(self, members: int) -> None:
        self._members = members
        self._logits: list[Tensor] = []  # of the first predictor, as it gave them
        self._log_sums: list[Tensor] = []  # of probabilities, float64
        self._votes = torch.zeros(0)
        self._weights: list[Tensor] = []  # sums of directions
        self._outputs = torch.zeros(0)
        self._distances: list[Tensor] = []
        self._count = 0

    def add(self, logits: list[Tensor], weights: Iterable[Tensor], distance: Tensor | None) -> None:
        """One predictor of every member.

        Args:
            logits: On the validation and the test samples, (member, sample, class).
            weights: Its packed trained parameters.
            distance: From a centre, (member,), where its method has one.
        """
        self._count += 1
        test, weights = logits[1], list(weights)
        log_probs = [one.double().log_softmax(-1) for one in logits]
        votes = F.one_hot(test.argmax(-1), test.shape[-1])
        centred = (test.double() - test.double().mean(-1, keepdim=True)).flatten(1)
        outputs = _direction([centred], norms([centred], self._members))
        directions = _direction(weights, norms(weights, self._members))
        self._distances += [] if distance is None else [distance]
        if self._count == 1:
            self._logits, self._log_sums, self._votes = logits, log_probs, votes
            self._outputs, self._weights = outputs[0], directions
            return
        self._log_sums = [torch.logaddexp(*pair) for pair in zip(self._log_sums, log_probs, strict=True)]
        self._votes += votes
        self._outputs += outputs[0]
        for total, one in zip(self._weights, directions, strict=True):
            total += one

    def answers(self) -> Answers:
        """What all predictors come to."""
        if self._count == 1:
            return _answers(self._logits, [None] * self._members)
        means = [(total - math.log(self._count)).float() for total in self._log_sums]
        return _answers(means, self._facts())

    def _facts(self) -> list[UnitFacts | None]:
        count, pairs = self._count, self._count * (self._count - 1)
        agreeing = (self._votes * (self._votes - 1)).sum(-1).double().mean(-1) / pairs
        weights, outputs = (
            ((norms(sums, self._members).square() - count) / pairs).clamp(-1, 1)
            for sums in (self._weights, [self._outputs])
        )
        far = torch.stack(self._distances).mean(0) if self._distances else None
        return [
            UnitFacts(
                predictors=count,
                disagreement=1 - float(agreeing[i]),
                weight_cosine=float(weights[i]),
                logit_cosine=float(outputs[i]),
                radius=None if far is None else float(far[i]),
            )
            if bool(weights[i].isfinite() & outputs[i].isfinite())
            else None
            for i in range(self._members)
        ]


def _answers(logits: list[Tensor], facts: list[UnitFacts | None]) -> Answers:
    validation, test = logits
    return Answers(validation, test, facts)


def _direction(tensors: Iterable[Tensor], lengths: Tensor) -> list[Tensor]:
    """Packed tensors divided by their members' norms, float64; a vector of zeros stays one."""
    inverse = 1 / lengths.clamp_min(torch.finfo(torch.float64).tiny)
    return [tensor.double() * by_member(inverse, tensor.double()) for tensor in tensors]
