"""Probes of a plan: which are to be measured, and what a store has of them."""

from typing import NamedTuple

from ..executors._base import Job
from ..planning.probes import PlannedProbe, probes_of
from ..records import Plan, Probed, ProbeSubject, Run, Stepping
from ..scoring.pools import FoundProbe
from ..stepping.place import Place
from ..store import Store


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
    """How far the probes of a plan are.

    Attributes:
        planned: Measurements, as far as is known while members are missing.
        done: Those that the store has.
    """

    planned: int
    done: int

    @property
    def missing(self) -> int:
        return self.planned - self.done


def probings(planned: Plan, store: Store) -> list[Probing]:
    """Every measurement at the pools whose members are all there; diverged members are left out.

    Raises:
        StoreError: A member is damaged.
    """
    found: dict[str, list[Run]] = {}
    every = []
    for probe in probes_of(planned):
        key, runs = probe.planned.cell.key, probe.planned.runs
        if not all(run.key in store for run in runs):
            continue
        if key not in found:
            found[key] = [run for run in runs if store.read(run.key).member.status == "done"]
        every += [Probing(probe, *each) for each in probe.subjects(found[key])]
    return every


def probe_status(planned: Plan, store: Store) -> ProbeStatus:
    """How many probes a plan has, and how many of them a store has."""
    known = probings(planned, store)
    pools = {one.probe.planned.cell.key for one in known}
    later = [one for one in probes_of(planned) if one.planned.cell.key not in pools]
    done = sum(store.saved_probe(one.subject) is not None for one in known)
    return ProbeStatus(len(known) + sum(one.measurements for one in later), done)


def probe_jobs(planned: Plan, store: Store, place: Place) -> list[Job]:
    """What measures the probes that the store lacks, in the order of the study, each once."""
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


def found_probes(planned: Plan, store: Store) -> list[FoundProbe]:
    """What the store's probes found, with the pools that they are of."""
    saved: list[tuple[Probing, Probed | None]] = [
        (one, store.saved_probe(one.subject)) for one in probings(planned, store)
    ]
    return [FoundProbe(one.probe.planned, found) for one, found in saved if found]
