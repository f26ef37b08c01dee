"""Planes read from a file, anybody's: numbers by hand, and what is refused."""

import numpy as np
import pytest

from ensembudget.errors import ArgumentError, ArmError, FitError, InputError
from ensembudget.prediction.plane import CORRELATION
from ensembudget.prediction.read import read_plane

HEADER = "members,width,parameters,cnll"


def lines(widths=(4, 6, 8), sizes=(1, 2, 4)) -> list[str]:
    return [f"{n},{k},{k * k},{0.5 + 0.3 / n + 2 / k:.6f}" for k in widths for n in sizes]


@pytest.fixture
def written(tmp_path):
    """`written(rows, header)` is the path of a CSV."""

    def write(rows=None, header=HEADER) -> str:
        path = tmp_path / "plane.csv"
        path.write_text("\n".join([header, *(lines() if rows is None else rows)]) + "\n")
        return str(path)

    return write


def test_a_file_is_read_in_any_order_with_curves_of_its_own(written):
    rows = [f"{line},note {i}" for i, line in enumerate(lines()[::-1])]
    plane = read_plane(written(rows, HEADER + ",remark"))
    assert [(one.width, one.parameters) for one in plane.curves] == [(4, 16), (6, 36), (8, 64)]
    assert all(one.sizes.tolist() == [1, 2, 4] for one in plane.curves)
    assert plane.measured[2, 6] == pytest.approx(0.5 + 0.15 + 2 / 6, abs=1e-6)
    assert not plane.has_errors


def test_sizes_too_near_each_other_are_left_out(written):
    plane = read_plane(written(lines(sizes=(1, 2, 3, 4, 5, 6, 7, 8))))
    assert plane.curves[0].sizes.tolist() == [1, 2, 4, 8]


def test_errors_of_a_width_are_correlated(written):
    rows = [f"{line},{0.01 * (i + 1)}" for i, line in enumerate(lines())]
    plane = read_plane(written(rows, HEADER + ",stderr"))
    deviations = 0.01 * np.arange(1, 10)
    for i, j in np.ndindex(9, 9):
        correlation = 1 if i == j else CORRELATION if i // 3 == j // 3 else 0
        assert plane.covariance[i, j] == pytest.approx(correlation * deviations[i] * deviations[j])


def test_a_missing_error_is_that_of_the_next_smaller_size_else_the_largest(written):
    given_ones = ["0.01", "", "0.03", "", "0.02", "", "", "", ""]
    rows = [f"{line},{one}" for line, one in zip(lines(), given_ones, strict=True)]
    plane = read_plane(written(rows, HEADER + ",stderr"))
    deviations = np.sqrt(np.diag(plane.covariance))
    assert deviations == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.02, 0.02, 0.03, 0.03, 0.03])


@pytest.mark.parametrize("error", ["", "0"])
def test_errors_that_are_empty_or_zero_are_unknown(error, written):
    plane = read_plane(written([f"{line},{error}" for line in lines()], HEADER + ",stderr"))
    assert not plane.has_errors


def test_a_cell_that_stands_twice_and_agrees_counts_once(written):
    plane = read_plane(written([*lines(), lines()[4], lines()[4]]))
    assert len(plane.cnll) == 9
    assert plane.cnll == pytest.approx(read_plane(written()).cnll)


def test_one_arm_of_several_is_read(written):
    rows = [f"{line},sgd" for line in lines()] + [f"{line},adam" for line in lines((5, 7, 9, 11))]
    path = written(rows, HEADER + ",arm")
    assert [one.width for one in read_plane(path, "adam").curves] == [5, 7, 9, 11]
    assert [one.width for one in read_plane(path, "sgd").curves] == [4, 6, 8]


def test_an_only_arm_need_not_be_named(written):
    path = written([f"{line},sgd" for line in lines()], HEADER + ",arm")
    assert [one.width for one in read_plane(path).curves] == [4, 6, 8]


def test_a_column_of_arms_that_is_empty_is_none(written):
    path = written([f"{line}," for line in lines()], HEADER + ",arm")
    assert len(read_plane(path).cnll) == 9


def changed(row: int, name: str, value: str) -> list[str]:
    rows = [line.split(",") for line in lines()]
    rows[row][HEADER.split(",").index(name)] = value
    return [",".join(one) for one in rows]


BAD = {
    "text for a cnll": (changed(4, "cnll", "low"), ("row 5", "cnll", "'low'", "above 0")),
    "a cnll of zero": (changed(0, "cnll", "0"), ("row 1", "cnll", "above 0")),
    "a negative cnll": (changed(3, "cnll", "-0.25"), ("row 4", "cnll", "-0.25")),
    "no cnll": (changed(8, "cnll", ""), ("row 9", "cnll", "nan")),
    "an endless cnll": (changed(8, "cnll", "inf"), ("row 9", "cnll", "inf")),
    "half a member": (changed(2, "members", "2.5"), ("row 3", "members", "2.5", "whole")),
    "no members": (changed(2, "members", "0"), ("row 3", "members", "whole number above 0")),
    "members in words": (changed(2, "members", "two"), ("row 3", "members", "'two'")),
    "a width of zero": (changed(5, "width", "0"), ("row 6", "width")),
    "a width that is missing": (changed(5, "width", ""), ("row 6", "width", "nan")),
    "half a parameter": (changed(6, "parameters", "63.5"), ("row 7", "parameters", "63.5")),
    "two numbers of parameters": (changed(1, "parameters", "17"), ("width 4", "16 and 17", "one number")),
    "a cell that disagrees": ([*lines(), "2,6,36,0.75"], ("n = 2", "width 6", "2 times", "0.75", "0.98")),
    "a header alone": ([], ("no rows",)),
    "true for one member": (changed(3, "members", "True"), ("row 4", "members is 'True'", "whole")),
    "false for a cnll": (changed(3, "cnll", "False"), ("row 4", "cnll is 'False'", "above 0")),
    "a plain value": (changed(2, "members", "2.5"), ("row 3: members is '2.5'; it must be",)),
}
NO_LAW = {
    "parameters that do not grow": (
        [line.replace(",6,36,", ",6,16,") for line in lines()],
        ("width 6", "16", "must grow"),
    ),
    "one width": (lines((4,)), ("1 width (4)", "Measure 2 more")),
    "two widths": (lines((4, 8)), ("2 widths (4, 8)", "Measure 1 more")),
    "lone members": (lines(sizes=(1,)), ("n = 1 at most", "Train two members")),
    "one cnll everywhere": (
        [f"{n},{k},{k * k},0.25" for k in (4, 6, 8) for n in (1, 2)],
        ("cnll 0.25", "every cell"),
    ),
}


@pytest.mark.parametrize(("rows", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_what_is_wrong_and_where(rows, words, written):
    path = written(rows)
    with pytest.raises(InputError) as caught:
        read_plane(path)
    said = str(caught.value)
    assert all(word in said for word in (path, *words)), said
    assert "\n" not in said


@pytest.mark.parametrize(("rows", "words"), NO_LAW.values(), ids=NO_LAW)
def test_a_file_that_carries_no_law_is_refused_with_what_it_lacks(rows, words, written):
    path = written(rows)
    with pytest.raises(FitError) as caught:
        read_plane(path)
    assert all(word in str(caught.value) for word in (path, *words)), caught.value


def test_a_column_of_booleans_is_refused(written):
    rows = [f"True,{k},{k * k},{0.5 + 2 / k}" for k in (4, 6, 8)]
    with pytest.raises(InputError, match=r"row 1: members is 'True'"):
        read_plane(written(rows))


def test_whole_numbers_may_be_written_with_a_point(written):
    rows = [line.replace(",", ".0,", 1) for line in lines()]
    assert read_plane(written(rows)).measured == read_plane(written()).measured


# Pandas says that it leaves the empty fields out.
@pytest.mark.filterwarnings("ignore:Length of header:pandas.errors.ParserWarning")
@pytest.mark.parametrize("commas", [",", ",,"])
def test_commas_at_the_end_of_lines_shift_no_column(commas, written):
    expected = read_plane(written()).measured
    assert read_plane(written([line + commas for line in lines()])).measured == expected


def test_a_row_is_that_of_the_file_where_one_arm_is_read(written):
    rows = [f"{line},sgd" for line in lines()] + [f"{line},adam" for line in changed(2, "cnll", "low")]
    path = written(rows, HEADER + ",arm")
    with pytest.raises(InputError, match="row 12: cnll is 'low'"):
        read_plane(path, "adam")
    assert read_plane(path, "sgd").cnll == pytest.approx(read_plane(written()).cnll)


@pytest.mark.parametrize("error", ["-0.01", "wide", "inf"])
def test_an_error_that_cannot_be_is_refused(error, written):
    rows = [f"{line},{error if i == 6 else 0.01}" for i, line in enumerate(lines())]
    with pytest.raises(InputError, match=r"row 7: stderr .*at least 0"):
        read_plane(written(rows, HEADER + ",stderr"))


@pytest.mark.parametrize(
    ("misspelt", "right"), [("member", "members"), ("widths", "width"), ("params", None), ("CNLL ", "cnll")]
)
def test_a_column_that_is_missing_is_named(misspelt, right, written):
    names = HEADER.split(",")
    meant = {"member": 0, "widths": 1, "params": 2, "CNLL ": 3}[misspelt]
    missing, names[meant] = names[meant], misspelt
    with pytest.raises(InputError, match=f"no column '{missing}'") as caught:
        read_plane(written(header=",".join(names)))
    if right in ("members", "width"):
        assert f"Did you mean '{misspelt}'?" in str(caught.value)
    assert "members, width, parameters, cnll" in str(caught.value)


def test_several_arms_without_a_name_and_unknown_arms_are_refused(written):
    rows = [f"{line},{arm}" for arm in ("sgd", "adam") for line in lines()]
    path = written(rows, HEADER + ",arm")
    with pytest.raises(ArmError, match=r"2 arms.*--arm.*'sgd', 'adam'"):
        read_plane(path)
    with pytest.raises(ArmError, match=r"'adm' is not an arm of.*Did you mean 'adam'\?"):
        read_plane(path, "adm")
    with pytest.raises(ArmError, match="no arms"):
        read_plane(written(), "adam")


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("members,cnll\n1,0.8\n2,0.7,3,4\n")
    (tmp_path / "bytes.csv").write_bytes(bytes(range(128, 256)))
    (tmp_path / "folder.csv").mkdir()
    for name in ("empty.csv", "ragged.csv", "bytes.csv", "folder.csv", "nowhere.csv"):
        with pytest.raises(InputError, match=rf"{name}.*cannot be read"):
            read_plane(str(tmp_path / name))


def test_an_error_that_is_stated_is_each_cells_own(written):
    plane = read_plane(written(lines()), stderr=0.005)
    assert plane.has_errors
    assert plane.covariance == pytest.approx(0.005**2 * np.eye(len(plane.cnll)))


@pytest.mark.parametrize("stderr", [0.0, -0.1, float("nan"), float("inf")])
def test_a_stated_error_that_cannot_be_is_refused(written, stderr):
    with pytest.raises(ArgumentError, match=r"--stderr .* above 0"):
        read_plane(written(lines()), stderr=stderr)


def test_an_error_is_stated_only_where_there_is_none(written):
    path = written([f"{line},0.01" for line in lines()], HEADER + ",stderr")
    with pytest.raises(ArgumentError, match="already has standard errors"):
        read_plane(path, stderr=0.005)
