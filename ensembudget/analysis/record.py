"""Everything that a study's results come to."""

from dataclasses import dataclass

from ..landscape.wedge_cuts import CutResult
from ..scoring.pools import Results
from .advantages import Advantage
from .arms import ArmResult
from .connectors import Connection
from .crossings import Crossing
from .curve_ranks import JudgedRanks
from .cuts import TrainedCut
from .histories import History
from .laws import LawResult
from .methods import MethodComparison
from .out_of_scope import DetectedOutside
from .periods import PeriodGrid
from .plane import PlaneCell
from .regimes import Sweep
from .side_by_side import Contenders
from .splits import BudgetResult
from .subsets import SubsetResult
from .translations import Translations
from .tuning_share import TuningShare
from .tunnels import MeasuredTunnel, TunnelTrend


@dataclass(frozen=True)
class Analysis:
    """What `analyse` finds, and what every table and figure of a report is made of.

    Attributes:
        results: What it was found in: the plan, and the pools with their scores.
        budgets: Every split against the wide network and the best, by budget and arm.
        arms: Each arm's best split against the first arm's; nothing where there is one arm.
        plane: CNLL of every ensemble size of every pool.
        laws: How CNLL falls along members, width, budget and data size.
        curves: How CNLL and error fall with training images, and whether few of them rank models as many do.
        advantages: What splitting brings at every budget and setting; of studies with several data sizes, or
            with and without tuning, as are the next two.
        crossings: Where that changes sign.
        tuning: How much of it is left once recipes are tuned.
        subsets: Means over disjoint subsets of training images.
        dtypes: Splits in every dtype at one budget; nothing where there is one dtype.
        methods: Splits of every arm at one budget; nothing where all arms have one method.
        histories: What the first member of every pool recorded.
        sweeps: Regimes along the effective learning rate.
        grids: Periods over learning rate and weight decay.
        connections: How high the loss rises between members; of studies with probes, as are the next three.
        tunnels: How far the loss stays low around members.
        tunnel_trends: Whether that follows what members were trained with.
        cuts: Training inside random subspaces.
        wedge: What the wedge model says of cuts.
        outside: How well uncertainty tells samples of no class; of studies with such a probe, as is the next.
        translations: How good sentences are by greedy and beam search.
    """

    results: Results
    budgets: tuple[BudgetResult, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    plane: tuple[PlaneCell, ...] = ()
    laws: tuple[LawResult, ...] = ()
    curves: tuple[JudgedRanks, ...] = ()
    advantages: tuple[Advantage, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    tuning: tuple[TuningShare, ...] = ()
    subsets: tuple[SubsetResult, ...] = ()
    dtypes: tuple[Contenders, ...] = ()
    methods: tuple[MethodComparison, ...] = ()
    histories: tuple[History, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    grids: tuple[PeriodGrid, ...] = ()
    connections: tuple[Connection, ...] = ()
    tunnels: tuple[MeasuredTunnel, ...] = ()
    tunnel_trends: tuple[TunnelTrend, ...] = ()
    cuts: tuple[TrainedCut, ...] = ()
    wedge: tuple[CutResult, ...] = ()
    outside: tuple[DetectedOutside, ...] = ()
    translations: tuple[Translations, ...] = ()
