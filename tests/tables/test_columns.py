"""What a table makes of its records, whatever it is about."""

from typing import NamedTuple

import pytest

from ensembudget.records import Interval
from ensembudget.tables._base import Column, Table


class Fruit(NamedTuple):
    name: str
    weight: Interval | None
    colour: str | None = None


def table(**changes) -> Table:
    columns = (
        Column("name"),
        Column("weight", "weight", ".1f", interval=True),
        Column("colour", optional=True),
        Column("letters", get=lambda fruit: len(fruit.name)),
    )
    return Table("fruits", "Fruits", columns, **changes)


APPLE = Fruit("apple", Interval(value=2.0, low=1.0, high=3.0))
PEAR = Fruit("pear", None, "green")


def test_an_interval_is_three_cells_and_a_missing_one_three_empty_cells():
    first, second = table().rows([APPLE, PEAR])
    assert (first["weight"], first["weight_low"], first["weight_high"]) == (2.0, 1.0, 3.0)
    assert (second["weight"], second["weight_low"], second["weight_high"]) == (None, None, None)


def test_a_column_reads_an_attribute_or_what_its_getter_says():
    (row,) = table().rows([APPLE])
    assert (row["name"], row["letters"]) == ("apple", 5)


def test_a_path_of_attributes_ends_where_one_on_the_way_is_missing():
    one = Table("lows", "Lows", (Column("low", get="weight.low"),))
    assert [row["low"] for row in one.rows([APPLE, PEAR])] == [1.0, None]


def test_an_optional_column_stands_where_any_record_has_a_value():
    assert "colour" not in table().rows([APPLE])[0]
    assert [row["colour"] for row in table().rows([APPLE, PEAR])] == [None, "green"]


def test_the_short_table_has_the_columns_of_the_summary_and_no_rules():
    one = table(rules=("A rule.",), summary=("name", "letters"), summary_title="In short").short
    assert ([column.name for column in one.columns], one.rules, one.title) == (
        ["name", "letters"],
        (),
        "In short",
    )
    assert table().short.names == table().names


def test_two_columns_of_one_name_are_refused():
    """As where a plug-in's metric has the name of another column."""
    with pytest.raises(ValueError, match="more than one column 'weight_low'"):
        Table("fruits", "Fruits", (Column("weight", interval=True), Column("weight_low")))
