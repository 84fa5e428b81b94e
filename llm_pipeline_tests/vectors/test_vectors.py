"""Columns at once and cells one by one: the same results."""

import random

import pyarrow as pa
import pytest

from llm_pipeline.domain.rows import Columns, KnownTargets, read_amount, read_time
from llm_pipeline.domain.text import group_key, normalize, text_problem
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.vectors import text as vectors
from llm_pipeline.vectors.rows import Known, Parsed, parse_rows

NASTY = [
    *"aZ09 -'.\t\x1c\x1f\n\x01\x7f",
    *"\x85\u00a0\u2019\u02bc\u2028\u3000\u200d\u202e\ufe0f\u20e3\u0301",  # spaces, marks, joiners
    *"éßÉŁςΣİıÅﬁ漢字ア٣²½ابעबঅกⅫ",
    *"🍕👩🇨ﷺ𝟙",
]
KNOWN = Known.of(KnownTargets({"SBUX": 7, "AMZN": 3}, frozenset({"FB"})))


def nasty_texts(seed: int, number: int, alphabet: list[str]) -> list[str]:
    drawn = random.Random(seed)  # noqa: S311
    return ["".join(drawn.choices(alphabet, k=drawn.randrange(12))) for _ in range(number)]


@pytest.mark.parametrize(
    "texts",
    [
        nasty_texts(1, 4_000, NASTY),
        nasty_texts(2, 4_000, NASTY[:12]),
        nasty_texts(3, 2_000, ["a", "7", " "]),
        ["x " * 5_000, "漢" * 900, "''", "7", " \t"],
        [""],
        [],
    ],
)
def test_columns_of_text_give_what_their_cells_give(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    normal = vectors.normalized(column)
    assert vectors.stripped(column).to_pylist() == [text.strip() for text in texts]
    assert normal.to_pylist() == [normalize(text) for text in texts]
    assert vectors.group_keys(normal).to_pylist() == [group_key(n) for n in normal.to_pylist()]
    problems = [(text_problem(text) or "ok") if text else "ok" for text in texts]
    assert vectors.problems(column, normal).to_pylist() == problems


def test_a_part_of_a_column_is_read_like_a_whole_one() -> None:
    texts = [f"SHOP #{number}" for number in range(9)]
    part = pa.array(texts, pa.string()).slice(3, 4)
    assert vectors.normalized(part).to_pylist() == [normalize(text) for text in texts[3:7]]


def _parsed(*, needs_target: bool = False, columns: Columns | None = None, **cells: str) -> Parsed:
    table = pa.table({name: [cell] for name, cell in cells.items()})
    return parse_rows(table, columns or Columns(), KNOWN, needs_target=needs_target)


def test_a_row_becomes_a_submission_and_the_rest_travels_along() -> None:
    row = _parsed(text=" BLUE ", target="SBUX", note=" n ", amount="12.5", shop="4", empty="")
    assert row.table.to_pylist() == [
        {
            "text": "BLUE",
            "normalized": "blue",
            "key": "blue",
            "target_id": 7,
            "note": "n",
            "occurred_at": None,
            "amount": 12.5,
            "extra": '{"shop": "4"}',
        }
    ]
    assert row.states.to_dict("records") == [
        {
            "text": "BLUE",
            "text_length": 4,
            "text_state": "ok",
            "target_state": "known",
            "time_state": "none",
            "amount_state": "ok",
        }
    ]


def test_columns_can_have_other_names() -> None:
    columns = Columns(text="vendor", target="code")
    row = _parsed(vendor="x", code="SBUX", text="y", columns=columns, needs_target=True)
    assert row.table["target_id"].to_pylist() == [7]
    assert row.table["extra"].to_pylist() == ['{"text": "y"}']


@pytest.mark.parametrize(
    ("target", "needed", "state"),
    [
        ("SBUX", True, "known"),
        ("", False, "none"),
        ("", True, "it is empty"),
        ("FB", False, "'FB' is retired"),
        ("sbux", False, "'sbux' is not in the catalogue"),
    ],
)
def test_a_target_is_known_or_says_why_not(target: str, needed: bool, state: str) -> None:
    states = _parsed(text="x", target=target, needs_target=needed).states
    assert states["target_state"].tolist() == [state]


AMOUNTS = ["12.50", "+5", "-0", "007", "1,234.5", "12,50", "1e3", "nan", "1_0", "٣", "", "9" * 20]
TIMES = ["2026-01-02", "20260102", "2026-01-02T03:04:05.123456789Z", "0999-01-01", "x", "", "²²²²"]


def test_columns_of_amounts_and_times_give_what_their_cells_give() -> None:
    cells = [(amount, time) for amount in AMOUNTS for time in TIMES]
    amounts, times = zip(*cells, strict=True)
    table = pa.table({"text": ["x"] * len(cells), "amount": amounts, "time": times})
    found = parse_rows(table, Columns(), KNOWN, needs_target=False)
    expected = [(*read_amount(amount), *read_time(time)) for amount, time in cells]
    assert found.table["amount"].to_pylist() == [row[0] for row in expected]
    assert found.states["amount_state"].tolist() == [row[1] for row in expected]
    assert found.states["time_state"].tolist() == [row[3] for row in expected]
    written = [
        when and f"{when.replace(tzinfo=None).isoformat(' ', 'microseconds')}"
        for _, _, when, _ in expected
    ]
    assert found.table["occurred_at"].to_pylist() == written


def test_what_travels_along_is_json_whatever_it_holds() -> None:
    table = pa.table({"text": ["x"] * 3, 'na"me': ['q"é\\', "", "a\tb"], "b": ["", "", " "]})
    found = parse_rows(table, Columns(), KNOWN, needs_target=False)
    assert found.table["extra"].to_pylist() == [
        '{"na\\"me": "q\\"\\u00e9\\\\"}',
        None,
        '{"na\\"me": "a\\tb", "b": " "}',
    ]


def test_the_gate_may_be_shown_one_row_of_each_kind() -> None:
    """`validation` rests on this: the rules judge rows one by one, and of the text only whether
    there is one."""
    rules = SUITES["submissions"]
    by_row = {"ToNotBeNull", "ToBeInSet", "ToBeBetween"}
    kinds = {rule.expectation.removeprefix("ExpectColumnValues") for rule in rules}
    assert kinds <= by_row
    of_text = [rule.expectation for rule in rules if rule.arguments["column"] == "text"]
    assert of_text == ["ExpectColumnValuesToNotBeNull"]
