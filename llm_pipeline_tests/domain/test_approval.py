import json
from dataclasses import replace
from math import inf
from random import Random

import pytest
from scipy.stats import beta, binom

from llm_pipeline.domain.approval import (
    Audited,
    LeftOut,
    Rule,
    audits_needed,
    binomial_tail,
    excess,
    fit_rule,
    inclusion_probability,
    next_share,
    single_probability,
    upper_bound,
)


@pytest.mark.parametrize(
    ("errors", "n"), [(0, 1), (0, 149), (1, 236), (3, 412), (50, 1000), (999, 1000), (40, 20_000)]
)
def test_the_upper_bound_is_clopper_and_pearsons(errors: int, n: int) -> None:
    assert upper_bound(errors, n, 0.95) == pytest.approx(beta.ppf(0.95, errors + 1, n - errors))


@pytest.mark.parametrize("chance", [1e-9, 0.004, 0.5, 0.98])
def test_the_tail_is_the_binomial_one(chance: float) -> None:
    for errors, n in [(0, 5), (3, 900), (700, 900), (899, 900)]:
        assert binomial_tail(errors, n, chance) == pytest.approx(
            binom.cdf(errors, n, chance), rel=1e-9, abs=1e-300
        )


def test_nothing_is_bounded_without_trials() -> None:
    assert upper_bound(0, 0, 0.95) == 1
    assert upper_bound(5, 5, 0.95) == 1


def test_the_audits_needed_are_the_fewest_that_prove() -> None:
    for errors in (0, 1, 2, 8):
        n = audits_needed(0.02, 0.95, errors)
        assert upper_bound(errors, n, 0.95) <= 0.02 < upper_bound(errors, n - 1, 0.95)


@pytest.mark.parametrize(("rows", "share"), [(1, 0.02), (7, 0.02), (100, 0.05), (3, 1.0), (1, 1.0)])
def test_inclusion_and_single_draw_are_binomial(rows: int, share: float) -> None:
    inclusion = inclusion_probability(rows, share)
    assert inclusion == pytest.approx(1 - binom.pmf(0, rows, share))
    assert single_probability(rows, inclusion) == pytest.approx(binom.pmf(1, rows, share))


def test_a_group_counts_only_where_one_row_of_it_was_drawn() -> None:
    inclusion = inclusion_probability(100, 0.02)
    assert Audited("exact", 0.99, 100, False, inclusion, lot=0.27).counts
    assert not Audited("exact", 0.99, 100, False, inclusion, lot=0.28).counts


def _single(wrong: bool, probability: float = 0.99, stratum: str = "exact") -> Audited:
    return Audited(stratum, probability, 1, wrong, 0.02)


def test_says_how_many_audits_are_missing_and_trusts_only_exact_repeats() -> None:
    rule = fit_rule([_single(False)] * 100, 0.02, 0.95)
    assert rule.missing_audits() == 49
    assert rule.accepts("exact", 0.99)
    assert not rule.accepts("exact", 0.97)
    assert not rule.accepts("key", 0.999)
    assert "49 more" in rule.explain()


def test_accepts_what_the_audits_prove_and_tells_why() -> None:
    audits = [_single(False)] * 400 + [_single(True, 0.6, "text"), _single(False, 0.6, "text")] * 60
    rule = fit_rule(audits, 0.02, 0.95)
    assert rule.accepts("exact", 0.99)
    assert not rule.accepts("text", 0.6)
    assert not rule.accepts("names", 0.99)
    assert rule.explain("exact") == "400 audits, 0 errors, at most 0.7 % wrong with 95 % confidence"
    assert rule.explain() == rule.explain("exact")
    assert rule.explain("names") == "no audits speak for 'names'"
    assert rule.missing_audits() == 0


def test_evidence_against_the_safest_groups_ends_automatic_approval() -> None:
    rule = fit_rule([_single(i % 10 == 0) for i in range(600)], 0.02, 0.95)
    assert not rule.accepts("exact", 1.0)
    assert rule.refuted
    assert "even exact repeats are wrong more often than allowed" in rule.explain()


def test_audits_that_prove_nothing_leave_trust_in_exact_repeats() -> None:
    rule = fit_rule([_single(i % 75 == 0) for i in range(300)], 0.02, 0.95)
    assert rule.limit is None
    assert rule.accepts("exact", 0.99)
    assert not rule.accepts("key", 0.99)
    assert rule.missing_audits() == audits_needed(0.02, 0.95, 4) - 300


def test_a_refit_opens_the_rule_step_by_step() -> None:
    audits = [_single(False, 0.5)] * 600
    rules = [fit_rule(audits, 0.02, 0.95)]
    for _ in range(2):
        rules.append(fit_rule(audits, 0.02, 0.95, rules[-1]))
    limits = [rule.limit for rule in rules]
    assert limits[:3] == pytest.approx([0.1, 0.115, 0.13225])


def test_no_rule_is_laxer_than_asked_for() -> None:
    audits = [_single(False, 0.9)] * 600 + [_single(False, 0.5)] * 100
    lax = Rule(0.02, 0.95, limit=0.45)
    assert fit_rule(audits, 0.02, 0.95, lax).limit == 0.5
    assert fit_rule(audits, 0.02, 0.95, lax, most=0.2).limit == 0.2


def test_what_a_person_saw_counts_as_right_in_the_bound() -> None:
    few = fit_rule([Audited("exact", 0.99, 1, False, 0.02)] * 300, 0.02, 0.95)
    seen = [Audited("exact", 0.99, 200, False, inclusion_probability(200, 0.02), lot=0.9)]
    many = fit_rule([Audited("exact", 0.99, 1, False, 0.02)] * 300 + seen * 75, 0.02, 0.95)
    assert many.audits == few.audits
    assert many.bound == pytest.approx(few.bound / 2, rel=0.03)


def test_groups_of_many_rows_must_be_surer() -> None:
    audits = [_single(False, 0.99)] * 300 + [_single(False, 0.9)] * 300
    rule = fit_rule(audits, 0.02, 0.95)
    assert rule.accepts("exact", 0.9, rows=1)
    assert not rule.accepts("exact", 0.9, rows=10)
    assert rule.accepts("exact", 0.99, rows=10_000)
    assert excess(0.9, 10, 0.02) == pytest.approx(0.8)


def test_a_stratum_that_its_audits_speak_against_is_left_out() -> None:
    audits = [_single(False)] * 3000 + [_single(i < 12, 0.98, "key") for i in range(40)]
    rule = fit_rule(audits, 0.02, 0.95)
    assert rule.accepts("exact", 0.99)
    assert not rule.accepts("key", 0.99)
    (left,) = rule.left_out
    assert replace(left, allowed=0.03) == LeftOut("key", 40, 12, 0.03, months=2)
    told = "left out: wrong in 12 of 40 audits of the last 2 months; 3 % are allowed"
    assert rule.explain("key") == told
    old = fit_rule([replace(audit, age=9.0) for audit in audits], 0.02, 0.95)
    assert old.explain("key") == "left out: wrong in 12 of 40 audits; 3 % are allowed"


def test_where_everything_is_left_out_the_rule_says_so() -> None:
    old = [Audited("key", 0.99, 1, False, 0.02, age=9.0)] * 2000
    new = [Audited("key", 0.99, 1, True, 0.02, age=1.0)] * 4
    rule = fit_rule([*old, *new], 0.02, 0.95)
    told = "key left out: wrong in 4 of 4 audits of the last 2 months; 2 % are allowed"
    assert (rule.limit is None, rule.accepted) == (False, ())
    opens = "opens step by step, with the next fits"
    assert rule.explain_nothing() == f"{rule.explain()}; {told}; what else is proven {opens}"
    none = replace(rule, left_out=())
    assert none.explain_nothing() == f"{rule.explain()}; it {opens}"


def test_audits_that_nobody_answered_in_time_are_told_as_such() -> None:
    late = [Audited("names", 0.99, 1, True, 0.02, age=inf)] * 3
    right = [Audited("names", 0.99, 1, False, 0.02, age=3.0)] * 20
    sure = [Audited("key", 0.99, 1, False, 0.02, age=9.0)] * 2000
    rule = fit_rule([*sure, *late, *right], 0.02, 0.95)
    told = "wrong in 3 of 23 audits, 3 of them not answered in time; 2 % are allowed"
    assert rule.explain("names") == f"left out: {told}"


@pytest.mark.parametrize(("share", "told"), [(0.0004, "0.04"), (0.02, "2"), (0.0149, "1.5")])
def test_a_share_is_told_as_it_is(share: float, told: str) -> None:
    left = LeftOut("names", 1, 1, share, months=4)
    because = "wrong in 1 of 1 audit of the last 4 months"
    assert left.explain() == f"left out: {because}; {told} % are allowed"


def test_a_stratum_that_breaks_is_left_out_by_its_latest_audits() -> None:
    old = [Audited(name, 0.99, 1, False, 0.02, age=9.0) for name in ("exact", "key")] * 1000
    new = [Audited("key", 0.99, 1, i % 5 == 0, 0.02, age=1.0) for i in range(20)]
    rule = fit_rule([*old, *new], 0.02, 0.95)
    assert rule.accepts("exact", 0.99)
    assert not rule.accepts("key", 0.99)


def test_the_latest_audits_are_those_of_less_than_two_or_four_months() -> None:
    old = [Audited(name, 0.99, 1, False, 0.02, age=9.0) for name in ("exact", "key")] * 1000

    def left_out(age: float, good: int = 0) -> bool:
        wrong = [Audited("key", 0.99, 1, True, 0.02, age=age)] * 4
        right = [Audited("key", 0.99, 1, False, 0.02, age=1.0)] * good
        return not fit_rule([*old, *wrong, *right], 0.02, 0.95).accepts("key", 0.99)

    assert left_out(1.9)
    assert left_out(3.9, good=30)
    assert not left_out(4.0)
    # Nobody was wrong of late where people are late: overdue audits tell of no sudden change.
    assert not left_out(inf)


def test_a_rule_survives_json() -> None:
    old = [Audited(name, 0.99, 1, False, 0.02, age=9.0) for name in ("exact", "key")] * 1000
    new = [Audited("key", 0.99, 1, True, 0.02, age=3.0)] * 4
    rule = fit_rule([*old, *new], 0.02, 0.95)
    saved = json.loads(json.dumps(rule.as_json()))
    assert (len(rule.accepted), rule.left_out[0].months) == (1, 4)
    assert Rule.from_json(saved) == rule
    del saved["left_out"]
    assert Rule.from_json(saved) == replace(rule, left_out=())


def test_the_bound_is_broken_no_more_often_than_the_confidence_allows() -> None:
    """Probabilities tell nothing here, so each rule's true error is the 2.2 % of all."""
    broken = 0
    for number in range(200):
        lot = Random(number)  # noqa: S311
        audits = [_single(lot.random() < 0.022, lot.random()) for _ in range(800)]
        broken += fit_rule(audits, 0.02, 0.95).limit is not None
    assert broken <= binom.ppf(0.999, 200, 0.05)


def test_the_share_gives_more_audits_where_the_bound_is_strict() -> None:
    assert next_share(40_000, 0.02, 0.95) > 2 * next_share(40_000, 0.05, 0.95)
    assert next_share(10, 0.02, 0.95) == 0.1
