"""One row a model, metric and law: its learning curve, fitted at few training images and judged at many."""

from ._base import Column, Table
from ._curves import MODEL, TRANSFORMATIONS, formulas
from .power_laws import refused

table = Table(
    "learning_curves",
    "Learning curves: fitted at few training images, judged at many",
    (
        Column("metric", "metric"),
        *MODEL,
        Column("law", "law", get="fit.law"),
        Column("points", "sizes", "d", get="fit.points"),
        Column("smallest", "from N", ",g", get="fit.smallest"),
        Column("largest", "to N", ",g", get="fit.largest"),
        Column("a", "a (slope)", ".3f", interval=True, get="fit.a"),
        Column("b", "b", ".4g", interval=True, get="fit.b"),
        Column("c", "c", ".4f", interval=True, get="fit.c"),
        Column("r_squared", "R²", ".4f"),
        Column("at", "judged at N", ",g"),
        Column("predicted", "predicted", ".4f", interval=True),
        Column("measured", "measured", ".4f", interval=True),
        Column("error", "predicted minus measured", "+.4f", interval=True),
        Column("reach", get=lambda one: one.fit.reach.value or None, optional=True),
        Column("no_interval", get="fit.no_interval", optional=True),
        Column("status", "status", get="fit.status"),
    ),
    rules=(
        "A model is n members of one width. Its curve is the mean over the disjoint ensembles of its"
        " pool, on one test set, against N training images.",
        f"Laws, by least squares: {formulas()}. Where there is 1 - y, y is the error, or NLL or CNLL"
        " divided by ln C, which a constant answer has. A law without b, or without c, is a straight line"
        " in ln N once y is transformed (y, ln y or logit y), and a is its slope.",
        TRANSFORMATIONS,
        "R² is that of the transformed metric, and missing where a law passes through all its points.",
        "Intervals are 95%, over fresh members at these training images and test samples. Those of a law"
        " are widened by scatter about it that members do not explain. A law that is refused shows no"
        " parameters here; the CSV has them.",
    ),
    void=("a", "b", "c"),
    refused=refused,
    records=lambda subject: [
        one
        for found in subject.curves
        for fits in zip(*found.judged.fits.values(), strict=True)
        for one in fits
    ],
    notes=lambda subject: [
        f"{model} was not measured at two of the small sizes and the large one, above zero: it is left out."
        for model in dict.fromkeys(one for found in subject.curves for one in found.judged.left_out)
    ],
    summary=(
        "arm",
        "tuned",
        "width",
        "members",
        "law",
        "predicted",
        "measured",
        "status",
        "a",
        "r_squared",
        "metric",
    ),
    order=30,
)
