"""On a fixed memory budget: one wide network, or an ensemble of several thinner ones?

The verbs, in the order of the work: `load_study`, `plan_study`, `arrange` (how members are stepped
here; `run` asks it when nobody did), `run`, `evaluate`, `report`; alone,
`split` finds the width that spends a budget, `score_pool` and `calibrated_nll` score logits, and
`fit_points` fits a law. Before members are paid for: `read_plane` or `study_plane`, `fit_plane`,
`plane_budget` or `study_budget`, `predict`; and `space_of`, `search`. Importing the package makes its
families known to timm.
"""

__version__ = "0.1.0"

from .errors import EnsembudgetError
from .evaluate import Results, evaluate
from .families._timm import register as _register
from .laws._base import fit_points
from .plan import cost, plan, split
from .predict import plane_budget, predict, study_budget, study_plane
from .prediction.law import fit_plane
from .prediction.plane import read_plane
from .records import (
    Fit,
    Member,
    Plan,
    Prediction,
    Recipe,
    Run,
    Score,
    Split,
    Stepping,
    SteppingChoice,
    Study,
    Task,
)
from .report.write import report
from .run import arrange, plan_study, run, status
from .scoring.calibration import calibrated_nll
from .scoring.ensembles import score_pool
from .search import search, space_of
from .store import Store
from .studies import load as load_study

__all__ = [
    "EnsembudgetError",
    "Fit",
    "Member",
    "Plan",
    "Prediction",
    "Recipe",
    "Results",
    "Run",
    "Score",
    "Split",
    "Stepping",
    "SteppingChoice",
    "Store",
    "Study",
    "Task",
    "arrange",
    "calibrated_nll",
    "cost",
    "evaluate",
    "fit_plane",
    "fit_points",
    "load_study",
    "plan",
    "plan_study",
    "plane_budget",
    "predict",
    "read_plane",
    "report",
    "run",
    "score_pool",
    "search",
    "space_of",
    "split",
    "status",
    "study_budget",
    "study_plane",
]

_register()
