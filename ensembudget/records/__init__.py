"""What flows from verb to verb: frozen records, checked when made, equal after a round trip through JSON."""

from ._base import FIRST_ABI, TRAINING_ABI, Record, content_key
from .cell import FLOAT32, INDEPENDENT, STORED, Cell, MethodOptions, Options, Recording, Run
from .cost import SplitCost
from .fit import Fit, Reach
from .interval import Interval
from .member import Environment, Member, UnitFacts
from .plan import Plan, PlannedCell, Split
from .plane import Network, PublishedArm, PublishedCurve, PublishedPlane
from .prediction import Extrapolation, PredictedSplit, Prediction
from .probe import Point, ProbeChoice, Probed, ProbeSubject
from .recipe import Precision, Recipe, RecipeChoice, Schedule
from .score import Score
from .search import Round, Search
from .setting import Placed, Setting
from .stepping import MemoryLayout, Stepping, SteppingChoice
from .study import Arm, Colour, Study
from .task import AnyTask, Task, TokenTask
from .tuning import TUNING_SEED, Choice, Combination, Contest, Trial, Tune, Tuning, Value, Values, said

__all__ = [
    "FIRST_ABI",
    "FLOAT32",
    "INDEPENDENT",
    "STORED",
    "TRAINING_ABI",
    "TUNING_SEED",
    "AnyTask",
    "Arm",
    "Cell",
    "Choice",
    "Colour",
    "Combination",
    "Contest",
    "Environment",
    "Extrapolation",
    "Fit",
    "Interval",
    "Member",
    "MemoryLayout",
    "MethodOptions",
    "Network",
    "Options",
    "Placed",
    "Plan",
    "PlannedCell",
    "Point",
    "Precision",
    "PredictedSplit",
    "Prediction",
    "ProbeChoice",
    "ProbeSubject",
    "Probed",
    "PublishedArm",
    "PublishedCurve",
    "PublishedPlane",
    "Reach",
    "Recipe",
    "RecipeChoice",
    "Record",
    "Recording",
    "Round",
    "Run",
    "Schedule",
    "Score",
    "Search",
    "Setting",
    "Split",
    "SplitCost",
    "Stepping",
    "SteppingChoice",
    "Study",
    "Task",
    "TokenTask",
    "Trial",
    "Tune",
    "Tuning",
    "UnitFacts",
    "Value",
    "Values",
    "content_key",
    "said",
]
