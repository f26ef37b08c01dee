"""On a fixed memory budget: one wide network, or an ensemble of several thinner ones?

The verbs, in the order of the work: `load_study`, `plan_study`, `arrange` (how members are stepped
here; `run` asks it when nobody did), `run`, `evaluate`, `report`; alone,
`split` finds the width that spends a budget, `score_pool` and `calibrated_nll` score logits, and
`fit_points` fits a law. Importing the package makes its families known to timm.
"""

__version__ = "0.1.0"

from .errors import EnsembudgetError
from .evaluate import Results, evaluate
from .families._base import Task
from .families._timm import register as _register
from .laws._base import fit_points
from .plan import cost, plan, split
from .records import Fit, Member, Plan, Recipe, Run, Score, Split, Stepping, SteppingChoice, Study
from .report.write import report
from .run import arrange, plan_study, run, status
from .scoring.calibration import calibrated_nll
from .scoring.ensembles import score_pool
from .store import Store
from .studies import load as load_study

__all__ = [
    "EnsembudgetError",
    "Fit",
    "Member",
    "Plan",
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
    "fit_points",
    "load_study",
    "plan",
    "plan_study",
    "report",
    "run",
    "score_pool",
    "split",
    "status",
]

_register()
