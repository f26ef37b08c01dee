"""Probes of a plan: which must be measured, and which are in a store."""

from collections.abc import Collection
from typing import NamedTuple

from ..executors._base import Job
from ..planning.probes import PlannedProbe, probes_of
from ..records import Plan, ProbeSubject, Run, Stepping
from ..scoring.pools import FoundProbe
from ..stepping.place import Place
from ..store import ReadableStore, Store


class Probing(NamedTuple):
    """One measurement of a plan.

    Attributes:
        probe: Which probe, at which pool.
        subject: All that determines it.
        runs: The members that it is of.
    """

    probe: PlannedProbe
    subject: ProbeSubject
    runs: list[Run]


class ProbeStatus(NamedTuple):
    """How many probes of a plan are measured.

    Attributes:
        planned: Measurements, as far as is known while members are missing.
        found: What the store has of them, with the pools that they are of.
    """

    planned: int
    found: tuple[FoundProbe, ...]

    @property
    def missing(self) -> int:
        return self.planned - len(self.found)


def probings(planned: Plan, store: ReadableStore, done: Collection[str] | None = None) -> list[Probing]:
    """Every measurement at the pools whose members are all there; diverged members are left out.

    Args:
        planned: The plan.
        store: Where its members are.
        done: Keys of members that are there and did not diverge, of whoever has read them; None asks for
            what they say of themselves.

    Raises:
        StoreError: What a member says of itself is damaged.
    """
    found: dict[str, list[Run]] = {}
    every = []
    for probe in probes_of(planned):
        key, runs = probe.planned.cell.key, probe.planned.runs
        if not all(run.key in store for run in runs):
            continue
        if key not in found:
            usable = {one.key for one in store.briefs(runs) if one.is_done} if done is None else done
            found[key] = [run for run in runs if run.key in usable]
        every += [Probing(probe, *each) for each in probe.subjects(found[key])]
    return every


def probe_status(planned: Plan, store: ReadableStore, done: Collection[str] | None = None) -> ProbeStatus:
    """How many probes a plan has, and how many are in a store; arguments as for `probings`."""
    known = probings(planned, store, done)
    pools = {one.probe.planned.cell.key for one in known}
    later = [one for one in probes_of(planned) if one.planned.cell.key not in pools]
    saved = [(one.probe.planned, store.saved_probe(one.subject)) for one in known]
    found = tuple(FoundProbe(pool, probed) for pool, probed in saved if probed)
    return ProbeStatus(len(known) + sum(one.measurements for one in later), found)


def probe_jobs(planned: Plan, store: Store, place: Place) -> list[Job]:
    """Jobs for the probes that the store lacks, in the order of the study, each once."""
    missing = {
        one.subject.key: one for one in probings(planned, store) if store.saved_probe(one.subject) is None
    }
    return [
        Job(
            runs=one.runs,
            store=str(store.root.resolve()),
            device=place.device,
            threads=place.threads,
            stepping=Stepping(),
            keep_weights=True,
            probe=one.subject,
        )
        for one in missing.values()
    ]
