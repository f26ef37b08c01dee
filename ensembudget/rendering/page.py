"""A report as one page of HTML that needs no network: the answer first, then every table and figure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..tables import _costs
from ..tables._answer import clearest, counted, findings
from ..tables._base import Row, Table
from ..tables._wording import IMAGES
from ..tables.memory_split import COST_RULE, RATIOS
from .cells import Seen, below, shown
from .render import from_csv
from .web import ranks, templates

# The order of a page; other tables follow in the order of a report.
ORDER = (
    "memory_split", "map", "crossings", "tuning_share", "subsets", "arms", "learning_curves",
    "curve_ranking", "power_laws", "costs",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One table with its figures.

    Attributes:
        table: What it is about.
        seen: What it says.
        ranks: The class of each column, as `web.ranks` gives them.
        lines: What stands below it.
        figures: SVG documents by name, ready to stand in a page.
    """

    table: Table
    seen: Seen
    ranks: Sequence[str]
    lines: Sequence[str]
    figures: Mapping[str, Markup]


def page(folder: Path, tables: Sequence[Table], figures: Sequence[str]) -> str:
    """The page of a report whose other files are written: it says what they say.

    Args:
        folder: With each table's CSV, each figure's SVG, and the manifest.
        tables: Those for people, in the order of a report.
        figures: Names of the figures that were drawn.

    Returns:
        The whole document.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    notes: dict[str, list[str]] = manifest["notes"]
    common = shared(list(notes.values()))
    drawn = {name: inline((folder / f"{name}.svg").read_text(), name) for name in figures}
    rows = {one.name: from_csv((folder / f"{one.name}.csv").read_text()) for one in tables}
    splits = rows.get("memory_split", [])
    sections = [
        _section(one, rows[one.name], notes[one.name][: len(notes[one.name]) - len(common)], drawn)
        for one in tables
    ]
    if splits:
        sections.append(_costs_section(splits))
    place = {name: at for at, name in enumerate(ORDER)}
    sections.sort(key=lambda one: place.get(one.table.name, len(ORDER)))
    used = {name for one in sections for name in one.figures}
    found = findings(splits)
    return templates().get_template("page.html.jinja").render(
        name=manifest["study"]["name"],
        description=manifest["study"].get("description") or "",
        question=question(splits, manifest),
        verdict=f"{counted(found)}." if found else "",
        findings=clearest(found),
        warnings=[line for line in common if line.startswith("PARTIAL")],
        facts=[line for line in common if not line.startswith("PARTIAL")],
        sections=sections,
        figures={name: drawn[name] for name in figures if name not in used},
        provenance=provenance(manifest),
        pools=_pools(manifest),
        samples=manifest.get("samples", IMAGES),
    )  # fmt: skip


def question(splits: Sequence[Row], manifest: Mapping[str, Any]) -> str:
    """What the report answers; of a study without budgets, what it is."""
    if not splits:
        return str(manifest["study"].get("description") or manifest["study"]["name"])
    budgets = sorted({int(row["budget"]) for row in splits if row["budget"] is not None})
    spent = f"{budgets[0]:,}" + (f" to {budgets[-1]:,}" if len(budgets) > 1 else "")
    first = splits[0]
    return (
        f"With {spent} {first['budget_kind']} in all, is one wide network better on {first['dataset']}, or"
        " several thinner ones?"
    )


def shared(notes: Sequence[Sequence[str]]) -> list[str]:
    """The last sentences that all tables have; none where there is one table, which keeps them.

    >>> shared([["one", "all"], ["two", "all"]]), shared([["one", "all"]])
    (['all'], [])
    """
    common: list[str] = []
    for lines in zip(*(reversed(one) for one in notes), strict=False):
        if len(notes) < 2 or len(set(lines)) > 1:
            break
        common.insert(0, lines[0])
    return common


def inline(svg: str, name: str) -> Markup:
    """A figure as a part of a page: no prologue, no addresses, ids that no other figure has.

    Args:
        svg: As matplotlib writes it; its text is escaped.
        name: The figure's, which its ids begin with.

    Example:
        >>> inline('<?xml version="1.0"?><svg xmlns="a"><g id="b"/><use xlink:href="#b"/></svg>', "plane")
        Markup('<svg role="img" aria-label="plane"><g id="plane-b"/><use href="#plane-b"/></svg>')
    """
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    # Only what is referred to needs a name, and matplotlib gives equal images the same one.
    used = {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)}
    text = re.sub(r'\s+id="([^"]+)"', lambda one: f' id="{name}-{one[1]}"' if one[1] in used else "", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    label = name.replace("_", " ")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).rstrip())


def _section(table: Table, rows: Sequence[Row], notes: Sequence[str], drawn: Mapping[str, Markup]) -> Section:
    seen = shown(table, rows)
    own = {name: one for name, one in drawn.items() if name in (table.name, f"{table.name}_phase")}
    return Section(table, seen, ranks(table, seen), below(table, seen, notes), own)


def _costs_section(splits: Sequence[Row]) -> Section:
    measured = any(row.get(ratio.name) is not None for row in splits for ratio in RATIOS)
    bare = [{**row, "best": None} for row in splits]
    return _section(_costs.table, bare, [COST_RULE] if measured else [], {})


def provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers come from, as names and values."""
    study, code, dataset = dict(manifest["study"]), manifest["code"], manifest["dataset"]
    recipe = study.pop("recipe", None) or {}
    fields = {**study, **{f"recipe.{name}": value for name, value in recipe.items()}}
    lost = {name: len(its) for name, its in manifest["exclusions"].items() if its}
    environments = [json.loads(one) if isinstance(one, str) else one for one in manifest["environments"]]
    found = {
        "command": manifest["command"],
        "dataset": f"{dataset['name']}, digest {dataset['digest']}",
        "excluded members": ", ".join(f"{count} {name}" for name, count in lost.items()) or "none",
        "versions": ", ".join(
            [f"Python {code['python']}", *(f"{name} {version}" for name, version in code["packages"].items())]
        ),
        "source": f"SHA-256 {code['source_sha256']}"
        + (f", commit {code['commit']}" if code.get("commit") else ""),
        "trained on": "; ".join(map(_environment, environments)),
        **({"logits": manifest["logits"]} if "logits" in manifest else {}),
        "scored on": ", ".join(f"{name} {value}" for name, value in manifest["scored_on"].items()),
        **{
            f"study.{name}": _said(value) for name, value in fields.items() if value not in (None, "", [], {})
        },
    }
    return list(found.items())


def _environment(one: Mapping[str, Any]) -> str:
    return (
        f"{one['device']}, torch {one['torch']}, {one['threads']} threads, packs of {one['pack']}"
        f" ({one['way']}, {one['layout']})"
    )


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)


def _pools(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """One a pool: its setting, width, recipe and members."""
    return [
        {
            "width": one["cell"]["width"],
            "recipe": one["hyperparameters"],
            "images": one["cell"]["train_size"],
            "mode": one["cell"]["mode"],
            "planned": one["planned"],
            "done": one["done"],
            "diverged": one["diverged"],
            "key": one["key"][:12],
        }
        for one in manifest["cells"]
    ]
