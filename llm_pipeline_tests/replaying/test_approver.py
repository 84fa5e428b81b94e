from random import Random
from typing import Any

import pytest

from llm_pipeline.domain.approval import Audited, Rule, fit_rule
from llm_pipeline.replaying import approver as approver_module
from llm_pipeline.replaying.approver import Approver, Settings


def _period(approver: Approver, number: int, dice: Random, wrong: dict[str, float]) -> list[int]:
    """Let 800 single rows of each stratum arrive; return automatic, standing and audited rows."""
    automatic = standing = audited = 0
    approver.begin(800 * len(wrong))
    for stratum, chance in wrong.items():
        for _ in range(800):
            is_wrong = int(dice.random() < chance)
            fate = approver.arrive(stratum, 0.995, 1, is_wrong)
            automatic += fate.accepted
            standing += is_wrong if fate.accepted and not fate.drawn else 0
            audited += fate.accepted and fate.drawn
    approver.end(number)
    return [automatic, standing, audited]


def test_opens_by_evidence_and_keeps_the_bound() -> None:
    approver, dice = Approver(Settings(0.02)), Random(1)  # noqa: S311
    played = [_period(approver, n, dice, {"exact": 0.005, "key": 0.005}) for n in range(12)]
    assert played[0][0] == 800  # exact repeats on trust
    assert played[-1][0] == 1600
    automatic, standing, _ = map(sum, zip(*played, strict=True))
    assert standing <= 0.02 * automatic
    assert approver.tripped == []


def test_a_source_that_turns_wrong_stops_everything_until_audits_prove_it_anew() -> None:
    approver, dice = Approver(Settings(0.02)), Random(2)  # noqa: S311
    for number in range(10):
        _period(approver, number, dice, {"exact": 0.005, "names": 0.005})
    _, _, audited = _period(approver, 10, dice, {"exact": 0.005, "names": 0.2})
    (stop,) = approver.tripped
    assert stop[0] == 10
    assert stop[1] in {"", "names"}
    assert audited <= 300
    assert _period(approver, 11, dice, {"exact": 0.005, "names": 0.005})[0] == 0
    later = [_period(approver, n, dice, {"exact": 0.005, "names": 0.005}) for n in range(12, 24)]
    assert later[-1][0] == 1600


def test_the_lot_does_not_depend_on_the_answer() -> None:
    drawn = []
    for stratum, probability in [("exact", 0.999), ("", 0.0), ("text", 0.1)]:
        approver = Approver(Settings(seed=3))
        approver.begin(1000)
        drawn.append([approver.arrive(stratum, probability, 2, 0).drawn for _ in range(200)])
    assert drawn[0] == drawn[1] == drawn[2]
    assert 0 < sum(drawn[0]) < 200


def test_audits_grow_older_with_each_period(monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[set[float]] = []

    def fit(audits: list[Audited], *given: Any) -> Rule:
        ages.append({audit.age for audit in audits})
        return fit_rule(audits, *given)

    monkeypatch.setattr(approver_module, "fit_rule", fit)
    approver, dice = Approver(Settings(0.02, window=3)), Random(4)  # noqa: S311
    for number in range(4):
        _period(approver, number, dice, {"exact": 0.005})
    assert ages == [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2}]
