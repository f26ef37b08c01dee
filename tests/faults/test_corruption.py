"""Attack E: stored bytes that change, move, vanish or appear are noticed before a number uses them."""

import dataclasses
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from small_members import CELL, HERE, Made, labels, made

from ensembudget.errors import StoreError
from ensembudget.records import (
    Choice,
    Contest,
    Plan,
    Point,
    Probed,
    ProbeSubject,
    Recording,
    Round,
    Run,
    Search,
    Study,
    Trial,
)
from ensembudget.store import Store, documents, members

SAMPLES, PAGE = 900, 4096
LABELS = labels(SAMPLES)
RECORDED = CELL.model_copy(update={"record": Recording(test_size=7)})
STUDIES = [Study(name=name, description="", family="wide_resnet", dataset="digits") for name in ("a", "b")]
PLAIN, WITH_WEIGHTS, WITH_HISTORY, LATER = range(2), range(2, 4), range(4, 6), range(6, 8)


def runs() -> list[Run]:
    kinds = ((CELL, (*PLAIN, *WITH_WEIGHTS, *LATER)), (RECORDED, WITH_HISTORY))
    return [Run(cell=cell, seed=seed) for cell, seeds in kinds for seed in seeds]


def kept() -> tuple[list[Plan], list[Choice], list[Search], list[Probed]]:
    """Two documents of every kind."""
    keys = [run.key for run in runs()]
    contests = [Contest(method="grid", members=2, keys=keys[i : i + 2], own=0) for i in range(2)]
    trials = [
        Trial(values={"epochs": 3}, members=2, flops=1e9),
        Trial(values={"epochs": 5}, members=2, flops=2e9),
    ]
    one = Round(
        width=4, seeds=[0], keys=keys[:1], flops=1e9, best=2, confidence=0.5, loss=0.1, reason="first"
    )
    subjects = [ProbeSubject(kind="line", options={"pairs": i + 1}, members=keys[:2]) for i in range(2)]
    point = Point(at=0.5, train_loss=0.25, train_error=0.125, test_nll=0.75, test_error=0.5)
    return (
        [Plan(study=study, splits=[], cells=[]) for study in STUDIES],
        [Choice(contest=contest, trials=trials, chosen=1) for contest in contests],
        [Search(study=study, arm="", budget="10k", rounds=[one]) for study in STUDIES],
        [Probed(subject=subject, points=[point], facts={"rise": 0.5}, seconds=2.0) for subject in subjects],
    )


def filled(root: Path, scratch: Path) -> Store:
    """A store with every kind of thing in it."""
    store = Store(root)
    scratch.mkdir()
    rows = pd.DataFrame({"epoch": range(400), "loss": np.random.default_rng(0).normal(size=400)})
    rows.to_parquet(scratch / "epochs.parquet")
    for run in runs():
        history = scratch if run.seed in WITH_HISTORY else None
        one = made(
            run.seed, cell=run.cell, weights=run.seed in WITH_WEIGHTS, history=history, samples=SAMPLES
        )
        assert store.publish(one, LABELS, HERE)
        if run.seed in LATER:
            assert store.publish_weights(made(run.seed, weights=True, samples=SAMPLES), HERE)
    for save, some in zip(
        (store.save_plan, store.save_choice, store.save_search, store.save_probe), kept(), strict=True
    ):
        for document in some:
            save(document)
    for key in ("a" * 64, "b" * 64):
        store.record_failure(key, f"no room for {key[:3]}")
    return store


def uses(store: Store) -> dict[str, Callable[[], object]]:
    """Everything that a number or a sentence is made of, by the folder or file that it lies in."""
    found: dict[str, Callable[[], object]] = {}

    def add(path: Path, use: Callable[..., object], *arguments: object) -> None:
        found[str(path.relative_to(store.root))] = lambda: use(*arguments)

    for run in runs():
        folder = store.root / "members" / run.key[:2] / run.key
        if run.seed in LATER:  # before their member is read, which would notice more
            add(store.root / "artefacts/weights" / run.key[:2] / run.key, _weights, store, run.key)
        add(folder, _member, store, run)
    plans, choices, searches, probes = kept()
    asked = (
        ("plans", store.saved_plan, [plan.study for plan in plans]),
        ("choices", store.saved_choice, [choice.contest for choice in choices]),
        ("searches", store.saved_search, [one.model_copy(update={"rounds": []}) for one in searches]),
        ("probes", store.saved_probe, [probed.subject for probed in probes]),
    )
    for folder, read, subjects in asked:
        for path in sorted((store.root / folder).glob("*.json")):
            mine = [subject for subject in subjects if _holds(path, subject)]
            assert len(mine) == 1
            add(path, read, *mine)
    for path in sorted((store.root / "failures").glob("*.json")):
        add(path, store.failure, path.stem)
    add(store.root / "store.json", lambda: Store(store.root) and "a store")
    return found


def _member(store: Store, run: Run) -> object:
    one = store.read(run.key)
    arrays = [getattr(one, name).tobytes() for name in members.ARRAYS]
    kept = _weights(store, run.key) if run.seed in WITH_WEIGHTS else None
    history = store.root / "members" / run.key[:2] / run.key / "epochs.parquet"  # as it is read, later
    return one.member, arrays, kept, history.read_bytes() if run.seed in WITH_HISTORY else None


def _weights(store: Store, key: str) -> object:
    return {name: array.tobytes() for name, array in store.weights(key).items()}


def _holds(path: Path, subject: object) -> bool:
    text = path.read_text()
    if isinstance(subject, Study):
        return f'"name": "{subject.name}"' in text
    if isinstance(subject, Search):
        return f'"name": "{subject.study.name}"' in text
    if isinstance(subject, ProbeSubject):
        return path.stem == subject.key
    assert isinstance(subject, Contest)
    return Choice.model_validate(documents.unseal(path.read_bytes())["choice"]).contest == subject


NOTHING = object()  # where there is no value: refused with a message, or not there


def value(use: Callable[[], object], there: bool = True) -> object:
    """What is found, or `NOTHING`; of what is there nobody may say that it never was."""
    try:
        found = use()
    except StoreError as error:
        denied = there and "were not kept" in str(error)
        return "a message that it never was there" if denied else NOTHING
    if found is None or (isinstance(found, str) and found.startswith("unreadable")):
        return NOTHING
    return NOTHING if isinstance(found, Search) and not found.rounds else found


class Damage(NamedTuple):
    """What was done, and the things that it was done to: paths as in `uses`."""

    what: str
    things: set[str]


Way = Callable[[Path, random.Random], Damage]

# Ways to do damage. Each changes files below `root` and says which things they belong to.


def thing_of(root: Path, path: Path) -> str:
    names = path.relative_to(root).parts
    depth = {"members": 3, "artefacts": 4}.get(names[0], len(names))
    return str(Path(*names[:depth]))


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def flip_a_bit(root: Path, rng: random.Random, place: str = ".") -> Damage:
    path = rng.choice(files_of(root / place))
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return Damage(f"bit {bit} of {path}", {thing_of(root, path)})


def truncate(root: Path, rng: random.Random) -> Damage:
    path = rng.choice(files_of(root))
    length = rng.choice([0, path.stat().st_size - 1, rng.randrange(path.stat().st_size)])
    os.truncate(path, length)
    return Damage(f"{path} cut to {length} bytes", {thing_of(root, path)})


def zero_a_page(root: Path, rng: random.Random) -> Damage:
    path = rng.choice([path for path in files_of(root) if path.stat().st_size > PAGE])
    content = path.read_bytes()
    pages = [at for at in range(0, len(content), PAGE) if any(content[at : at + PAGE])]
    at = rng.choice(pages)
    lost = content[at : at + PAGE]
    path.write_bytes(content[:at] + bytes(len(lost)) + content[at + PAGE :])
    return Damage(f"page at {at} of {path} zeroed", {thing_of(root, path)})


def swap_files(root: Path, rng: random.Random) -> Damage:
    """Two members exchange a file of one name, or two failures or probes their names."""
    # Plans, searches and choices are found by what they say, whatever they are called.
    some = [path for path in files_of(root) if path.parent.name not in ("plans", "searches", "choices")]
    path = rng.choice([path for path in some if path.name != "store.json"])
    documents = path.parent.name in ("failures", "probes")
    alike = [one for one in some if (one.parent == path.parent if documents else one.name == path.name)]
    alike = [one for one in alike if one.read_bytes() != path.read_bytes()]
    if not alike:
        return swap_files(root, rng)
    other = rng.choice(alike)
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)
    return Damage(f"{path} and {other} swapped", {thing_of(root, path), thing_of(root, other)})


def rename_a_folder(root: Path, rng: random.Random) -> Damage:
    """A member, or later weights, under the name of another, whose own place is taken over."""
    folders = [root / one for one in things_in_folders(root)]
    path = rng.choice(folders)
    other = rng.choice([one for one in folders if one.parts[-3] == path.parts[-3] and one != path])
    shutil.rmtree(other)
    path.rename(other)
    return Damage(f"{path} renamed to {other}", {thing_of(root, path), thing_of(root, other)})


def things_in_folders(root: Path) -> list[str]:
    found = {thing_of(root, path) for path in files_of(root)}
    return sorted(one for one in found if one.startswith(("members", "artefacts")))


def delete(root: Path, rng: random.Random) -> Damage:
    path = rng.choice([path for path in files_of(root) if path.name != "store.json"])
    path.unlink()
    return Damage(f"{path} deleted", {thing_of(root, path)})


def add_a_file(root: Path, rng: random.Random) -> Damage:
    folder = root / rng.choice(things_in_folders(root))
    name = rng.choice(["weights.safetensors", "steps.parquet", "notes.txt", ".hidden", "artefact.json"])
    if (folder / name).exists():
        return add_a_file(root, rng)
    (folder / name).write_bytes(rng.randbytes(rng.randrange(100)))
    return Damage(f"{folder / name} added", {thing_of(root, folder / name)})


def repeat(rng: random.Random, *ways: tuple[Way, int]) -> list[Way]:
    some = [way for way, count in ways for _ in range(count)]
    rng.shuffle(some)
    return some


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    filled(tmp_path / "pristine", tmp_path / "scratch")
    return tmp_path / "pristine"


def contents(root: Path) -> dict[str, str]:
    """Digests of all files by path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(root)
    }


def attack(
    pristine: Path, ways: list[Callable[[Path, random.Random], Damage]], rng: random.Random
) -> Iterator[str]:
    """Does damage once for every way, each time to a whole store, and yields what it got away with."""
    root = pristine.parent / "store"
    shutil.copytree(pristine, root)
    before = {thing: value(use) for thing, use in uses(Store(root)).items()}
    assert NOTHING not in before.values()
    whole, asked = contents(root), uses(Store(root))
    for way in ways:
        damage = way(root, rng)
        damaged = contents(root)
        names = {Path(thing).name for thing in damage.things}
        others = {Path(thing).name for thing in rng.sample(sorted(asked), 3)}
        there = {thing: (root / thing).exists() for thing in asked if Path(thing).name in names | others}
        after = {thing: value(asked[thing], there[thing]) for thing in there}
        left = contents(root)
        restore(pristine, root, whole, left)
        yield from faults(damage, before, after)
        if sorted(left.values()) != sorted(damaged.values()):
            yield f"{damage.what}: a file was altered or lost"
        if new := [path for path in left if path not in damaged and not path.startswith("quarantine/")]:
            yield f"{damage.what}: {new[0]} was made"
        gone = [thing_of(root, root / path) for path in damaged if path not in left]
        if innocent := set(gone) - damage.things:
            yield f"{damage.what}: {innocent.pop()}, which is whole, was moved"


def faults(damage: Damage, before: dict[str, object], after: dict[str, object]) -> Iterator[str]:
    for thing, found in after.items():
        if found is not NOTHING and found != before[thing]:
            yield f"{damage.what}: {thing} has another value"
        # What is of damaged logits cannot be used either: later weights of a damaged member.
        depends = any(
            Path(thing).name == Path(one).name and one.startswith("members") for one in damage.things
        )
        if found is NOTHING and thing not in damage.things and not depends:
            yield f"{damage.what}: {thing}, which is whole, cannot be read"
    if not any(after[thing] is NOTHING for thing in damage.things):
        yield f"{damage.what}: nothing was refused"


def restore(pristine: Path, root: Path, whole: dict[str, str], left: dict[str, str]) -> None:
    shutil.rmtree(root / "quarantine", ignore_errors=True)
    for path in set(whole) | set(left):
        if path in whole and left.get(path) != whole[path]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pristine / path, root / path)
        elif path not in whole:
            (root / path).unlink(missing_ok=True)


def test_made_members_are_like_trained_ones():
    from ensembudget.training.loop import Trained

    names = [{field.name for field in dataclasses.fields(kind)} for kind in (Made, Trained)]
    assert names[0] == names[1]


@pytest.mark.slow
def test_every_corruption_is_noticed_before_a_number_uses_it(pristine, times, attacked):
    rng = random.Random(15)
    ways = repeat(
        rng,
        (flip_a_bit, 500 * times),
        (truncate, 200 * times),
        (zero_a_page, 100 * times),
        (swap_files, 60 * times),
        (rename_a_folder, 40 * times),
        (delete, 50 * times),
        (add_a_file, 50 * times),
    )
    assert list(attack(pristine, ways, rng)) == []
    attacked("P4", "stored bits flipped, cut, zeroed, swapped, deleted, added, renamed", len(ways))


class Agrees(str):
    """A digest that any other one is equal to."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@pytest.mark.parametrize("place", ["members", "probes"])
def test_without_the_digests_corruption_goes_unnoticed(pristine, monkeypatch, place):
    def flip(root: Path, rng: random.Random) -> Damage:
        return flip_a_bit(root, rng, place)

    rng = random.Random(16)
    assert list(attack(pristine, [flip] * 10, rng)) == []
    facts = members.facts
    monkeypatch.setattr(members, "facts", lambda content: facts(content) | {"sha256": Agrees()})
    monkeypatch.setattr(documents, "sha256", lambda content: Agrees())
    shutil.rmtree(pristine.parent / "store")
    assert list(attack(pristine, [flip] * 10, rng)) != []
