"""Learning curves with a known truth, and pools whose members share it."""

import numpy as np

from ensembudget.analysis.learning_curves import BudgetGroup, CurveModel, LearningCurves, SharedErrors

SIZES = (125, 250, 500, 1000, 2000, 4000, 8000)
WIDTHS = (5, 7, 10, 14, 20, 28)


def model(width=5, members=1, **changes) -> CurveModel:
    fields = {
        "family": "wide_resnet (depth 10)",
        "arm": "",
        "tuned": None,
        "width": width,
        "members": members,
    }
    return CurveModel(**{**fields, **changes}, parameters=100 * width**2 * members)


MODELS = tuple(model(width, members) for width in WIDTHS for members in (1, 4))
COUNT = len(MODELS)


def curves(
    values, error=0.005, *, models=MODELS, sizes=SIZES, seed=0, budgets=(), metric="error", freedom=7.0
):
    """The true values of the models, (model, size), measured; models of one width share half their errors."""
    rng, measured, errors = np.random.default_rng(seed), np.array(values, float), []
    networks = list(dict.fromkeys(one.network for one in models))
    for column in range(len(sizes)):
        for network in networks:
            rows = [i for i, one in enumerate(models) if one.network == network]
            covariance = error**2 * (0.5 + 0.5 * np.eye(len(rows)))
            measured[rows, column] += rng.multivariate_normal(np.zeros(len(rows)), covariance)
            errors.append(SharedErrors(rows, [column] * len(rows), covariance, freedom))
    return LearningCurves(
        metric=metric,
        ceiling=1.0,
        models=tuple(models),
        sizes=np.array(sizes, float),
        values=measured,
        errors=tuple(errors),
        budgets=tuple(BudgetGroup(name, tuple(rows)) for name, rows in budgets),
    )


def crossing(sizes=SIZES, count=COUNT):
    """Straight lines of ln y that all cross at 1,000 images: who is best there says nothing of later."""
    slopes = -np.linspace(0.1, 0.4, count)
    order = np.random.default_rng(5).permutation(count)
    return 0.4 * (np.array(sizes) / 1000) ** slopes[order][:, None]


def parallel(sizes=SIZES, count=COUNT):
    """Straight lines of ln y that are parallel: who is best once is best for ever."""
    levels = np.linspace(0.3, 0.5, count)
    return levels[:, None] * (np.array(sizes) / 1000) ** -0.2
