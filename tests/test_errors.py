"""An error's class says what it is about; its message is the whole of what a user sees."""

import argparse

import pytest

from ensembudget import errors
from ensembudget.cli.values import csv_columns, existing_store, read_costs, whole_numbers
from ensembudget.errors import ArgumentError, EnsembudgetError, InputError, OutputError, StoreError
from ensembudget.rendering.write import open_folder


def test_an_output_folder_that_is_a_file_is_an_error_about_the_output(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match=r"'.*out' cannot be written: .*--out"):
        open_folder(tmp_path / "out")


def test_a_missing_store_is_an_error_about_the_store(tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        existing_store(argparse.Namespace(store=str(tmp_path / "none")))


@pytest.mark.parametrize("text", ["", "members,seconds\n1,2\n"])
def test_costs_that_cannot_be_read_are_an_error_about_their_file(tmp_path, text):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"costs '.*costs\.csv' cannot be read"):
        read_costs(str(path))


def test_points_that_cannot_be_read_are_an_error_about_their_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv.* cannot be read"):
        csv_columns(str(tmp_path / "none.csv"), "x", "y")


@pytest.mark.parametrize("text", ["1,x", "0", "1.5"])
def test_a_number_that_cannot_be_is_an_error_about_the_argument(text):
    with pytest.raises(ArgumentError, match="--members"):
        whole_numbers(text, "--members")


def test_every_error_ends_a_command_with_a_code_of_its_kind_and_says_in_a_line_what_it_is_about():
    kinds = [one for one in vars(errors).values() if getattr(one, "__module__", "") == errors.__name__]
    kinds = [one for one in kinds if isinstance(one, type)]
    assert all(issubclass(kind, EnsembudgetError) for kind in kinds)
    assert {kind.__name__: kind.exit_code for kind in kinds if kind.exit_code != 2} == {
        "ClusterError": 1,
        "IncompleteError": 3,
    }
    assert all(kind.__doc__ and "\n" not in kind.__doc__ for kind in kinds)
