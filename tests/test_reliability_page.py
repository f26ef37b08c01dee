"""The table of attacks is written from what pytest says of them, and names tests that there are."""

import re
from pathlib import Path

from benchmarks.reliability import BEGIN, END, attacks, table, write

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"

JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite>
  <testcase classname="tests.faults.test_kills" name="test_nothing_is_lost[first]" time="12.6">
    <properties>
      <property name="promises" value="P1 P3"/>
      <property name="attack" value="killed at every call"/>
      <property name="cases" value="1350"/>
    </properties>
  </testcase>
  <testcase classname="tests.faults.test_kills" name="test_the_model_is_right" time="0.1"/>
  <testcase classname="tests.faults.test_fuzz" name="test_words" time="3"><failure>boom</failure></testcase>
</testsuite></testsuites>
"""


def test_an_attack_is_a_row_and_a_failure_is_never_left_out(tmp_path):
    junit, page = tmp_path / "faults.xml", tmp_path / "page.md"
    junit.write_text(JUNIT)
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    held, broken = sorted((one for _, one in attacks(junit)), key=lambda one: -one.cases)
    assert held[:5] == ("P1 P3", "killed at every call", 1350, "held", 12.6)
    assert (broken.result, broken.attack) == ("broken", "test_words")
    write([junit, junit], page)
    text = page.read_text()
    assert "old" not in text
    assert re.search(r"P1 P3 +\| killed at every call +\| +1,350 \| held +\| +13 \|", text)
    assert (text.startswith("before"), text.endswith("after\n")) == (True, True)
    assert table([held]).count("\n") == 2


def test_the_page_names_tests_that_there_are_and_none_that_broke():
    rows = re.findall(r"`pytest (\S+) -k (\w+)`", PAGE.read_text().partition(BEGIN)[2].partition(END)[0])
    assert rows
    for path, name in rows:
        assert f"def {name}(" in (ROOT / path).read_text(), name
    assert "broken" not in PAGE.read_text().partition(BEGIN)[2]
