"""Sizes, arms and planes, checked: numbers by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import ArmError, FitError
from ensembudget.prediction.arms import chosen_arm
from ensembudget.prediction.plane import WidthCurve, checked
from ensembudget.scoring.sizes import SPACING, spaced


def curve(width, sizes=(1, 2), parameters=None) -> WidthCurve:
    count = len(sizes)
    cnll = 1.0 / np.array(sizes) + 1.0 / width
    return WidthCurve(
        width, parameters or width**2, np.array(sizes, float), cnll, np.diag(np.full(count, 0.01))
    )


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


def test_a_plane_is_its_curves_by_ascending_width():
    plane = checked([curve(8, (1, 2, 4)), curve(4), curve(6, (1,))], "plane")
    assert [one.width for one in plane.curves] == [4, 6, 8]
    assert plane.members.tolist() == [1, 2, 1, 1, 2, 4]
    assert plane.parameters.tolist() == [16, 16, 36, 64, 64, 64]
    assert plane.cnll == pytest.approx([1.25, 0.75, 1 + 1 / 6, 1.125, 0.625, 0.375])
    assert plane.covariance == pytest.approx(0.01 * np.eye(6))
    assert plane.measured[4, 8] == pytest.approx(0.375)
    assert len(plane.measured) == 6
    assert plane.has_errors


def test_widths_covary_within_a_width_alone():
    whole = [one._replace(covariance=np.full((2, 2), one.width)) for one in map(curve, (4, 6, 8))]
    found = checked(whole, "plane").covariance
    for i, j in np.ndindex(6, 6):
        assert found[i, j] == ((4, 6, 8)[i // 2] if i // 2 == j // 2 else 0)


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ([curve(4)], ("1 width (4)", "at least 3", "Measure 2 more")),
        ([curve(4), curve(6)], ("2 widths (4, 6)", "Measure 1 more")),
        ([], ("0 widths", "at least 3")),
        ([curve(k, (1,)) for k in (4, 6, 8)], ("n = 1 at most", "n = 1 and 2")),
        ([curve(4), curve(6, (1,)), curve(8, (1,))], ("n = 2 at most", "fewer than 2 widths")),
        ([curve(4), curve(6, parameters=16), curve(8)], ("width 6", "width 4", "16", "must grow")),
        ([curve(8), curve(6), curve(4, parameters=1_000)], ("width 6", "1,000", "must grow")),
        (
            [curve(k)._replace(cnll=np.full(2, 0.5)) for k in (4, 6, 8)],
            ("cnll 0.5", "every cell", "no law"),
        ),
    ],
)
def test_a_plane_that_no_law_can_be_fitted_to_says_what_it_lacks(curves, words):
    with pytest.raises(FitError) as caught:
        checked(curves, "'it'")
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
    with pytest.raises(ArmError) as caught:
        chosen_arm(known, arm, "plane.csv")
    assert all(word in str(caught.value) for word in ("plane.csv", *words)), caught.value
