"""Columns that say which model a learning curve is of, and how metrics are called."""

from ..catalog import LAWS
from ._base import Column
from ._setting import TUNED

HEADINGS = {"cnll": "CNLL", "nll": "NLL", "error": "error"}


MODEL = (
    Column("family", "family", get="model.family"),
    Column("arm", "arm", get=lambda one: one.model.arm or None, optional=True),
    Column("tuned", "tuned", get=lambda one: TUNED[one.model.tuned], optional=True),
    Column("width", "width", "d", get="model.width"),
    Column("members", "n", "d", get="model.members"),
    Column("parameters", "parameters", ",d", get="model.parameters"),
)


def formulas() -> str:
    """Every law that is fitted, in one line."""
    return "; ".join(
        f"{name} {'' if law.formula.startswith('y') else 'y = '}{law.formula.replace('m', 'N')}"
        for name, law in LAWS.usable().items()
    )


TRANSFORMATIONS = (
    "The transformations are this project's own choice: the thesis that proposed to compare models by the"
    " slope of a transformed learning curve (Voronkova 2020) is not public beyond its abstract."
)
