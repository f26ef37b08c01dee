"""The answer in one sentence: who wins at each budget, by how much, with the interval turned to its side."""

from ensembudget.tables._answer import answer, findings


def split(n, cnll, budget=9000, **more):
    return {"budget": budget, "budget_kind": "parameters", "members": n, "width": 10 - n, "cnll": cnll} | more


def against(value, low, high, verdict):
    return {
        "difference": value, "difference_low": low, "difference_high": high, "verdict": verdict,
    }  # fmt: skip


BETTER = split(2, 0.4, **against(-0.1, -0.15, -0.05, "better"))
WORSE = split(2, 0.6, **against(0.1, 0.05, 0.15, "worse"))
TIE = split(4, 0.49, **against(-0.01, -0.05, 0.03, "tie"))
LOOSE = split(8, 0.45, **against(-0.05, -0.3, 0.2, "tie"))
WIDE = split(1, 0.5)


def test_a_split_that_is_better_wins_by_its_difference_turned_positive():
    assert answer([WIDE, BETTER, TIE]) == (
        "Several thinner networks win at 1 of 1 budgets:"
        " at 9,000 parameters n = 2 (width 8) by 0.1000 [0.0500, 0.1500] nats of CNLL."
    )


def test_the_interval_allows_for_the_choice_of_n_as_that_of_the_map_does():
    assert "n = 2 (width 8) by 0.1000 [0.0500, 0.3000] nats of CNLL." in answer([WIDE, BETTER, LOOSE])
    shaky = split(2, 0.4, **against(-0.1, -0.25, 0.05, "tie"))
    sure = split(4, 0.45, **against(-0.05, -0.08, -0.02, "better"))
    assert "n = 2 (width 8) by 0.1000 [0.0200, 0.2500] nats of CNLL." in answer([WIDE, shaky, sure])


def test_the_wide_network_wins_over_the_best_of_the_others():
    worst = split(4, 0.9, **against(0.4, 0.3, 0.5, "worse"))
    assert answer([WIDE, worst, WORSE]) == (
        "One wide network wins at 1 of 1 budgets: at 9,000 parameters n = 1 (width 9) by"
        " 0.1000 [0.0500, 0.1500] nats of CNLL over n = 2 (width 8)."
    )


def test_a_tie_is_called_one_and_keeps_zero_in_its_interval():
    assert answer([WIDE, TIE]) == (
        "A tie at 1 of 1 budgets: at 9,000 parameters n = 4 (width 6) is 0.0100 [-0.0300, 0.0500] nats"
        " below n = 1, a tie."
    )


def test_budgets_are_counted_by_who_wins_and_listed_in_order():
    rows = [WIDE, BETTER, *({**one, "budget": 18000} for one in (WIDE, WORSE))]
    said = answer(rows)
    assert said.startswith(
        "Several thinner networks win at 1 of 2 budgets; one wide network wins at 1 of 2 budgets: at 9,000"
    )
    assert said.index("at 9,000") < said.index("at 18,000")


def test_settings_of_one_budget_are_cells_and_named():
    rows = [{**one, "arm": arm, "tuned": "yes"} for arm in ("one", "two") for one in (WIDE, BETTER)]
    assert answer(rows).startswith(
        "Several thinner networks win in 2 of 2 cells: at 9,000 parameters (one, tuned) "
    )


def test_of_many_cells_the_clearest_win_alone_is_told():
    rows = []
    for at in range(7):
        gap = -0.1 - 0.01 * at
        thin = split(2, 0.5 + gap, **against(gap, gap - 0.05, gap + 0.05, "better"))
        rows += [{**one, "budget": 9000 + at} for one in (WIDE, thin)]
    assert answer(rows) == (
        "Several thinner networks win at 7 of 7 budgets; the clearest:"
        " at 9,006 parameters n = 2 (width 8) by 0.1600 [0.1100, 0.2100] nats of CNLL."
    )


def test_many_ties_have_no_clearest():
    rows = [{**one, "budget": 9000 + at} for at in range(7) for one in (WIDE, TIE)]
    assert answer(rows) == "A tie at 7 of 7 budgets."


def test_a_split_without_an_interval_is_not_judged():
    lone = split(2, 0.4, difference=-0.1, verdict="not judged")
    assert answer([WIDE, lone]) == (
        "No split is judged: at 9,000 parameters n = 2 (width 8) is 0.1000 nats below n = 1, not judged."
    )


def test_what_is_missing_is_told_and_nothing_is_made_up():
    (nothing,) = findings([split(1, None), split(2, None)])
    assert (nothing.winner, nothing.said) == ("", "nothing can be compared yet")
    (alone,) = findings([WIDE])
    assert alone.said == "n = 1 (width 9) has CNLL 0.5000, with nothing to compare"
    (thin,) = findings([split(1, None), split(2, 0.4)])
    assert thin.said == "n = 2 (width 8) has CNLL 0.4000, with nothing to compare"
    assert answer([]) == ""
