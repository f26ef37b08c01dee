"""Writes the table of attacks in docs/reliability.md from what pytest left in a JUnit file.

python -m pytest tests/faults -m "slow or not slow" --junitxml=faults.xml
python -m benchmarks.reliability faults.xml
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tabulate import tabulate

from ensembudget.files import write_whole

PAGE = Path("docs/reliability.md")
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"


class Attack(NamedTuple):
    """One attack as it ran.

    Attributes:
        promises: Numbers of the promises it attacks.
        attack: What is done.
        cases: How many times.
        result: `held`, or `broken`.
        seconds: The test took.
        command: Runs it again.
    """

    promises: str
    attack: str
    cases: int
    result: str
    seconds: float
    command: str


def attacks(junit: Path) -> Iterator[tuple[str, Attack]]:
    """The attacks of a run by their tests; one that failed before it said what it attacks has no promises."""
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        said = {one.get("name"): one.get("value") or "" for one in case.iter("property")}
        broken = case.find("failure") is not None or case.find("error") is not None
        if not said and not broken:
            continue
        name = case.get("name") or ""
        place = (case.get("classname") or "").replace(".", "/") + ".py"
        attack = Attack(
            said.get("promises", ""),
            said.get("attack", name),
            int(said.get("cases", "0")),
            "broken" if broken else "held",
            float(case.get("time") or 0),
            f"`pytest {place} -k {name.partition('[')[0]}`",
        )
        yield f"{place}::{name}", attack


def table(found: Sequence[Attack]) -> str:
    """In Markdown, in the order of the promises."""
    rows = sorted(found, key=lambda one: ([int(p[1:]) for p in one.promises.split()], one.attack))
    names = ["promises", "attack", "cases", "result", "seconds", "command"]
    cells = [[*one[:2], f"{one.cases:,}", one.result, f"{one.seconds:.0f}", one.command] for one in rows]
    align = ("left", "left", "right", "left", "right", "left")
    return tabulate(cells, names, tablefmt="pipe", colalign=align, disable_numparse=True)


def write(junits: Sequence[Path], page: Path = PAGE) -> None:
    """Puts the table into the page, between its two marks; of a test in several files the last counts."""
    found = {test: one for junit in junits for test, one in attacks(junit)}
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    write_whole(page, f"{before}{BEGIN}\n\n{table(list(found.values()))}\n\n{END}{after}")


if __name__ == "__main__":
    write([Path(word) for word in sys.argv[1:]])
