"""The law of the norm holds at every step of a real run, and the example shows it."""

import re

from examples import norms


def test_the_example_finds_the_law_of_the_norm_exact_up_to_rounding(capsys):
    norms.main(epochs=3)
    printed = capsys.readouterr().out
    alone, with_radial = map(float, re.findall(r"([0-9.e-]+) at most", printed))
    assert printed.startswith("24 steps")
    assert alone < 0.01
    assert with_radial < 1e-9
