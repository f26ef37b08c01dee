"""The card as a page for people."""

from ..catalog import FORMATS, TASKS
from ..records import FLOAT32, Interval
from ..rendering.render import markdown
from .card import Card, WrittenFile, scored_on

README = "README.md"

FITTED = {
    "validation": "the validation {samples}",
    "test": "the test {samples}, for there are no validation {samples}: the NLL at it is a little too low",
}

CHOSEN = {
    "lowest CNLL": "The split was chosen for its CNLL on the test samples, the lowest of this budget.",
    "named": "The split was named, and not chosen by its CNLL.",
}

ROUNDED = " Weights are rounded to {dtype}: safetensors stores them so, graphs hold them in float32."

PAGE = """\
# {title}

Made by ensembudget {version}.

```python
import ensembudget

ensemble = ensembudget.load("this folder")
{call}
```

{about}
- Budget: {budget}. This split has {parameters:,} parameters, {bytes:,} bytes in {dtype}.
- Members are averaged in probability. The average is tempered by T = {temperature:.4f}, fitted on {fitted}.
- Disagreement is the share of pairs of members that predict different classes; a single member has none.

## Quality on {scored_on}

| | accuracy | NLL | CNLL |
|---|---|---|---|
| mean of {ensembles} ensembles | {accuracy} | {nll} | {cnll} |
| this ensemble | {own_accuracy:.4f} | {own_nll:.4f} | |

The first row is of the disjoint ensembles of the study's pool, with 95% intervals over members: NLL at
temperature 1, CNLL at a temperature that is fitted on one half of the {samples} and scored on the other. The
second row is of these very members at T = {temperature:.4f}. {chosen}

## Files

| format | file | tensor bytes | file bytes | off the store by | read by |
|---|---|---|---|---|---|
{files}

Each file was run again on the test {samples}. "Off the store by" is the largest difference between its
probabilities and those of the stored logits.

Graphs take {graph}. They give `probabilities` ({answer}, class) and `disagreement` ({answer}), averaged and
tempered.{rounded}

## Where it comes from

- Study `{study}`, SHA-256 `{study_sha256}`{setting}.
- Data {data}: {training_samples:,} training and {validation_samples:,} validation {samples}, digest
  `{digest}`.
- Members: {members}.
- Exported with torch {torch}. `card.json` has all of this in full.
"""


def readme(card: Card) -> str:
    """Markdown."""
    plan, quality, origin = card.blueprint, card.quality, card.provenance
    kind, page = TASKS[plan.inputs.kind], plan.inputs.page(plan.class_names)
    count = "One network" if plan.members == 1 else f"{plan.members} networks"
    return PAGE.format(
        title=f"{count} of {plan.family}, width {plan.width}, for {markdown(card.data.name)}",
        version=origin.ensembudget,
        call=page.call,
        about=page.about,
        graph=page.graph,
        samples=kind.samples,
        answer="sample, position" if kind.positions else "sample",
        budget=f"{card.budget.amount:,} {card.budget.kind}",
        parameters=card.budget.parameters,
        bytes=card.budget.bytes,
        dtype=card.budget.dtype,
        temperature=plan.temperature,
        fitted=FITTED[card.data.temperature_fitted_on].format(samples=kind.samples),
        scored_on=scored_on(card),
        ensembles=quality.ensembles,
        accuracy=_said(quality.accuracy),
        nll=_said(quality.nll),
        cnll=_said(quality.cnll),
        own_accuracy=quality.own_accuracy,
        own_nll=quality.own_nll,
        chosen=CHOSEN[origin.chosen],
        rounded=ROUNDED.format(dtype=plan.dtype) if plan.dtype != FLOAT32 else "",
        files="\n".join(_row(name, file) for name, file in card.files.items()),
        study=origin.study,
        study_sha256=origin.study_sha256,
        setting=f", {markdown(origin.setting)}" if origin.setting else "",
        data=markdown(card.data.name),
        training_samples=card.data.training_samples,
        validation_samples=card.data.validation_samples,
        digest=card.data.digest,
        members=", ".join(f"seed {one.seed} (`{one.key[:16]}`)" for one in origin.members),
        torch=origin.torch,
    )


def _row(name: str, file: WrittenFile) -> str:
    sizes = f"{file.tensor_bytes:,} | {file.file_bytes:,} | {file.difference:.1e}"
    return f"| {name} | `{file.file}` | {sizes} | {FORMATS[name].about} |"


def _said(value: Interval) -> str:
    ends = "" if value.low is None or value.high is None else f" [{value.low:.4f}, {value.high:.4f}]"
    return f"{value.value:.4f}{ends}"
