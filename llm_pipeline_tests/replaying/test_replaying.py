from pathlib import Path
from random import Random

import pandas as pd
import pytest
from typer.testing import CliRunner

from llm_pipeline.cli import app
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.replaying import peers
from llm_pipeline.replaying.approver import Settings
from llm_pipeline.replaying.groups import grouped
from llm_pipeline.replaying.player import play
from llm_pipeline.replaying.stream import Period, periods_of, read_stream
from llm_pipeline.replaying.tally import Line, summed


def _rows(periods: int, shops: int = 40, per_period: int = 160, seed: int = 0) -> pd.DataFrame:
    """Shops with a code in their name that sell what they always sold, but for a few that vary."""
    dice = Random(seed)  # noqa: S311
    rows = []
    for period in range(periods):
        for _ in range(per_period):
            shop = min(int(dice.expovariate(0.12)), shops - 1)
            name = f"shop {chr(97 + shop % 26)}{chr(97 + shop // 26)} {dice.randrange(4)}"
            varies = shop % 10 == 9 and dice.random() < 0.3
            rows.append((name, "other" if varies else f"t{shop % 7}", f"2020-{period:02}"))
    return pd.DataFrame(rows, columns=["text", "target", "time"])


@pytest.fixture(scope="module")
def stream() -> list[Period]:
    return periods_of(_rows(30))


@pytest.fixture(scope="module")
def played(stream: list[Period]) -> list[Line]:
    return play(stream, Settings(0.05))


def test_periods_come_in_time_order_without_rows_that_say_nothing() -> None:
    rows = pd.DataFrame(
        [("B 1", "x", "2"), ("!!", "x", "1"), ("a", "", "1"), ("A", "y", "1")],
        columns=["text", "target", "time"],
    )
    periods = periods_of(rows)
    assert [(p.number, p.name, p.rows["key"].tolist()) for p in periods] == [
        (0, "1", ["a"]),
        (1, "2", ["b"]),
    ]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,target\na,b\n")
    with pytest.raises(InvalidInput, match="no column month; it has text, target"):
        read_stream(file, "text", "target", "month")


def test_a_group_is_one_key_with_one_answer() -> None:
    recognizer = Recognizer.empty()
    for text, target in [("shop 1", "a"), ("shop 2", "b"), ("mall 1", "c")]:
        recognizer.learn(text, target)
    rows = [("shop 1", "a"), ("shop 2", "x"), ("shop 3", "y"), ("mall 9", "c"), ("new", "z")]
    (period,) = periods_of(pd.DataFrame([(*row, "1") for row in rows], columns=_COLUMNS))
    texts = period.rows["text"].tolist()
    groups = grouped(period, dict(zip(texts, recognizer.recognize(texts, 1), strict=True)))
    told = {(g.key, g.answer, g.stratum, g.rows, g.wrong, g.labels) for g in groups}
    assert told == {
        ("shop", "a", "exact", 1, 0, 1),
        ("shop", "b", "key", 2, 2, 2),
        ("mall", "c", "key", 1, 0, 1),
        ("new", "", "none", 1, 1, 1),
    }


_COLUMNS = ["text", "target", "time"]


def test_every_row_is_approved_or_shown_and_the_policy_saves_decisions(
    stream: list[Period], played: list[Line]
) -> None:
    assert [line.rows for line in played] == [len(period.rows) for period in stream]
    assert all(line.standing <= line.wrong <= line.automatic <= line.rows for line in played)
    mine, hand = summed("policy", played), summed("by hand", peers.by_hand(stream))
    assert hand.automatic == 0
    assert mine.automatic > 0.5
    assert mine.decisions < 0.5 * hand.decisions


def test_what_is_approved_stays_within_the_bound(played: list[Line]) -> None:
    assert summed("policy", played).standing <= 0.05


def test_the_same_seed_plays_the_same(stream: list[Period], played: list[Line]) -> None:
    assert play(stream[:8], Settings(0.05)) == played[:8]


def test_nothing_is_approved_before_anything_is_known(played: list[Line]) -> None:
    assert played[0].automatic == 0
    assert played[0].limit is None


def test_a_broken_source_stops_the_policy(stream: list[Period]) -> None:
    broken = [
        Period(p.number, p.name, p.rows.assign(target="moved")) if p.number >= 20 else p
        for p in stream
    ]
    lines = play(broken, Settings(0.05))
    assert not any(line.stopped for line in lines[:20])
    assert any(line.stopped for line in lines[20:24])


def test_peers_count_what_they_should() -> None:
    rows = [("a", "x", "1"), ("a", "x", "1"), ("b", "y", "1"), ("a", "z", "2"), ("c 1", "w", "2")]
    stream = periods_of(pd.DataFrame(rows, columns=_COLUMNS))
    hand, memory = peers.by_hand(stream), peers.exact_memory(stream)
    assert [line.decisions for line in hand] == [2, 2]
    assert [(line.decisions, line.automatic, line.wrong) for line in memory] == [
        (2, 0, 0),
        (1, 1, 1),
    ]


def test_the_oracle_leaves_as_many_wrong_as_it_may() -> None:
    rows = [("a", "x", "1"), ("b", "y", "1"), ("a", "z", "2"), ("c 1", "w", "2")]
    stream = periods_of(pd.DataFrame(rows + [("b", "y", "2")] * 3, columns=_COLUMNS))
    strict, lax = peers.oracle(stream, 0.0), peers.oracle(stream, 0.34)
    assert [(line.decisions, line.wrong) for line in strict] == [(2, 0), (2, 0)]
    assert [(line.decisions, line.wrong) for line in lax] == [(2, 0), (1, 1)]


def test_the_oracle_needs_the_fewest_decisions(stream: list[Period], played: list[Line]) -> None:
    best = summed("oracle", peers.oracle(stream, 0.05))
    assert best.decisions < summed("policy", played).decisions
    assert best.wrong <= 0.05


def test_logistic_regression_approves_what_it_is_sure_of(stream: list[Period]) -> None:
    lines = peers.logistic_regression(stream[:6], memory=False)
    assert sum(line.automatic for line in lines[:2]) == 0
    assert sum(line.automatic for line in lines) > 0
    with_memory = peers.logistic_regression(stream[:6], memory=True)
    assert sum(line.decisions for line in with_memory) < sum(line.decisions for line in lines)


def test_the_command_writes_a_table_and_pictures(tmp_path: Path) -> None:
    _rows(8).to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["bench", "replay", str(tmp_path / "rows.csv"), "--max-error", "0.05", "--out", str(out)],
    )
    assert done.exit_code == 0, done.output
    table = (out / "replay.md").read_text()
    assert "| policy, 5 % |" in table
    assert "| oracle, 5 % |" in table
    lines = pd.read_csv(out / "replay.csv")
    assert lines.groupby("policy")["rows"].sum().nunique() == 1
    assert all((out / name).stat().st_size > 5_000 for name in ("decisions.png", "error.png"))
