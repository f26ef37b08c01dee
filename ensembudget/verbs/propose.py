"""Proposes a study for images and a budget, and says what it costs here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..datasets._load import label
from ..datasets._look import Look
from ..errors import DatasetError
from ..planning.plan import plan
from ..planning.proposal import EFFORTS, Sketch, text_of
from ..records import Plan, Study
from ..stepping.arrange import Arrangement
from ..stepping.autotune import BENCH, Bench
from ..stepping.trial import Report
from ..store import Store
from ..studies import parse
from .estimate import Estimate, estimate
from .run import arrange


@dataclass(frozen=True)
class ProposedStudy:
    """A study that is proposed.

    Attributes:
        text: Its TOML file.
        study: What the file says.
        plan: What would be trained, as far as can be told without decoding the images.
        arrangement: How members would be stepped.
        estimate: How long that takes here; None where no step could be timed.
    """

    text: str
    study: Study
    plan: Plan
    arrangement: Arrangement
    estimate: Estimate | None


def propose(
    look: Look,
    budget: str,
    out: str | Path,
    *,
    seconds: float = 600.0,
    bench: Bench = BENCH,
    on_trial: Report = lambda *how: None,
) -> ProposedStudy:
    """The largest study, of a few sizes, that trains within some time on this machine.

    Args:
        look: What the dataset holds, as from `look`.
        budget: What all members together may cost, as `2MB` or `250k`.
        out: Where the file will lie: the folder of the images is told relative to it.
        seconds: Of training. Where the smallest study takes longer, it is proposed all the same.
        bench: How steps are timed.
        on_trial: Called before a width is tried.

    Raises:
        DatasetError: No image can be decoded.
        PlanError: The budget cannot be read, or holds no ensemble.
        StudyError: The study cannot be planned: fewer training images than classes, say.
    """
    if not look.sizes:
        raise DatasetError(f"dataset {look.spec!r}: none of its {look.files:,} files can be decoded.")
    found: ProposedStudy | None = None
    for found in _proposals(look, budget, Path(out), bench, on_trial):
        if found.estimate and found.estimate.whole <= seconds:
            return found
    assert found is not None
    return found


def _proposals(look: Look, budget: str, out: Path, bench: Bench, on_trial: Report) -> Iterator[ProposedStudy]:
    """From the largest to the smallest."""
    for effort in EFFORTS:
        yield _proposal(Sketch(look, budget, out, effort), bench, on_trial)


def _proposal(sketch: Sketch, bench: Bench, on_trial: Report) -> ProposedStudy:
    text = text_of(sketch)
    study = parse(text, str(sketch.out))
    planned = plan(
        study,
        sketch.task,
        digest="0" * 64,  # images are not decoded yet, and time does not depend on them
        dataset=label(sketch.look.spec),
        train_samples=sketch.train_images,
    )
    store = Store("store")
    arrangement = arrange(planned, store, measure=False)
    told = estimate(planned, store, arrangement, bench=bench, on_trial=on_trial)
    return ProposedStudy(text, study, planned, arrangement, told)
