"""A store of many small members with real files, made without torch and without waiting for the disk.

python large_store.py STORE MEMBERS STUDY
"""

import sys
from pathlib import Path

from small_members import CELL, HERE, labels, made

from ensembudget.records import Plan, PlannedCell
from ensembudget.store import Store, members
from ensembudget.studies import load_study

POOLS = 20


def fill(root: Path, count: int, study: Path | str) -> Plan:
    """Members in pools of twenty widths, and the plan of a study that needs them all."""
    pools = []
    for width in range(1, POOLS + 1):
        cell = CELL.model_copy(update={"width": width})
        for seed in range(count // POOLS):
            one = made(seed, cell=cell, variant=width)
            folder = root / "members" / one.run.key[:2] / one.run.key
            folder.mkdir(parents=True)
            for name, content in members.files_of(one, labels(), HERE).items():
                (folder / name).write_bytes(content)
        pools.append(PlannedCell(cell=cell, members=count // POOLS, origin="default", flops_per_sample=1000))
    plan = Plan(study=load_study(study, checked=False), splits=[], cells=pools)
    Store(root).save_plan(plan)
    return plan


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
