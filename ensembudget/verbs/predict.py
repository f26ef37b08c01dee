"""The plane of a study, from the members in its store."""

from ..errors import FitError
from ..prediction.arms import chosen_arm
from ..prediction.network import planned_network
from ..prediction.plane import Plane, checked
from ..prediction.pools import curves_of
from ..records import Plan
from ..scoring.covariance import scored_pool
from ..scoring.pools import pools_of
from ..store import Store


def study_plane(planned: Plan, store: Store, arm: str | None = None) -> Plane:
    """The plane of a study's members in a store, as many as there are.

    `read_plane` gives the same plane from the `plane.csv` of a report, with `plane.json` beside it.

    Args:
        planned: Of the study.
        store: Where its members are.
        arm: Which, where the study has several.

    Raises:
        ArmError: No such arm, or several and none named.
        FitError: No members, or too few for a law.
        StoreError: A member is damaged.
    """
    name = f"study {planned.study.name!r} in store {str(store.root)!r}"
    arm = chosen_arm([setting.label for setting in planned.settings], arm, name)
    pools = [
        scored_pool(pool)
        for pool in pools_of(planned, store)
        if pool.planned.setting.label == arm and pool.trained
    ]
    if not pools:
        raise FitError(f"{name} has no members yet. Train some with `run` or `search`.")
    return checked(curves_of(pools), name, network=planned_network(planned, arm), arm=arm)
