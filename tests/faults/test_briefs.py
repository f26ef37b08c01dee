"""What `status` reads of a member is what a record of it says, and no byte of it may change unnoticed."""

import json
import random

import pytest
from small_members import CELL, HERE, labels, made

from ensembudget.records import Run
from ensembudget.store import members
from ensembudget.store.briefs import Brief, Briefs, brief
from ensembudget.store.documents import DamageError, UnknownError, canonical, sha256

RUN = Run(cell=CELL, seed=3)


@pytest.fixture
def folder(tmp_path):
    for name, content in members.files_of(made(3), labels(), HERE).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def written(folder, raw):
    (folder / members.DESCRIPTION).write_bytes(raw)
    return folder


def sealed(document):
    document.pop("sha256", None)
    return json.dumps(document | {"sha256": sha256(canonical(document))}).encode()


def test_a_member_is_told_from_its_description_as_from_a_record(folder):
    assert Briefs(CELL).find(folder, RUN) == brief(folder, RUN) == Brief(RUN.key, True, 1.25)


def test_no_changed_byte_is_overlooked(folder, attacked):
    raw, draws, pool = (folder / members.DESCRIPTION).read_bytes(), random.Random(0), Briefs(CELL)
    changed = [
        raw[:at] + bytes([raw[at] ^ 1 << draws.randrange(8)]) + raw[at + 1 :] for at in range(len(raw))
    ]
    changed += [raw[:at] for at in range(0, len(raw), 7)]
    changed += [raw[:at] + raw[at + 1 :] for at in range(0, len(raw), 7)]
    changed += [raw[:at] + b" " + raw[at:] for at in range(0, len(raw) + 1, 7)]
    for number, one in enumerate(sorted(set(changed) - {raw})):
        assert pool.find(written(folder, one), RUN) is None, one
        if number % 20 == 0:
            with pytest.raises((DamageError, UnknownError)):
                brief(folder, RUN)
    attacked("P4", "a byte of a description flipped, cut, lost or added, as `status` reads it", len(changed))


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["member"]["run"].update(seed=4),
        lambda said: said["member"]["run"]["cell"].update(width=5),
        lambda said: said["member"].update(run="\0run"),
        lambda said: said["member"].update(unit={"run": "\0run"}),
        lambda said: said["member"].pop("status"),
        lambda said: said.update(format=3),
        lambda said: said.update(training_abi=99),
        lambda said: said.update(later="field"),
    ],
)
def test_what_is_intact_and_not_just_as_written_here_is_left_to_the_record(folder, change):
    said = json.loads((folder / members.DESCRIPTION).read_bytes())
    change(said)
    assert Briefs(CELL).find(written(folder, sealed(said)), RUN) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"status": "done"', b'"run": 1, "status": "done"'),
        (b'"status": "done"', b'"status": "diverged", "status": "done"'),
        (b'"files": ', b'"format": 2, "files": '),
        (b'"files": ', b'"member": {"status": "done", "seconds": 1.25}, "files": '),
        (b'"sha256": "', b'"sha256": "0", "sha256": "'),
    ],
)
def test_no_name_counts_twice(folder, old, new):
    raw = (folder / members.DESCRIPTION).read_bytes()
    twice = json.loads(raw.replace(old, new))
    digest = sha256(canonical({name: value for name, value in twice.items() if name != "sha256"}))
    forged = raw.replace(old, new).replace(json.loads(raw)["sha256"].encode(), digest.encode())
    assert forged != raw
    assert Briefs(CELL).find(written(folder, forged), RUN) is None


def test_the_description_of_another_member_is_damage(folder):
    other = Run(cell=CELL, seed=4)
    assert Briefs(CELL).find(folder, other) is None
    with pytest.raises(DamageError, match="another member's"):
        brief(folder, other)
