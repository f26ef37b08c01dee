"""What another version wrote is read where it can be, and never taken for damage."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget import evaluate, plan_study
from ensembudget.errors import PlanError, StoreError
from ensembudget.records import FIRST_ABI, TRAINING_ABI, Cell, Plan, Recipe, Round, Run, Search, Study
from ensembudget.store import Store
from ensembudget.store.documents import FORMAT, canonical, sha256, unseal
from ensembudget.store.kept import record_key
from ensembudget.studies import load_study
from ensembudget.training.loop import train
from helpers import publish, trained_as

HOME = Path(__file__).parent
EXPECTED = json.loads((HOME / "expected_of_format1.json").read_text())
LABELS = np.arange(6) % 3


@pytest.fixture
def old(tmp_path):
    """A store that the version before format 2 trained; never made again."""
    shutil.copytree(HOME / "format1", tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def frozen():
    """The study of its recorded members."""
    return load_study(HOME / "frozen.toml")


def folder_of(store, key):
    return store.root / "members" / key[:2] / key


def contents(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def reseal(path, change):
    """Rewrites a sealed document as another version would have written it."""
    document = json.loads(path.read_bytes())
    document.pop("sha256")
    change(document)
    path.write_bytes(json.dumps(document | {"sha256": sha256(canonical(document))}).encode())


def assert_left_in_place(store, key, match):
    before = contents(store.root)
    with pytest.raises(StoreError, match=match) as caught:
        store.read(key)
    assert key in str(caught.value)
    assert "newer version" in str(caught.value)
    assert "left in place" in str(caught.value)
    assert contents(store.root) == before


# What format 1 wrote.


@pytest.mark.parametrize("key", EXPECTED)
def test_a_member_of_format_1_reads_as_its_own_version_read_it(old, key):
    found, expected = old.read(key), EXPECTED[key]
    assert found.digest == expected["digest"]
    assert (found.member.status, found.member.run.seed) == (expected["status"], expected["seed"])
    assert (found.member.environment.threads, found.member.environment.pack) == (
        expected["threads"],
        expected["pack"],
    )
    for name, digest in expected["arrays"].items():
        assert hashlib.sha256(getattr(found, name).tobytes()).hexdigest() == digest
    epochs = old.history(key, "epochs")
    recorded = None if epochs is None else epochs["train_loss"].tolist()
    assert recorded == expected["train_loss_history"]


@pytest.mark.parametrize("key", EXPECTED)
def test_the_keys_of_format_1_have_not_changed(old, key):
    run = old.read(key).member.run
    assert (run.key, run.cell.key) == (key, EXPECTED[key]["cell"])


def test_members_of_the_first_training_abi_are_scored_and_never_trained(old, frozen, digits):
    plan = old.saved_plan(frozen)
    assert {cell.cell.training_abi for cell in plan.cells} == {FIRST_ABI}
    (pool,) = evaluate(plan, old).pools
    assert pool.scores is not None
    with pytest.raises(PlanError, match=r"training ABI 1.*Plan the study again"):
        train(plan.runs, digits)
    assert {run.cell.training_abi for run in plan_study(frozen).runs} == {TRAINING_ABI}


def test_reading_changes_nothing_in_an_old_store(old, frozen):
    before = contents(old.root)
    for key in EXPECTED:
        old.read(key)
    assert old.saved_plan(frozen) is not None
    assert contents(old.root) == before


def test_the_plan_of_format_1_is_found(old, frozen):
    plan = old.saved_plan(frozen)
    assert plan is not None
    assert plan.study == frozen
    assert {run.key for run in plan.runs} == {key for key in EXPECTED if EXPECTED[key]["status"] == "done"}


def test_the_search_of_format_1_is_found(old, frozen):
    found = old.saved_search(Search(study=frozen, arm="", budget="15500 parameters"))
    assert [one.flops for one in found.rounds] == [1e9]


@pytest.mark.parametrize("folder", ["plans", "searches"])
def test_what_lies_under_the_key_of_a_version_with_fewer_fields_is_found(old, frozen, folder):
    for path in (old.root / folder).iterdir():
        path.rename(path.with_name("0" * 32 + path.name[-10:]))
    assert old.saved_plan(frozen) is not None
    assert old.saved_search(Search(study=frozen, arm="", budget="15500 parameters")).rounds


# Keys.


STUDY = Study(
    name="golden", description="d", family="vgg", dataset="cifar10", budgets=["1M"], keep_weights=True
)
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
    training_abi=1,
)


def test_golden_keys_have_not_changed():
    assert CELL.key == "18c3570bb7ba750a4b08a9b8b50ba640f01054599f016055e8ef043aabc4c33f"
    assert Run(cell=CELL, seed=3).key == "b01492d372fca933ba7bbdcd6faaddd549e8688fdc3ead00419575894fac6595"
    assert record_key(STUDY) == "9aa8235735f2cc0b431e97b0a111e2f3f94aba98b825c6a93cf21e82db86bc1a"
    assert (
        record_key(Search(study=STUDY, arm="a", budget="1000000 parameters"))
        == "3f5a330a1b8484a8afa553c619082e92563f0d73073b215ab0c1bb0e692333c3"
    )


class LaterStudy(Study):
    novelty: int = 7


class LaterSearch(Search):
    policy: str = "greedy"


def test_a_new_field_with_a_default_changes_no_key():
    assert record_key(LaterStudy(**STUDY.model_dump())) == record_key(STUDY)
    search = Search(study=STUDY, arm="a", budget="1")
    assert record_key(LaterSearch(**search.model_dump())) == record_key(search)


def test_a_new_field_that_is_set_changes_the_key():
    assert record_key(LaterStudy(**STUDY.model_dump(), novelty=8)) != record_key(STUDY)


# Members of versions to come.


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def key(store, make_logits):
    run = Run(cell=CELL, seed=0)
    publish(store, trained_as(run, make_logits), LABELS)
    return run.key


@pytest.fixture
def make_logits():
    return np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def description(store, key):
    return folder_of(store, key) / "member.json"


def test_a_member_says_its_format(store, key):
    document = unseal(description(store, key).read_bytes())
    assert document["format"] == FORMAT == 2


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1).map(lambda text: "x_" + text),
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    place=st.sampled_from(["environment", "member", "document"]),
)
def test_what_a_newer_version_says_of_where_a_member_was_trained_is_read_past(
    tmp_path_factory, name, value, place
):
    store, run = Store(tmp_path_factory.mktemp("store")), Run(cell=CELL, seed=0)
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    publish(store, trained_as(run, logits), LABELS)
    before = store.read(run.key)

    def change(document):
        holder = {
            "document": document,
            "member": document["member"],
            "environment": document["member"]["environment"],
        }[place]
        holder[name] = value

    reseal(description(store, run.key), change)
    after = store.read(run.key)
    assert after.member == before.member
    np.testing.assert_array_equal(after.test_logits, before.test_logits)


@pytest.mark.parametrize("value", [None, 0.05])
def test_an_unknown_field_of_a_cell_that_does_not_enter_its_key_is_read_past(store, key, value):
    before = store.read(key).member
    reseal(
        description(store, key), lambda document: document["member"]["run"]["cell"].update(sharpness=value)
    )
    assert store.read(key).member == before


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(format=3), "format 3; this version reads up to 2"),
        (lambda d: d.update(format="3"), "format 3"),
        (lambda d: d.update(training_abi=3), "training ABI 3"),
        (lambda d: d["member"].update(status="stopped early"), "status"),
        (lambda d: d["member"].pop("parameters"), "parameters"),
        (lambda d: d.pop("member"), "newer"),
        (lambda d: d.update(files=[]), "lists no files"),
        (lambda d: d.update(files={}), "lists no logits"),
    ],
)
def test_a_member_that_only_a_newer_version_knows_is_left_in_place(store, key, change, match):
    reseal(description(store, key), change)
    assert_left_in_place(store, key, match)


def as_another(store, key):
    """Moves a member to another key's place."""
    other = "ab" * 32
    folder_of(store, other).parent.mkdir()
    folder_of(store, key).rename(folder_of(store, other))
    return other


@pytest.mark.parametrize("place", ["run", "cell", "recipe"])
def test_an_unknown_field_that_decides_the_key_is_not_read_past(store, key, place):
    def change(document):
        run = document["member"]["run"]
        {"run": run, "cell": run["cell"], "recipe": run["cell"]["recipe"]}[place].update(sharpness=0.1)

    reseal(description(store, key), change)
    assert_left_in_place(store, as_another(store, key), "sharpness")


def test_a_member_of_another_key_of_which_all_is_known_is_damage(store, key):
    other = as_another(store, key)
    with pytest.raises(StoreError, match="it is another member's"):
        store.read(other)
    assert other not in store


def test_a_member_that_lists_a_file_this_version_does_not_know_is_read(store, key):
    (folder_of(store, key) / "checkpoints.safetensors").write_bytes(b"new")
    facts = {"bytes": 3, "sha256": hashlib.sha256(b"new").hexdigest()}
    reseal(description(store, key), lambda d: d["files"].update({"checkpoints.safetensors": facts}))
    assert store.read(key).member.run.key == key


def test_damage_to_a_newer_member_is_damage(store, key):
    reseal(description(store, key), lambda document: document.update(format=3))
    path = description(store, key)
    path.write_bytes(path.read_bytes().replace(b'"seconds": 1.0', b'"seconds": 2.0'))
    with pytest.raises(StoreError, match="is damaged"):
        store.read(key)
    assert key not in store


# Plans and searches.


def planned(study):
    return Plan(study=study, splits=[], cells=[])


def search_of(study, *, rounds=True):
    one = Round(
        width=2, seeds=[0], keys=["0" * 64], flops=1e9, best=None, confidence=0, loss=None, reason="why"
    )
    return Search(study=study, arm="", budget="1 parameters", rounds=[one] if rounds else [])


@pytest.fixture(params=["plan", "search"])
def kind(request):
    return request.param


@pytest.fixture
def ask(store, kind):
    """What a store has of a study, of either kind."""
    return {
        "plan": lambda study=STUDY: store.saved_plan(study),
        "search": lambda study=STUDY: store.saved_search(search_of(study, rounds=False)),
    }[kind]


@pytest.fixture
def save(store, kind):
    def put(study=STUDY):
        store.save_plan(planned(study)) if kind == "plan" else store.save_search(search_of(study))
        return sorted((store.root / ("plans" if kind == "plan" else "searches")).iterdir())

    return put


def test_what_was_saved_is_found(ask, save):
    save()
    found = ask()
    assert found.study == STUDY
    assert isinstance(found, Plan) or len(found.rounds) == 1


def test_a_field_that_a_newer_version_added_is_said_and_nothing_is_lost(ask, save, kind):
    (path,) = save()
    reseal(path, lambda document: document[kind]["study"].update(novelty=7))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer version of ensembudget \(field 'study.novelty'\)") as caught:
        ask()
    assert str(path) in str(caught.value)
    with pytest.raises(StoreError, match="newer version"):
        save()
    assert path.read_bytes() == before


def test_a_field_that_a_newer_version_left_unset_is_read_past(ask, save, kind):
    (path,) = save()
    found = ask()
    reseal(path, lambda document: document[kind]["study"].update(novelty=None))
    assert ask() == found


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b"\xff", b'{"study": {}}'])
def test_what_is_damaged_is_named(ask, save, damage):
    (path,) = save()
    path.write_bytes(damage)
    with pytest.raises(StoreError, match="is damaged") as caught:
        ask()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("folder", ["plans", "searches"])
def test_what_is_damaged_of_format_1_is_named(old, frozen, folder):
    for path in (old.root / folder).iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    search = Search(study=frozen, arm="", budget="15500 parameters")
    ask = {"plans": lambda: old.saved_plan(frozen), "searches": lambda: old.saved_search(search)}
    with pytest.raises(StoreError, match="is damaged"):
        ask[folder]()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_changed_byte_of_a_search_makes_it_start_again(tmp_path_factory, data):
    store = Store(tmp_path_factory.mktemp("store"))
    store.save_search(search_of(STUDY))
    (path,) = (store.root / "searches").iterdir()
    raw = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    with pytest.raises(StoreError) as caught:
        store.saved_search(search_of(STUDY, rounds=False))
    assert str(path) in str(caught.value)


def test_a_damaged_plan_is_replaced_by_the_next_run(store):
    store.save_plan(planned(STUDY))
    (path,) = (store.root / "plans").iterdir()
    path.write_text("{")
    store.save_plan(planned(STUDY))
    assert store.saved_plan(STUDY) == planned(STUDY)


def test_a_damaged_search_is_not_overwritten(store):
    store.save_search(search_of(STUDY))
    (path,) = (store.root / "searches").iterdir()
    path.write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        store.save_search(search_of(STUDY))
    assert path.read_text() == "{"


def test_the_damage_of_one_stands_in_no_others_way(ask, save):
    other = STUDY.model_copy(update={"name": "other"})
    (path,) = save()
    path.write_text("{")
    assert getattr(ask(other), "rounds", []) == []
    save(other)
    assert ask(other).study == other


def test_a_default_that_has_changed_does_not_pass_one_study_for_another(ask, save):
    """Then two studies have one key: what lies under it is compared, and kept beside."""
    other = STUDY.model_copy(update={"pool": 9})
    (path,) = save(other)
    path.rename(path.with_name(f"{record_key(STUDY)}.json"))
    if path.parent.name == "searches":
        path = path.with_name(f"{record_key(search_of(STUDY, rounds=False))}.json")
        path.parent.joinpath(f"{record_key(STUDY)}.json").rename(path)
    assert getattr(ask(), "rounds", []) == []
    assert len(save()) == 2
    assert ask().study == STUDY
    assert ask(other).study == other
    assert len(save()) == 2
