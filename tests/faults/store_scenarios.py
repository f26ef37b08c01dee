"""What a store is put through by the attacks on its disk, and what must be there afterwards.

A slot is something that a store keeps, as `member 0`; its versions count from 1. What was reported as
done must be there in that version or a later one, byte for byte; and nothing may be there in part.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ensembudget.errors import StoreError
from ensembudget.records import (
    Cell,
    Choice,
    Contest,
    Environment,
    Plan,
    Probed,
    ProbeSubject,
    Recipe,
    Run,
    Search,
    Study,
    Trial,
)
from ensembudget.records.search import Round
from ensembudget.store import Store, kept, members
from ensembudget.store.garbage import garbage, remove
from ensembudget.store.sweeping import machine

CELL = Cell(
    family="wide_resnet",
    options={"depth": 10},
    width=4,
    dataset="digits",
    dataset_digest="0" * 64,
    train_size=100,
    validation_size=5,
    mode="bn_wd",
    recipe=Recipe(epochs=3, learning_rate=0.1, weight_decay=3e-4),
)
WHERE = Environment(ensembudget="0", torch="0", device="cpu", threads=1, pack=1)
LABELS = np.arange(5) % 3, np.arange(7) % 3
STUDY = Study(name="faults", description="", family="vgg", dataset="digits")
PLANS = {1: Plan(study=STUDY, splits=[], cells=[]), 2: Plan(study=STUDY, splits=[], cells=[], notes=["two"])}
ROUNDS = [
    Round(width=4, seeds=[n], keys=["a"], flops=1.0, best=None, confidence=0.0, loss=None, reason="x" * 3000)
    for n in range(2)
]
SEARCHES = {n: Search(study=STUDY, arm="a", budget="1k", rounds=ROUNDS[:n]) for n in (1, 2)}
PROBED = Probed(
    subject=ProbeSubject(kind="curve", options={}, members=["a" * 64]),
    points=[],
    facts={"length": 1.0},
    seconds=1.0,
)
CHOICE = Choice(
    contest=Contest(method="grid", members=1, keys=["a"], own=None),
    trials=[Trial(values={"weight_decay": 0.1}, members=1, flops=1.0)],
    chosen=0,
)
HISTORY = {"epochs.parquet": b"epochs" * 900, "steps.parquet": b"steps" * 900}
DEAD = 2**22 + 1  # above the highest process number that Linux gives
Tell = Callable[[str, int], None]


def trained(seed: int, *, weights: bool = False, other: bool = False, history: Path | None = None) -> Any:
    """As `training.loop.Trained`, whose module imports torch."""
    rng = np.random.default_rng([seed, other])
    drawn = {"weights": rng.normal(size=(8, 9)).astype(np.float32)}
    return SimpleNamespace(
        run=Run(cell=CELL, seed=seed),
        diverged_at=None,
        train_loss=rng.normal(size=3).astype(np.float32),
        validation_logits=rng.normal(size=(5, 3)).astype(np.float32),
        test_logits=rng.normal(size=(7, 3)).astype(np.float32),
        weights=drawn if weights else None,
        parameters=72,
        seconds=1.0,
        history=history,
        unit=None,
    )


def key(seed: int) -> str:
    return Run(cell=CELL, seed=seed).key


def folder(root: Path, seed: int) -> Path:
    return root / "members" / key(seed)[:2] / key(seed)


# What is done.


def ensure(store: Store, tell: Tell, one: Any) -> None:
    """As `run` does: publishes and reports what is not there, and makes sure of what is."""
    if one.run.key not in store:
        store.publish(one, LABELS, WHERE)
    else:
        store.settle([one.run.key])
    tell(f"member {one.run.seed}", 1)


def with_history(store: Store, tell: Tell) -> None:
    with store.staging() as histories:
        for name, content in HISTORY.items():
            (histories / name).write_bytes(content)
        ensure(store, tell, trained(2, weights=True, history=histories))


def later_weights(store: Store, tell: Tell) -> None:
    if not store.publish_weights(trained(3, weights=True), WHERE):
        store.settle([key(3)])
    tell("weights 3", 1)


def fails_and_succeeds(store: Store, tell: Tell) -> None:
    if key(4) not in store:
        store.record_failure(key(4), "out of memory")
        tell("failure 4", 1)
    ensure(store, tell, trained(4))


def two_searches(store: Store, tell: Tell) -> None:
    for version in (1, 2):
        store.save_search(SEARCHES[version])
        tell("search", version)


def probes(store: Store, tell: Tell) -> None:
    store.save_probe(PROBED)
    tell("probe", 1)
    store.save_choice(CHOICE)
    tell("choice", 1)


def plans(store: Store, tell: Tell) -> None:
    store.save_plan(PLANS[1])
    tell("plan", 1)


def merges(store: Store, tell: Tell) -> None:
    store.merge(Store(store.root.parent / "elsewhere"))
    for slot in ("member 0", "member 3", "member 5", "weights 3", "plan", "probe"):
        tell(slot, 1)


def sets_aside(store: Store, tell: Tell) -> None:
    """A damaged member is found, told of, and published anew."""
    if key(0) in store:
        try:
            store.read(key(0))
        except StoreError as error:
            if "was moved to" not in str(error):
                raise
            tell("aside 0", 1)
    ensure(store, tell, trained(0))


def loses(store: Store, tell: Tell) -> None:
    """Another has published the member, and this one, trained elsewhere, has other logits."""
    store.publish(trained(0, other=True), LABELS, WHERE.model_copy(update={"threads": 2}))
    tell("member 0", 1)
    store.save_plan(PLANS[1])
    tell("plan", 1)


def sweeps(store: Store, tell: Tell) -> None:
    store.sweep()
    remove(garbage(store.root))
    ensure(store, tell, trained(1))


# What is there before.


def has_one(root: Path) -> None:
    Store(root).publish(trained(0), LABELS, WHERE)


def lacks_weights(root: Path) -> None:
    has_one(root)
    Store(root).publish(trained(3), LABELS, WHERE)


def probe_failed(root: Path) -> None:
    Store(root).record_failure(PROBED.subject.key, "out of memory")


def has_elsewhere(root: Path) -> None:
    lacks_weights(root)
    other = Store(root.parent / "elsewhere")
    for seed in (0, 3, 5):
        other.publish(trained(seed, weights=seed != 0), LABELS, WHERE)
    other.save_plan(PLANS[1])
    other.save_probe(PROBED)


def has_damage(root: Path) -> None:
    has_one(root)
    Store(root).publish(trained(1), LABELS, WHERE)
    (folder(root, 0) / members.LOGITS).write_bytes(b"damaged")


def has_litter(root: Path) -> None:
    has_damage(root)
    shutil.move(folder(root, 0), root / "quarantine" / f"{key(0)}-1")
    for name in (f"{machine()}.{DEAD}.a", f"{machine()}.{DEAD}.b"):
        (root / "tmp" / name / "inside").mkdir(parents=True)
        (root / "tmp" / name / "logits.safetensors").write_bytes(b"half")
    for place in ("plans", "probes", "failures"):
        (root / place).mkdir()
        (root / place / ".x.json.0").write_bytes(b"half")
        os.utime(root / place / ".x.json.0", (0, 0))


def has_plan(root: Path) -> None:
    has_one(root)
    Store(root).save_plan(PLANS[1])


class Scenario(NamedTuple):
    """What is done to a store.

    Attributes:
        act: On a store, telling of what is done. Done again it goes on where it was.
        before: Makes the store that it begins with; None for no store.
        has: The slots that are there before, in their first version.
        whole: Whether everything that is there before is intact.
    """

    act: Callable[[Store, Tell], None]
    before: Callable[[Path], None] | None = None
    has: tuple[str, ...] = ()
    damaged: int | None = None


SCENARIOS = {
    "the first publish": Scenario(lambda store, tell: ensure(store, tell, trained(0))),
    "a second publish": Scenario(lambda store, tell: ensure(store, tell, trained(1)), has_one, ("member 0",)),
    "a publish with a history": Scenario(with_history, has_one, ("member 0",)),
    "weights published later": Scenario(later_weights, lacks_weights, ("member 0", "member 3")),
    "a plan": Scenario(plans, has_one, ("member 0",)),
    "two rounds of a search": Scenario(two_searches),
    "a probe and a choice": Scenario(probes, probe_failed),
    "a failure overcome": Scenario(fails_and_succeeds, has_one, ("member 0",)),
    "a merge": Scenario(merges, has_elsewhere, ("member 0", "member 3")),
    "a quarantine": Scenario(sets_aside, has_damage, ("member 1",), damaged=0),
    "a publish that loses": Scenario(loses, has_plan, ("member 0", "plan")),
    "a sweep": Scenario(sweeps, has_litter, ("member 1",)),
}


# What must be there.


def content_of(seed: int) -> list[dict[str, bytes]]:
    """What the folder of a member may hold, by name: with weights or without, or with a history."""
    bare = members.files_of(trained(seed), LABELS, WHERE)
    heavy = members.files_of(trained(seed, weights=True), LABELS, WHERE)
    found = [{name: bytes(content) for name, content in files.items()} for files in (bare, heavy)]
    return found


def held(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.iterdir()}


def present(root: Path, damaged: int | None = None) -> tuple[dict[str, int], list[str]]:
    """The slots of a store with their versions, and everything that is there and should not be.

    Args:
        root: The store, opened anew.
        damaged: A member that may be damaged.
    """
    store, slots, wrong = Store(root), dict[str, int](), list[str]()
    seeds = {key(seed): seed for seed in range(6)}
    for path in root.glob(f"quarantine/{key(0)}-*"):  # first: reading a damaged member adds to them
        if held(path).get(members.LOGITS) == b"damaged":
            slots["aside 0"] = 1
    for path in sorted(root.glob("members/*/*")):
        seed = seeds[path.name]
        files = held(path)
        if seed == damaged and files.get(members.LOGITS) == b"damaged":
            continue
        if said := said_of(store, path, seed, files):
            wrong.append(said)
            continue
        slots[f"member {seed}"] = 1
    for path in sorted(root.glob("artefacts/weights/*/*")):
        seed = seeds[path.name]
        try:
            found = store.weights(path.name)
        except StoreError as error:
            if f"member {seed}" in slots:
                wrong.append(f"weights {seed} are there in part: {error}")
            continue
        same = np.array_equal(found["weights"], trained(seed, weights=True).weights["weights"])
        slots[f"weights {seed}"] = 1
        wrong += [] if same else [f"weights {seed} were altered"]
    documents(root, slots, wrong)
    failures(root, store, seeds, slots, wrong)
    return slots, wrong


_said: dict[tuple[int, tuple[tuple[str, bytes], ...]], str] = {}


def said_of(store: Store, path: Path, seed: int, files: dict[str, bytes]) -> str:
    """What is wrong with a member's folder that holds these files: worked out once for the same bytes."""
    mark = seed, tuple(sorted(files.items()))
    if mark not in _said:
        _said[mark] = "" if files in expected(seed) else f"member {seed} was altered"
        try:
            store.read(path.name)
            if members.WEIGHTS in files:
                store.weights(path.name)
        except StoreError as error:
            _said[mark] = f"member {seed} is there in part: {error}"
    return _said[mark]


def documents(root: Path, slots: dict[str, int], wrong: list[str]) -> None:
    versions: dict[str, dict[int, Any]] = {
        "plan": PLANS,
        "search": SEARCHES,
        "probe": {1: PROBED},
        "choice": {1: CHOICE},
    }
    for shelf in (kept.plans, kept.searches, kept.choices, kept.probes):
        one: Any = shelf(root)
        for name, found in one.every():
            here = [number for number, known in versions[one.kind].items() if known == found]
            slots[one.kind] = max(here, default=0)
            wrong += [] if here else [f"{one.kind} {name} is there in part: {found}"]


def failures(
    root: Path, store: Store, seeds: dict[str, int], slots: dict[str, int], wrong: list[str]
) -> None:
    for path in root.glob("failures/[0-9a-f]*.json"):
        if store.failure(path.stem) != "out of memory":
            wrong.append("a failure is there in part")
        if path.stem in seeds:
            slots[f"failure {seeds[path.stem]}"] = 1


_expected: dict[int, list[dict[str, bytes]]] = {}


def expected(seed: int) -> list[dict[str, bytes]]:
    """What a member's folder may hold."""
    if seed not in _expected:
        _expected[seed] = content_of(seed)
        if seed == 2:
            _expected[seed] = [held_with_history()]
    return _expected[seed]


def held_with_history() -> dict[str, bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        for name, content in HISTORY.items():
            (Path(place) / name).write_bytes(content)
        files = members.files_of(trained(2, weights=True, history=Path(place)), LABELS, WHERE)
        return {n: c.read_bytes() if isinstance(c, Path) else c for n, c in files.items()}


def faults_of(root: Path, told: dict[str, int], damaged: int | None = None) -> list[str]:
    """What of the promises does not hold in a store in which these slots were reported, in these versions."""
    try:
        slots, wrong = present(root, damaged) if root.exists() else ({}, [])
    except StoreError as error:
        return [f"the store cannot be opened: {error}"]
    for slot, version in told.items():
        if slot == "failure 4" and "member 4" in slots:
            continue  # overcome
        if slots.get(slot, 0) < version:
            wrong.append(f"{slot} was reported and is not there")
    return wrong


def told_in(log: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in log:
        if entry[0] == "told":
            found[entry[1]] = max(found.get(entry[1], 0), entry[2])
    return found
