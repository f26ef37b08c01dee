"""Attack H: whatever is done to a store in whatever order, it is what a dictionary says it is."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from small_members import ELSEWHERE, HERE, labels, made

from ensembudget.errors import ConflictError, StoreError
from ensembudget.records import Plan, Study
from ensembudget.store import Store
from ensembudget.store.garbage import garbage, remove
from ensembudget.store.sweeping import machine

EXAMPLES, STEPS = 200, 30
SEEDS = 4
SEED, NAME = st.integers(0, SEEDS - 1), st.sampled_from(["one", "two"])
SIDE = VARIANT = PLACE = st.integers(0, 1)
PLACES = HERE, ELSEWHERE
ENDED = 2**22 + 1  # above the largest process number of Linux


class Held(NamedTuple):
    """A member that is there: which training of it, where, and whether it has weights or is damaged."""

    variant: int
    place: int
    weights: bool
    damaged: bool = False


@dataclass
class Model:
    """What a store should hold.

    Attributes:
        members: By seed.
        later: Of which training the weights are that were published later, by seed.
        quarantined: How many folders were set aside.
        plans: What the plan of each study says, by the study's name.
        staging: How many folders killed processes left.
    """

    members: dict[int, Held] = field(default_factory=dict)
    later: dict[int, int] = field(default_factory=dict)
    quarantined: int = 0
    plans: dict[str, str] = field(default_factory=dict)
    staging: int = 0


class Killed(BaseException):
    """The process ends here."""


class Stores(RuleBasedStateMachine):
    """Two stores and what they should hold; a rule acts on one of them, `side`."""

    def __init__(self) -> None:
        super().__init__()
        shm = Path("/dev/shm")
        self.home = Path(tempfile.mkdtemp(dir=shm if shm.is_dir() else None))
        self.stores = [Store(self.home / name) for name in ("a", "b")]
        self.models = [Model(), Model()]

    def teardown(self) -> None:
        try:
            for side in (0, 1):
                for seed in range(SEEDS):
                    self.read(side, seed)
                    self.read_weights(side, seed)
        finally:
            shutil.rmtree(self.home)

    # Members.

    @rule(side=SIDE, seed=SEED, variant=VARIANT, place=PLACE, weights=st.booleans())
    def publish(self, side: int, seed: int, variant: int, place: int, weights: bool) -> None:
        store, model = self.stores[side], self.models[side]
        one, there = made(seed, variant=variant, weights=weights), model.members.get(seed)
        if there is None:
            assert store.publish(one, labels(), PLACES[place])
            model.members[seed] = Held(variant, place, weights)
        elif there.place != place:  # other rounding is no fault, and nobody looks
            assert not store.publish(one, labels(), PLACES[place])
        elif there.damaged:
            with pytest.raises(StoreError, match="is damaged"):
                store.publish(one, labels(), PLACES[place])
            self.lost(side, seed)
        elif there.variant == variant:
            assert not store.publish(one, labels(), PLACES[place])
        else:
            with pytest.raises(ConflictError):
                store.publish(one, labels(), PLACES[place])

    @rule(side=SIDE, seed=SEED)
    def read(self, side: int, seed: int) -> None:
        store, there = self.stores[side], self.models[side].members.get(seed)
        if there is None:
            with pytest.raises(StoreError, match="has no member"):
                store.read(key(seed))
        elif there.damaged:
            with pytest.raises(StoreError, match="is damaged"):
                store.read(key(seed))
            self.lost(side, seed)
        else:
            found, one = store.read(key(seed)), made(seed, variant=there.variant)
            assert found.test_logits.tobytes() == one.test_logits.tobytes()
            assert found.member.environment == PLACES[there.place]

    @rule(side=SIDE, seed=SEED, variant=VARIANT)
    def publish_weights(self, side: int, seed: int, variant: int) -> None:
        store, model = self.stores[side], self.models[side]
        one, there = made(seed, variant=variant, weights=True), model.members.get(seed)
        if there is None:
            with pytest.raises(StoreError, match="has no member"):
                store.publish_weights(one, HERE)
        elif there.weights or seed in model.later:
            assert not store.publish_weights(one, HERE)
        elif there.damaged:
            with pytest.raises(StoreError, match="is damaged"):
                store.publish_weights(one, HERE)
            self.lost(side, seed)
        elif there.variant != variant:
            with pytest.raises(StoreError, match="other logits"):
                store.publish_weights(one, HERE)
        else:
            assert store.publish_weights(one, HERE)
            model.later[seed] = variant

    @rule(side=SIDE, seed=SEED)
    def read_weights(self, side: int, seed: int) -> None:
        store, model = self.stores[side], self.models[side]
        there, later = model.members.get(seed), model.later.get(seed)
        if there and (not there.damaged if there.weights else later == there.variant):
            one = made(seed, variant=there.variant, weights=True)
            assert store.weights(key(seed))["head.weight"].tobytes() == one.weights["head.weight"].tobytes()
            return
        with pytest.raises(StoreError):
            store.weights(key(seed))
        if there and there.weights:
            self.lost(side, seed)
        elif there and later is not None:  # of a member that was trained again, to other logits
            del model.later[seed]
            model.quarantined += 1

    @rule(side=SIDE, seed=SEED, at=st.integers(0, 10**6))
    def corrupt(self, side: int, seed: int, at: int) -> None:
        there = self.models[side].members.get(seed)
        if there and not there.damaged:
            path = self.stores[side].root / "members" / key(seed)[:2] / key(seed) / "logits.safetensors"
            content = bytearray(path.read_bytes())
            content[at % len(content)] ^= 1
            path.write_bytes(content)
            self.models[side].members[seed] = there._replace(damaged=True)

    def lost(self, side: int, seed: int) -> None:
        del self.models[side].members[seed]
        self.models[side].quarantined += 1

    # Stores.

    @rule(side=SIDE, seed=SEED, variant=VARIANT)
    def killed_while_it_publishes(self, side: int, seed: int, variant: int) -> None:
        def end(*given: object, **named: object) -> None:
            raise Killed

        store = self.stores[side]
        with pytest.MonkeyPatch.context() as patch:
            for call in ("rename", "unlink", "rmdir"):  # nothing is tidied up either
                patch.setattr(os, call, end)
            with pytest.raises(Killed):
                store.publish(made(seed, variant=variant), labels(), HERE)
        # Nothing is left by the first who writes: it is killed while it makes the header.
        for left in list((store.root / "tmp").glob(f"{machine()}.{os.getpid()}.*")):
            left.rename(left.with_name(left.name.replace(f".{os.getpid()}.", f".{ENDED}.")))
            self.models[side].staging += 1

    @rule(side=SIDE)
    def sweep(self, side: int) -> None:
        self.stores[side].sweep()
        self.models[side].staging = 0

    @rule(side=SIDE)
    def collect_garbage(self, side: int) -> None:
        model = self.models[side]
        assert remove(garbage(self.stores[side].root)) == []
        model.staging = model.quarantined = 0
        model.later = {seed: variant for seed, variant in model.later.items() if seed in model.members}

    @rule(side=SIDE)
    def merge(self, side: int) -> None:
        ours, theirs = self.models[side], self.models[1 - side]
        expected = Counter(merged_plans(ours, theirs))
        for seed in theirs.members:
            expected.update(merged_member(ours, theirs, seed))
        found = self.stores[side].merge(self.stores[1 - side])
        assert Counter((one.kind, one.outcome) for one in found) == expected

    @rule(side=SIDE, name=NAME, note=st.sampled_from(["x", "y"]))
    def save_plan(self, side: int, name: str, note: str) -> None:
        self.stores[side].save_plan(plan_of(name, note))
        self.models[side].plans[name] = note

    @rule(side=SIDE, name=NAME)
    def read_plan(self, side: int, name: str) -> None:
        note = self.models[side].plans.get(name)
        expected = None if note is None else plan_of(name, note)
        assert self.stores[side].saved_plan(study_of(name)) == expected

    @invariant()
    def every_member_is_there_whole_and_nothing_else(self) -> None:
        for store, model in zip(self.stores, self.models, strict=True):
            folders = {path.name: path for path in store.root.glob("members/??/*")}
            assert set(folders) == {key(seed) for seed in model.members}
            for seed, there in model.members.items():
                names = {"member.json", "logits.safetensors", *(["weights.safetensors"] * there.weights)}
                assert {path.name for path in folders[key(seed)].iterdir()} == names
            later = {path.name for path in store.root.glob("artefacts/weights/??/*")}
            assert later == {key(seed) for seed in model.later}
            assert len(list(store.root.glob("tmp/*"))) == model.staging
            assert len(list(store.root.glob("quarantine/*"))) == model.quarantined


def merged_member(ours: Model, theirs: Model, seed: int) -> Iterator[tuple[str, str]]:
    """What merging says of one of their members; it is done to the model of ours too."""
    there, later = theirs.members[seed], theirs.later.get(seed)
    if there.damaged:
        yield "member", "unreadable"
        return
    new = seed not in ours.members
    here = ours.members.setdefault(seed, there)
    same = here.variant == there.variant
    yield "member", "new" if new else "same" if same else "conflict"
    if here.weights or seed in ours.later or not same or (later is None and not there.weights):
        return
    if later is not None and later != here.variant:  # of a member that was trained again, to other logits
        yield "member", "unreadable"
        return
    ours.later[seed] = here.variant
    yield "weights", "new"


def merged_plans(ours: Model, theirs: Model) -> Iterator[tuple[str, str]]:
    for name, note in theirs.plans.items():
        here = ours.plans.get(name)
        yield "plan", "new" if here is None else "same" if here == note else "conflict"
        ours.plans.setdefault(name, note)


def key(seed: int) -> str:
    return made(seed).run.key


def study_of(name: str) -> Study:
    return Study(name=name, description="", family="vgg", dataset="digits")


def plan_of(name: str, note: str) -> Plan:
    return Plan(study=study_of(name), splits=[], cells=[], notes=[note])


def run_machine(examples: int) -> None:
    asked = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Stores, settings=asked)


@pytest.mark.slow
def test_a_store_is_what_a_dictionary_says_whatever_is_done_to_it(times, attacked):
    run_machine(EXAMPLES * times)
    attacked("P1 P3 P4 P5", f"{STEPS} steps each on two stores that a dictionary follows", EXAMPLES * times)
