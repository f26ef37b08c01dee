"""Planes out of files and pools, checked: numbers by hand, and covariances against fresh pools."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import FitError
from ensembudget.prediction.plane import (
    CORRELATION,
    SHRINKAGE,
    SPACING,
    Column,
    Members,
    checked,
    chosen_arm,
    columns_of,
    each_member,
    members_of,
    read_plane,
    spaced,
)

from .planes import EACH, World, pool_of

HEADER = "members,width,parameters,cnll"


def column(width, sizes=(1, 2), parameters=None) -> Column:
    count = len(sizes)
    cnll = 1.0 / np.array(sizes) + 1.0 / width
    return Column(width, parameters or width**2, np.array(sizes, float), cnll, np.diag(np.full(count, 0.01)))


# Sizes and the plane itself.


@given(st.sets(st.integers(1, 200), min_size=1))
@settings(max_examples=50, deadline=None)
def test_spaced_sizes_are_apart_and_every_other_is_near_one_of_them(sizes):
    found = spaced(sizes)
    least, most = min(sizes), max(sizes)

    def near(one, other):
        return max(one, other) < SPACING * min(one, other)

    assert found == sorted(set(found) & sizes)
    assert least in found
    assert {size for size in sizes if size.bit_count() == 1 and not near(size, least)} <= set(found)
    for size in sizes - set(found):
        assert any(near(one, size) for one in found)
    if near(least, most):
        assert found == sorted({least, most})
    else:
        assert not any(near(*pair) for pair in pairwise(found))


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [([6, 8], [6, 8]), ([6, 7, 8], [6, 8]), ([3, 4], [3, 4]), ([3, 4, 6], [3, 6]), ([5], [5]), ([2, 2], [2])],
)
def test_the_smallest_size_is_kept_and_one_more_where_there_are_several(sizes, kept):
    assert spaced(sizes) == kept


def test_powers_of_two_are_all_kept_in_whatever_order():
    assert spaced([8, 1, 4, 2, 64, 16, 32]) == [1, 2, 4, 8, 16, 32, 64]


def test_a_plane_is_its_columns_by_ascending_width():
    plane = checked([column(8, (1, 2, 4)), column(4), column(6, (1,))], "plane")
    assert [one.width for one in plane.columns] == [4, 6, 8]
    assert plane.members.tolist() == [1, 2, 1, 1, 2, 4]
    assert plane.parameters.tolist() == [16, 16, 36, 64, 64, 64]
    assert plane.cnll == pytest.approx([1.25, 0.75, 1 + 1 / 6, 1.125, 0.625, 0.375])
    assert plane.covariance == pytest.approx(0.01 * np.eye(6))
    assert plane.measured[4, 8] == pytest.approx(0.375)
    assert len(plane.measured) == 6
    assert plane.has_errors


def test_columns_covary_within_a_width_alone():
    whole = [one._replace(covariance=np.full((2, 2), one.width)) for one in map(column, (4, 6, 8))]
    found = checked(whole, "plane").covariance
    for i, j in np.ndindex(6, 6):
        assert found[i, j] == ((4, 6, 8)[i // 2] if i // 2 == j // 2 else 0)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([column(4)], ("1 width (4)", "at least 3", "Measure 2 more")),
        ([column(4), column(6)], ("2 widths (4, 6)", "Measure 1 more")),
        ([], ("0 widths", "at least 3")),
        ([column(k, (1,)) for k in (4, 6, 8)], ("n = 1 at most", "n = 1 and 2")),
        ([column(4), column(6, (1,)), column(8, (1,))], ("n = 2 at most", "fewer than 2 widths")),
        ([column(4), column(6, parameters=16), column(8)], ("width 6", "width 4", "16", "must grow")),
        ([column(8), column(6), column(4, parameters=1_000)], ("width 6", "1,000", "must grow")),
        (
            [column(k)._replace(cnll=np.full(2, 0.5)) for k in (4, 6, 8)],
            ("cnll 0.5", "every cell", "no law"),
        ),
    ],
)
def test_a_plane_that_no_law_can_be_fitted_to_says_what_it_lacks(columns, words):
    with pytest.raises(FitError) as caught:
        checked(columns, "'it'")
    assert "'it'" in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


# Arms.


def test_an_arm_is_the_one_that_is_asked_for_or_the_only_one():
    assert chosen_arm(["sgd", "adam"], "adam", "x") == "adam"
    assert chosen_arm(["sgd"], None, "x") == "sgd"
    assert chosen_arm(["sgd"], "sgd", "x") == "sgd"
    assert chosen_arm([], None, "x") == ""


@pytest.mark.parametrize(
    ("known", "arm", "words"),
    [
        (["sgd", "adam"], None, ("2 arms", "--arm", "'sgd', 'adam'")),
        (["sgd", "adam"], "adan", ("'adan'", "Did you mean 'adam'?", "'sgd', 'adam'")),
        ([], "adam", ("'adam'", "has no arms")),
    ],
)
def test_an_arm_that_is_none_or_one_of_many_is_refused(known, arm, words):
    with pytest.raises(FitError) as caught:
        chosen_arm(known, arm, "plane.csv")
    assert all(word in str(caught.value) for word in ("plane.csv", *words)), caught.value


# Out of a file.


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


def test_a_file_is_read_in_any_order_with_columns_of_its_own(written):
    rows = [f"{line},note {i}" for i, line in enumerate(lines()[::-1])]
    plane = read_plane(written(rows, HEADER + ",remark"))
    assert [(one.width, one.parameters) for one in plane.columns] == [(4, 16), (6, 36), (8, 64)]
    assert all(one.sizes.tolist() == [1, 2, 4] for one in plane.columns)
    assert plane.measured[2, 6] == pytest.approx(0.5 + 0.15 + 2 / 6, abs=1e-6)
    assert not plane.has_errors


def test_sizes_too_near_each_other_are_left_out(written):
    plane = read_plane(written(lines(sizes=(1, 2, 3, 4, 5, 6, 7, 8))))
    assert plane.columns[0].sizes.tolist() == [1, 2, 4, 8]


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
    assert [one.width for one in read_plane(path, "adam").columns] == [5, 7, 9, 11]
    assert [one.width for one in read_plane(path, "sgd").columns] == [4, 6, 8]


def test_an_only_arm_need_not_be_named(written):
    path = written([f"{line},sgd" for line in lines()], HEADER + ",arm")
    assert [one.width for one in read_plane(path).columns] == [4, 6, 8]


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
    "parameters that do not grow": (
        [line.replace(",6,36,", ",6,16,") for line in lines()],
        ("width 6", "16", "must grow"),
    ),
    "one width": (lines((4,)), ("1 width (4)", "Measure 2 more")),
    "two widths": (lines((4, 8)), ("2 widths (4, 8)", "Measure 1 more")),
    "lone members": (lines(sizes=(1,)), ("n = 1 at most", "Train two members")),
    "a header alone": ([], ("no rows",)),
    "one cnll everywhere": (
        [f"{n},{k},{k * k},0.25" for k in (4, 6, 8) for n in (1, 2)],
        ("cnll 0.25", "every cell"),
    ),
    "true for one member": (changed(3, "members", "True"), ("row 4", "members is 'True'", "whole")),
    "false for a cnll": (changed(3, "cnll", "False"), ("row 4", "cnll is 'False'", "above 0")),
    "a plain value": (changed(2, "members", "2.5"), ("row 3: members is '2.5'; needed",)),
}


@pytest.mark.parametrize(("rows", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_what_is_wrong_and_where(rows, words, written):
    path = written(rows)
    with pytest.raises(FitError) as caught:
        read_plane(path)
    said = str(caught.value)
    assert all(word in said for word in (path, *words)), said
    assert "\n" not in said


def test_a_column_of_booleans_is_refused(written):
    rows = [f"True,{k},{k * k},{0.5 + 2 / k}" for k in (4, 6, 8)]
    with pytest.raises(FitError, match=r"row 1: members is 'True'"):
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
    with pytest.raises(FitError, match="row 12: cnll is 'low'"):
        read_plane(path, "adam")
    assert read_plane(path, "sgd").cnll == pytest.approx(read_plane(written()).cnll)


@pytest.mark.parametrize("error", ["-0.01", "wide", "inf"])
def test_an_error_that_cannot_be_is_refused(error, written):
    rows = [f"{line},{error if i == 6 else 0.01}" for i, line in enumerate(lines())]
    with pytest.raises(FitError, match=r"row 7: stderr .*at least 0"):
        read_plane(written(rows, HEADER + ",stderr"))


@pytest.mark.parametrize(
    ("misspelt", "right"), [("member", "members"), ("widths", "width"), ("params", None), ("CNLL ", "cnll")]
)
def test_a_column_that_is_missing_is_named(misspelt, right, written):
    names = HEADER.split(",")
    meant = {"member": 0, "widths": 1, "params": 2, "CNLL ": 3}[misspelt]
    missing, names[meant] = names[meant], misspelt
    with pytest.raises(FitError, match=f"no column '{missing}'") as caught:
        read_plane(written(header=",".join(names)))
    if right in ("members", "width"):
        assert f"Did you mean '{misspelt}'?" in str(caught.value)
    assert "members, width, parameters, cnll" in str(caught.value)


def test_several_arms_without_a_name_and_unknown_arms_are_refused(written):
    rows = [f"{line},{arm}" for arm in ("sgd", "adam") for line in lines()]
    path = written(rows, HEADER + ",arm")
    with pytest.raises(FitError, match=r"2 arms.*--arm.*'sgd', 'adam'"):
        read_plane(path)
    with pytest.raises(FitError, match=r"'adm' is none of.*Did you mean 'adam'\?"):
        read_plane(path, "adm")
    with pytest.raises(FitError, match="no arms"):
        read_plane(written(), "adam")


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("members,cnll\n1,0.8\n2,0.7,3,4\n")
    (tmp_path / "bytes.csv").write_bytes(bytes(range(128, 256)))
    (tmp_path / "folder.csv").mkdir()
    for name in ("empty.csv", "ragged.csv", "bytes.csv", "folder.csv", "nowhere.csv"):
        with pytest.raises(FitError, match=rf"{name}.*cannot be read as CSV"):
            read_plane(str(tmp_path / name))


# Out of pools.


@pytest.fixture(scope="module")
def pools():
    """Three widths with 7, 5 and 2 members."""
    world, rng = World(0), np.random.default_rng(1)
    found = [
        members_of(pool_of(world.members(rng, count), world.labels, width))
        for width, count in ((4, 7), (6, 5), (9, 2))
    ]
    return found, columns_of(found)


def test_a_column_has_the_width_the_parameters_and_the_spaced_sizes(pools):
    _, columns = pools
    assert [(one.width, one.parameters) for one in columns] == [(k, EACH * k * k) for k in (4, 6, 9)]
    assert [one.sizes.tolist() for one in columns] == [[1, 2, 4, 6], [1, 2, 4], [1, 2]]
    assert all(one.covariance.shape == (len(one.sizes),) * 2 for one in columns)


def test_the_variance_of_lone_members_is_shrunk_to_that_of_all_widths(pools):
    members, columns = pools
    counts, variances = [], []
    for one in members:
        losses = members_losses(one)
        counts.append(len(losses))
        variances.append(losses.var(ddof=1))
    freedom = np.array(counts) - 1
    shared = (freedom * variances).sum() / freedom.sum()
    student = freedom.sum() / (freedom.sum() - 2)
    for one, count, variance in zip(columns, counts, variances, strict=True):
        each = ((count - 1) * variance + SHRINKAGE * shared) / (count - 1 + SHRINKAGE)
        assert one.covariance[0, 0] == pytest.approx(student * each / count, rel=1e-9)


def members_losses(one: Members) -> np.ndarray:
    """CNLL of every member of a pool by itself, each scored as a pool of one."""
    logits, labels = one.pool.logits.numpy(), one.pool.labels.numpy()
    return np.array([members_of(pool_of(each[None], labels, 1)).cnll[1] for each in logits])


def test_lone_members_everywhere_show_no_error():
    world, rng = World(2), np.random.default_rng(3)
    alone = [members_of(pool_of(world.members(rng, 1), world.labels, width)) for width in (4, 6, 8)]
    assert all(one.covariance.tolist() == [[0]] for one in columns_of(alone))


def test_a_lone_member_has_the_spread_of_the_others(pools):
    members, _ = pools
    world, rng = World(0), np.random.default_rng(4)
    alone = members_of(pool_of(world.members(rng, 1), world.labels, 12))
    *others, last = columns_of([*members, alone])
    assert last.covariance.shape == (1, 1)
    variances = [one.covariance[0, 0] * count for one, count in zip(others, (7, 5, 2), strict=True)]
    assert min(variances) < last.covariance[0, 0] < max(variances)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_covariances_are_positive_semidefinite_whatever_the_pools(counts, seed):
    rng, found = np.random.default_rng(seed), []
    for count in counts:
        sizes = spaced(range(1, count + 1))
        influences = rng.normal(size=(count, len(sizes))) if count > 1 else np.empty((0, 1))
        for at, size in enumerate(sizes if count > 1 else []):
            influences[count // size * size :, at] = 0
        pool = pool_of(np.zeros((count, 1, 2)), np.zeros(1, int), 4)
        found.append(Members(pool, dict.fromkeys(sizes, 1.0), influences))
    each = [*each_member(found), *(one.covariance for one in columns_of(found))]
    for covariance in each:
        assert covariance == pytest.approx(covariance.T)
        assert np.linalg.eigvalsh(covariance).min() >= -1e-9 * max(np.trace(covariance), 1)
    if max(counts) > 1:
        assert all((np.diag(covariance) > 0).all() for covariance in each)


def test_a_mean_over_members_has_the_covariance_of_fresh_pools():
    world, rng, kinds = (
        World(5, samples=40),
        np.random.default_rng(6),
        ((4, 7, 1.0), (6, 5, 1.0), (8, 10, 1.2)),
    )
    means, stated = [], []
    for _ in range(40):
        columns = columns_of(
            [
                members_of(pool_of(world.members(rng, count, noise), world.labels, width))
                for width, count, noise in kinds
            ]
        )
        means.append([one.cnll for one in columns])
        stated.append([one.covariance for one in columns])
    for i in range(len(kinds)):
        true = np.cov(np.array([each[i] for each in means]).T)
        found = np.mean([each[i] for each in stated], 0)
        # A jackknife of pairs is too wide, Student's t adds a little, and 40 pools show 22%.
        ratio = np.diag(found) / np.diag(true)
        assert ((ratio > 0.65) & (ratio < 1.9)).all()
        correlation, expected = (one / np.sqrt(np.outer(*[np.diag(one)] * 2)) for one in (found, true))
        assert np.abs(correlation - expected).max() < 0.4


def test_what_a_pool_is_named_by_is_all_that_a_column_takes_from_it():
    pool = pool_of(np.zeros((2, 1, 2)), np.zeros(1, int), 4)
    one = Members(pool, {1: 1.0, 2: 0.5}, np.array([[1.0, 0.5], [-1.0, -0.5]]))
    (found,) = columns_of([one])
    assert isinstance(pool, SimpleNamespace)
    # Moments 1, 1/2, 1/4 over two members; one degree of freedom has a Student factor of three.
    assert found.covariance == pytest.approx(3 * np.array([[1, 0.5], [0.5, 0.25]]) / 2)
