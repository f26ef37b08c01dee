"""What is measured at trained members, and of the loss around and between them, and what was found."""

from functools import cached_property
from typing import Any

from pydantic import PositiveInt, SerializerFunctionWrapHandler, model_serializer

from ._base import DOCUMENTED, FIRST_ABI, Record, content_key
from .tuning import Values


class ProbeChoice(Record):
    """One measurement that a study asks for, at every pool that it trains."""

    model_config = DOCUMENTED

    kind: str
    """What is measured (`ensembudget ls probes`). Example: `kind = "line"`"""
    widths: list[PositiveInt] = []
    """Pools of these widths alone; left out, all. Example: `widths = [8]`"""
    options: Values = {}
    """Options of the probe; left out, its defaults. Example: `options = { pairs = 3 }`"""


class ProbeSubject(Record):
    """All that determines what a probe finds: it is kept in the store under the key of this.

    Attributes:
        kind: The probe.
        options: All of them, defaults included.
        members: Keys of the trained members that it starts from, in order.
        abi: Of the probe, which raises it when it would find other numbers. The first is not written, as
            before there was a second.
    """

    kind: str
    options: Values
    members: list[str]
    abi: PositiveInt = FIRST_ABI

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return found if self.abi != FIRST_ABI else {k: v for k, v in found.items() if k != "abi"}

    @cached_property
    def key(self) -> str:
        return content_key(self.model_dump(mode="json"))


class Point(Record):
    """Loss and error of one network; a number that is not finite is None.

    Attributes:
        at: Where it lies: the share of a path, a radius, or what its probe says.
        train_loss: On the training images, nats, with batch norm's statistics gathered anew.
        train_error: Share of training images that are classified wrongly.
        test_nll: On the test images, nats.
        test_error: Share of test images that are classified wrongly.
    """

    at: float
    train_loss: float | None
    train_error: float
    test_nll: float | None
    test_error: float


class Probed(Record):
    """What a probe found.

    Attributes:
        subject: What it was of.
        points: Networks that were evaluated, in the order of the probe.
        facts: Further numbers by name, as the probe says; None where one is not finite.
        seconds: How long it took.
        examples: Texts that show what was measured, by name; of probes without any nothing is written, as
            before there were some.
    """

    subject: ProbeSubject
    points: list[Point]
    facts: dict[str, float | None]
    seconds: float
    examples: list[dict[str, str]] = []

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return found if self.examples else {k: v for k, v in found.items() if k != "examples"}
