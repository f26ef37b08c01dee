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


def attacks(junit: Path) -> Iterator[Attack]:
    """The attacks of a run; tests that failed before they said what they attack have no promises."""
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        said = {one.get("name"): one.get("value") or "" for one in case.iter("property")}
        broken = case.find("failure") is not None or case.find("error") is not None
        if not said and not broken:
            continue
        name = case.get("name") or ""
        place = (case.get("classname") or "").replace(".", "/") + ".py"
        yield Attack(
            said.get("promises", ""),
            said.get("attack", name),
            int(said.get("cases", "0")),
            "broken" if broken else "held",
            float(case.get("time") or 0),
            f"`pytest {place} -k {name.partition('[')[0]}`",
        )


def table(found: Sequence[Attack]) -> str:
    """In Markdown, in the order of the promises."""
    rows = sorted(found, key=lambda one: ([int(p[1:]) for p in one.promises.split()], one.attack))
    names = ["promises", "attack", "cases", "result", "seconds", "command"]
    cells = [[*one[:2], f"{one.cases:,}", one.result, f"{one.seconds:.0f}", one.command] for one in rows]
    align = ("left", "left", "right", "left", "right", "left")
    return tabulate(cells, names, tablefmt="pipe", colalign=align, disable_numparse=True)


def write(junit: Path, page: Path = PAGE) -> None:
    """Puts the table into the page, between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    write_whole(page, f"{before}{BEGIN}\n\n{table(list(attacks(junit)))}\n\n{END}{after}")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
