"""Studies with probes: measured once after training, kept, reported from the store alone; what is refused."""

import json

import pytest

import ensembudget
from ensembudget import studies
from ensembudget.catalog import PROBES
from ensembudget.errors import IncompleteError
from ensembudget.planning.probes import probes_of
from ensembudget.rendering.render import from_csv
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.probing import probe_status, probings
from helpers import command

STUDY = """
name = "probed"
description = "lines, hulls, tunnels and cuts, as short as they can be"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
widths = [3, 4]
pool = 4
keep_weights = true
stepping = { pack = 4, compiled = false }

[recipe]
epochs = 3
batch_size = 32

[[probes]]
kind = "line"
options = { pairs = 2, points = 5 }
[[probes]]
kind = "planes"
widths = [4]
options = { pairs = 2, segments = 3, epochs = 2 }
[[probes]]
kind = "curve"
widths = [4]
options = { pairs = 2, points = 5, shape = "chain" }
[[probes]]
kind = "hull"
widths = [4]
options = { directions = 2, epochs = 2 }
[[probes]]
kind = "tunnel"
options = { members = 2, directions = 2 }
[[probes]]
kind = "cut"
widths = [4]
options = { members = 2, dimension = 10, epochs = 2 }
[[probes]]
kind = "cut"
widths = [4]
options = { members = 2, dimension = 200, epochs = 2 }
"""
SERIAL = ("--executor", "serial")
MEASURED = 4 + 2 + 2 + 1 + 4 + 2 + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache):
    """Where the study was run and reported."""
    made = tmp_path_factory.mktemp("probed")
    (made / "probed.toml").write_text(STUDY)
    ran = command("run", made / "probed.toml", "--store", made / "store", *SERIAL)
    assert ran.code == 0, ran.err
    assert f"{MEASURED} probes done now. {MEASURED} planned." in ran.err + ran.out
    reported = command("report", made / "probed.toml", "--store", made / "store", "--out", made / "report")
    assert (reported.code, reported.err) == (0, "")
    return made


def ask(folder, *words):
    return command(words[0], folder / "probed.toml", *words[1:], "--store", folder / "store")


def rows(folder, name):
    return from_csv((folder / "report" / f"{name}.csv").read_text())


def kept(folder):
    return [json.loads(path.read_text())["probe"] for path in sorted((folder / "store" / "probes").iterdir())]


def test_a_second_run_measures_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in (folder / "store" / "probes").iterdir()}
    assert ask(folder, "run", *SERIAL).code == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "store" / "probes").iterdir()} == before


def test_a_probe_that_is_lost_is_measured_again_to_the_same_numbers(folder):
    victim = next(
        path
        for path in (folder / "store" / "probes").iterdir()
        if json.loads(path.read_text())["probe"]["subject"]["kind"] == "planes"
    )
    before = json.loads(victim.read_text())["probe"]
    victim.unlink()
    assert "1 of 17 probes" in ask(folder, "report", "--out", folder / "lost").err
    assert "1 of 17 probes still to be measured." in ask(folder, "status").out
    assert "1 more probe to measure" in ask(folder, "run", "--dry-run", *SERIAL).out
    partial = ask(folder, "report", "--allow-partial", "--out", folder / "partial")
    assert partial.code == 0
    assert "PARTIAL: 1 of 17 probes is missing" in (folder / "partial" / "connectors.md").read_text()
    assert ask(folder, "run", *SERIAL).code == 0
    after = json.loads(victim.read_text())["probe"]
    assert {**after, "seconds": 0} == {**before, "seconds": 0}


def test_a_damaged_probe_is_told_and_named(folder):
    victim = sorted((folder / "store" / "probes").iterdir())[0]
    whole = victim.read_bytes()
    victim.write_bytes(whole.replace(b'"points"', b'"pointz"'))
    try:
        said = ask(folder, "report", "--out", folder / "damaged")
        assert said.code == 2
        assert str(victim) in said.err
        assert "is damaged" in said.err
    finally:
        victim.write_bytes(whole)


@pytest.mark.slow
def test_two_processes_find_what_one_does(folder, tmp_path):
    """Members are trained again there, to the same bytes."""
    (tmp_path / "probed.toml").write_text(STUDY)
    assert command("run", tmp_path / "probed.toml", "--store", tmp_path / "store", "--workers", "2").code == 0
    assert [{**one, "seconds": 0} for one in kept(tmp_path)] == [
        {**one, "seconds": 0} for one in kept(folder)
    ]


def test_from_python_probes_are_measured_by_a_verb_of_their_own(folder, tmp_path):
    study = studies.load_study(folder / "probed.toml")
    planned, store = plan_study(study), Store(tmp_path / "store")
    assert ensembudget.probe(planned, store, executor="serial") == []
    store.merge(Store(folder / "store"))
    victim = next((tmp_path / "store" / "probes").iterdir())
    victim.unlink()
    with pytest.raises(IncompleteError, match=r"lacks 1 of 17 probes.*in Python `probe`"):
        ensembudget.evaluate(planned, store)
    reports = []
    (outcome,) = ensembudget.probe(planned, store, executor="serial", on_progress=reports.append)
    assert (outcome.key, outcome.status) == (victim.stem, "done")
    assert (reports[-1].ended, reports[-1].share) == (1, 1.0)
    assert len(ensembudget.evaluate(planned, store).probes) == MEASURED


def test_merging_stores_takes_probes_over(folder, tmp_path):
    assert command("store", "merge", folder / "store", "--store", tmp_path / "other").code == 0
    assert len(list((tmp_path / "other" / "probes").iterdir())) == MEASURED
    study = studies.load_study(folder / "probed.toml")
    assert probe_status(plan_study(study), Store(tmp_path / "other")).missing == 0


def test_every_pool_and_width_that_is_asked_for_is_measured(folder):
    planned = plan_study(studies.load_study(folder / "probed.toml"))
    asked = [(one.kind, one.planned.cell.width, one.measurements) for one in probes_of(planned)]
    assert asked == [
        ("line", 3, 2), ("line", 4, 2), ("planes", 4, 2), ("curve", 4, 2), ("hull", 4, 1),
        ("tunnel", 3, 2), ("tunnel", 4, 2), ("cut", 4, 2), ("cut", 4, 2),
    ]  # fmt: skip
    store = Store(folder / "store")
    for one in probings(planned, store):
        assert one.subject.members == [run.key for run in one.runs]
        assert {run.cell.width for run in one.runs} == {one.probe.planned.cell.width}
        assert store.saved_probe(one.subject).subject == one.subject


def test_a_plan_made_under_an_earlier_abi_asks_for_what_was_found_then(folder):
    """So that what was published then can still be verified."""
    planned, store = plan_study(studies.load_study(folder / "probed.toml")), Store(folder / "store")
    earlier = planned.model_copy(update={"probe_abis": {}})
    now, then = ([one.subject for one in probings(plan, store)] for plan in (planned, earlier))
    assert {one.kind: one.abi for one in now} == {one.kind: PROBES[one.kind].abi for one in now}
    assert {one.abi for one in then} == {1}
    changed = [a.kind for a, b in zip(now, then, strict=True) if a.key != b.key]
    assert changed == ["planes", "planes"]


def test_a_probe_that_was_planned_under_an_earlier_abi_is_not_measured(folder):
    planned, store = plan_study(studies.load_study(folder / "probed.toml")), Store(folder / "store")
    earlier = planned.model_copy(update={"probe_abis": {}})
    outcomes = ensembudget.probe(earlier, store, executor="serial")
    assert [one.status for one in outcomes] == ["failed", "failed"]
    assert "planned under ABI 1. This version measures under 2" in outcomes[0].reason
    assert probe_status(planned, store).missing == 0


def test_connectors_have_a_row_for_each_kind_and_pool(folder):
    found = rows(folder, "connectors")
    assert [(row["width"], row["path"], row["groups"]) for row in found] == [
        (3, "line", 2), (4, "line", 2), (4, "planes", 2), (4, "chain", 2), (4, "hull of 3", 1),
    ]  # fmt: skip
    line, planes = found[1], found[2]
    assert planes["straight"] == line["train_barrier"] == line["straight"]
    assert line["share"] in (1, None)  # where two members have no barrier there is no share
    assert found[-1]["aligned"] is None
    assert found[-1]["train_barrier"] < found[-1]["straight"]
    assert "start later, halving by halving" in (folder / "report" / "connectors.md").read_text()


def test_tunnels_and_their_trend_along_width_are_reported(folder):
    found = rows(folder, "tunnels")
    assert [(row["width"], row["members"]) for row in found] == [(3, 2), (4, 2)]
    (trend,) = rows(folder, "tunnel_trends")
    assert (trend["field"], trend["values"]) == ("width", "3, 4")
    assert trend["difference"] == pytest.approx(found[1]["radius"] - found[0]["radius"])


def test_cuts_are_reported_in_the_order_of_dimensions(folder):
    found = rows(folder, "cuts")
    assert [(row["dimension"], row["cuts"]) for row in found] == [(10, 2), (200, 2)]
    assert found[1]["train_loss"] < found[0]["train_loss"]
    assert {row["parameters"] for row in found} == {5178}


def test_figures_are_drawn(folder):
    for name in ("connectors", "tunnels", "cuts"):
        assert (folder / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_first_look_measures_what_fewer_members_allow(folder, tmp_path):
    how = ("--epochs", "1", "--limit", "3", "--store", tmp_path / "store")
    assert command("run", folder / "probed.toml", *how, *SERIAL).code == 0
    assert command("report", folder / "probed.toml", *how, "--out", tmp_path / "report").code == 0
    found = from_csv((tmp_path / "report" / "connectors.csv").read_text())
    assert [(row["path"], row["groups"]) for row in found] == [
        ("line", 1), ("line", 1), ("planes", 1), ("chain", 1), ("hull of 3", 1),
    ]  # fmt: skip


REFUSED = {
    "an unknown probe": ({"kind": "lime"}, "no probe 'lime'. Did you mean 'line'?"),
    "an unknown option": (
        {"kind": "line", "options": {"pair": 2}},
        "no option 'pair'. Did you mean 'pairs'?",
    ),
    "an option of another type": ({"kind": "line", "options": {"pairs": "two"}}, "must be of type int"),
    "a choice that is none": ({"kind": "curve", "options": {"shape": "arc"}}, "is not one of bezier, chain"),
    "less than nothing": ({"kind": "line", "options": {"pairs": -1}}, "below 0"),
    "a line without a middle": ({"kind": "line", "options": {"pairs": 1, "points": 2}}, "at least 3"),
    "more members than the pool has": ({"kind": "line", "options": {"pairs": 3}}, "needs 6 members"),
    "a width that is not trained": ({"kind": "tunnel", "widths": [7]}, "asks for width 7"),
    "a subspace larger than the network": (
        {"kind": "cut", "widths": [3], "options": {"dimension": 100_000}},
        "no subspace of a network of 2,992 parameters",
    ),
    "more directions than parameters": (
        {"kind": "hull", "options": {"directions": 100_000}},
        "needs 100001 members",
    ),
    "a hull of one": ({"kind": "hull", "options": {"directions": 0}}, "one direction at least"),
    "a tunnel without a rise": ({"kind": "tunnel", "options": {"rise": 0.0}}, "above 0"),
}


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + " }"
    return json.dumps(value)


@pytest.mark.parametrize("about", REFUSED)
def test_what_cannot_be_measured_is_refused_before_anything_is_trained(about, tmp_path, cache):
    probe, expected = REFUSED[about]
    head = STUDY[: STUDY.index("[[probes]]")]
    lines = [f"{name} = {toml(value)}" for name, value in probe.items()]
    (tmp_path / "bad.toml").write_text("\n".join([head, "[[probes]]", *lines]))
    said = command("run", tmp_path / "bad.toml", "--store", tmp_path / "store", *SERIAL)
    assert said.code == 2
    assert expected in " ".join(said.err.split())
    assert not (tmp_path / "store").exists()


def test_probes_without_kept_weights_are_refused(tmp_path, cache):
    (tmp_path / "bad.toml").write_text(STUDY.replace("keep_weights = true\n", ""))
    said = command("run", tmp_path / "bad.toml", "--store", tmp_path / "store", *SERIAL)
    assert said.code == 2
    assert "Set keep_weights = true" in said.err
