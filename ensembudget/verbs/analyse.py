"""Turns the scored pools of a study into typed answers."""

from collections.abc import Mapping

from ..analysis import Analysis
from ..analysis.advantages import advantage_results, drawn_advantages
from ..analysis.arms import arm_results
from ..analysis.connectors import connections
from ..analysis.crossings import crossings
from ..analysis.cuts import cuts, wedge_cuts
from ..analysis.dtypes import dtype_comparisons
from ..analysis.histories import histories
from ..analysis.laws import law_results
from ..analysis.methods import method_comparisons
from ..analysis.out_of_scope import detected
from ..analysis.periods import grids
from ..analysis.plane import MeasuredPlane, measured_plane
from ..analysis.regimes import sweeps
from ..analysis.splits import SplitKey, budget_results
from ..analysis.subsets import subset_results
from ..analysis.translations import translations
from ..analysis.tuning_share import tuning_shares
from ..analysis.tunnels import trends, tunnels
from ..planning.variants import variants_of
from ..records import SplitCost
from ..scoring.pools import Results
from .curves import report_curves


def analyse(results: Results, costs: Mapping[SplitKey, SplitCost] | None = None) -> Analysis:
    """Compares splits and arms, fits laws, and classifies recorded runs.

    Args:
        results: As from `evaluate`.
        costs: Measured costs of splits by (label of the setting, budget, members).

    Returns:
        Frozen records with arrays; `report` writes them, a notebook reads them.
    """
    study = results.plan.study
    arms = {variant.setting.arm: variant.base_arm for variant in variants_of(study)}
    # A study of dynamics alone has no budgets, and its pools no plane worth a law.
    compares, recorded = study.record is None or bool(results.plan.splits), study.record is not None
    plane = measured_plane(results) if compares else MeasuredPlane((), {})
    budgets = budget_results(results, costs or {})
    has_map = any(one.train_size is not None or one.tuned is not None for one in results.plan.settings)
    advantages = advantage_results(budgets) if has_map else ()
    around, networks = tunnels(results), cuts(results)
    drawn = drawn_advantages(advantages, plane.noises)
    return Analysis(
        results,
        budgets=budgets,
        arms=arm_results(budgets, results.plan.settings) if compares else (),
        plane=plane.cells,
        laws=law_results(results, plane) if compares else (),
        curves=report_curves(results, plane) if compares else (),
        advantages=advantages,
        crossings=crossings(drawn),
        tuning=tuning_shares(drawn),
        subsets=subset_results(budgets),
        dtypes=dtype_comparisons(budgets),
        methods=method_comparisons(budgets),
        histories=histories(results, arms) if recorded else (),
        sweeps=sweeps(results, arms) if recorded else (),
        grids=grids(results, arms) if recorded else (),
        connections=connections(results),
        tunnels=around,
        tunnel_trends=tuple(trends(around)),
        cuts=networks,
        wedge=tuple(wedge_cuts()) if networks else (),
        outside=detected(results),
        translations=translations(results),
    )
