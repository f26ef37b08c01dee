"""docs/study.md and the schema are what the records say today, and their examples are true."""

import json
import tomllib

import pytest

from ensembudget import studies
from ensembudget.errors import StudyError
from ensembudget.records import Study
from ensembudget.studies import fields
from helpers import ROOT

NEEDED = {"name": "x", "description": "x", "family": "vgg", "dataset": "digits"}
FIELDS = {f"{table}.{one.name}": (table, one) for table in fields.TABLES for one in fields.fields(table)}


def test_the_page_and_the_schema_are_what_is_generated():
    """`python -m ensembudget.studies.fields docs` writes both."""
    assert (ROOT / "docs" / "study.md").read_text() == fields.page()
    assert json.loads((ROOT / "docs" / "study.schema.json").read_text()) == fields.schema()


def test_every_field_of_the_records_is_on_the_page():
    page = fields.page()
    sections = dict(zip(fields.TABLES, page.split("\n## ")[1:], strict=True))
    for table, model in fields.TABLES.items():
        assert model.model_fields
        for name in model.model_fields:
            assert f"\n| `{name}` | " in sections[table], (table, name)


@pytest.mark.parametrize(("table", "one"), FIELDS.values(), ids=FIELDS)
def test_every_field_has_a_meaning_and_an_example_that_a_study_may_say(table, one):
    assert one.meaning.endswith("."), one
    assert one.kind, one
    assert one.default, one
    given = tomllib.loads(one.example)
    assert list(given) == [one.name]
    if table == "arms":
        given = {"arms": [{"name": "one", **given}]}
    elif table == "probes":
        given = {"probes": [{"kind": "line", **given}]}
    elif table:
        needed = {"values": {"epochs": [1, 2]}} if table == "tune" else {}
        given = {table: {**needed, **given}}
    found = Study.model_validate({**NEEDED, **given})
    there = getattr(found, table) if table else found
    value = getattr(there[0] if isinstance(there, list) else there, one.name)
    assert value not in (None, [], {}, "")


def test_defaults_of_recipes_are_those_of_the_base_default():
    source = tomllib.loads((ROOT / "ensembudget" / "recipes" / "default.toml").read_text())["defaults"]
    shown = {one.name: one.default.strip("`") for one in fields.fields("recipe")}
    assert {name: tomllib.loads(f"x = {shown[name]}")["x"] for name in source} == source


def test_every_preset_says_only_what_the_schema_knows():
    schema = fields.schema()
    for name in studies.names():
        path = ROOT / "ensembudget" / "studies" / f"{name}.toml"
        assert set(tomllib.loads(path.read_text())) <= set(schema["properties"])
    assert set(schema["required"]) == set(NEEDED)


def test_the_schema_describes_what_a_choice_leaves_to_its_record():
    for model in ("RecipeChoice", "SteppingChoice", "Tune", "Recording", "Arm"):
        for name, one in fields.schema()["$defs"][model]["properties"].items():
            assert "Example: " in one["description"].replace("\n", " "), (model, name)


STUDY = 'name = "x"\ndescription = "x"\nfamily = "vgg"\ndataset = "digits"\nbudgets = ["1M"]\n'


def faults(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        studies.parse(text, "mine.toml")
    return str(caught.value)


def test_a_wrong_field_is_told_where_the_fields_are_listed():
    said = faults(STUDY + "memberz = [1]\n")
    assert "memberz: no such key. Did you mean 'members'?" in said
    assert "docs/study.md" in said
    assert "ensembudget ls fields" in said


def test_a_field_of_a_table_that_stands_outside_is_told_where_it_belongs():
    assert "epochs: no such key here; epochs belongs below the line [recipe]." in faults(
        "epochs = 3\n" + STUDY
    )
    assert "recipe.pool: no such key here; pool belongs at the top, before the first [table]." in faults(
        STUDY + "[recipe]\npool = 3\n"
    )


def test_fields_are_listed(command):
    said = command("ls", "fields")
    assert said.code == 0
    for table, one in FIELDS.values():
        name = f"{table}.{one.name}" if table else one.name
        assert any(line.split("  ")[0].strip() == name for line in said.out.splitlines()), name
