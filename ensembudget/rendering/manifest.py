"""Where every number of a report comes from: members, code, machine, command, exclusions."""

import hashlib
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..scoring.pools import Pool, Results
from ..tables._wording import IMAGES, samples_of, worded

PACKAGES = ("ensembudget", "torch", "numpy", "pandas", "scipy", "scikit-learn", "timm", "matplotlib")


NOT_PUBLISHED = "not published with this report"


def manifest(results: Results, notes: dict[str, list[str]], logits: str = NOT_PUBLISHED) -> dict[str, Any]:
    """Provenance of a report, as JSON, without paths of this machine.

    Args:
        results: What was scored.
        notes: Sentences below each table, by its name.
        logits: Where a reader finds the logits that all numbers follow from.
    """
    # By way of its canonical form: a plan made now and one kept in the store say 1.0 alike.
    study = json.loads(results.plan.study.to_json())
    study["dataset"] = results.plan.cells[0].cell.dataset
    samples = samples_of(results.plan)
    pools, choices = results.distinct, [one.choice for one in results.plan.tuning if one.choice]
    return {
        "study": study,
        "dataset": {
            "name": results.plan.cells[0].cell.dataset,
            "digest": results.plan.cells[0].cell.dataset_digest,
        },
        **({} if samples == IMAGES else {"samples": samples}),
        "cells": [_cell(pool, samples) for pool in results.pools],
        **({"choices": [one.model_dump(mode="json") for one in choices]} if choices else {}),
        "exclusions": {
            "diverged": {s.member.run.key: s.member.diverged_at for p in pools for s in p.stored
                         if s.member.status == "diverged"},
            "missing": [key for pool in pools for key in _missing(pool)],
        },
        "environments": sorted({s.member.environment.to_json() for p in pools for s in p.stored}),
        "code": {"packages": {name: version(name) for name in PACKAGES}, "python": platform.python_version(),
                 "source_sha256": source_digest(), "commit": _commit()},
        "logits": logits,
        "scored_on": {"machine": platform.machine(), "threads": torch.get_num_threads()},
        "command": " ".join(["ensembudget", *(_bare(word) for word in sys.argv[1:])]),
        "notes": notes,
    }  # fmt: skip


def _missing(pool: Pool) -> list[str]:
    there = {one.member.run.key for one in pool.stored}
    return [run.key for run in pool.planned.runs if run.key not in there]


def source_digest() -> str:
    """SHA-256 over the package's own source files."""
    whole = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        whole.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()


def _cell(pool: Pool, samples: str) -> dict[str, Any]:
    return {
        **{name: value for name, value in pool.planned.setting._asdict().items() if value not in ("", None)},
        "cell": pool.planned.cell.model_dump(mode="json"),
        "key": pool.planned.cell.key,
        "hyperparameters": worded(pool.planned.hyperparameters, samples),
        "planned": pool.planned.members,
        "done": len(pool.trained),
        "diverged": pool.diverged,
        "members": {one.member.run.key: one.digest for one in pool.stored},
    }


def _commit() -> str | None:
    """The commit this source is at, with a + where files were changed since."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _bare(word: str) -> str:
    """A word of the command line without folders of this machine."""
    return Path(word).name if "/" in word else word
