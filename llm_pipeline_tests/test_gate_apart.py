"""The gate of rows in a process of its own: the same answers, and nothing kept of them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from llm_pipeline.domain.rows import Columns, KnownTargets
from llm_pipeline.domain.text import MAX_TEXT_LENGTH
from llm_pipeline.errors import GateFailed
from llm_pipeline.gates import apart, kinds, running
from llm_pipeline.readers.blocks import Block
from llm_pipeline.validation import check_block
from llm_pipeline.vectors.rows import Known

FRAME = pd.DataFrame(
    {
        "text": ["A", None, "Ünïcode \U0001f600"],
        "text_length": [1, 0, 2_001],
        "text_state": ["ok", "ok", "it has a control character"],
        "target_state": ["known", "none", "it is 'Ж'"],
        "time_state": ["ok", "none", "'soon'"],
        "amount_state": ["none", "ok", "ok"],
    }
)
ASKED = """
import json, sys
import pandas as pd
from llm_pipeline.gates import apart
frame = pd.DataFrame(json.loads(sys.argv[1]))
for _ in range(4):
    found = apart.broken_rules("submissions", frame)
    print(json.dumps([list(found.items()), "great_expectations" in sys.modules]))
"""


def test_it_answers_like_the_gate_and_leaves_the_first_askers_without_its_library() -> None:
    here = running.broken_rules("submissions", FRAME)
    expected = [[place, rules] for place, rules in here.items()]
    assert [place for place, _ in expected] == [1, 2]
    frame = json.dumps(FRAME.to_dict("list"))
    command = [sys.executable, "-c", ASKED, frame]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found for found, _ in answers] == [expected] * 4
    assert [loaded for _, loaded in answers] == [False, False, False, True]


def test_no_row_passes_where_the_process_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_ASKED", iter([1, 2]))
    with pytest.raises(GateFailed, match="text_state"):
        apart.broken_rules("submissions", FRAME.drop(columns="text_state"))
    with pytest.raises(GateFailed, match="nowhere could not check rows: its process ended with 1"):
        apart.broken_rules("nowhere", FRAME)


def test_a_process_that_somebody_ends_refuses_no_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = tmp_path / "python"
    ended.write_text("#!/bin/sh\nkill -TERM $$\n")
    ended.chmod(0o755)
    monkeypatch.setattr(apart, "_ASKED", iter([1]))
    monkeypatch.setattr(sys, "executable", str(ended))
    found = apart.broken_rules("submissions", FRAME)
    assert found == running.broken_rules("submissions", FRAME)


def test_a_column_that_is_gone_and_a_rule_across_rows_are_no_kinds() -> None:
    kinds.failing_rows("submissions", FRAME.head(1))
    with pytest.raises(GateFailed, match="could not check text: no such column"):
        kinds.failing_rows("submissions", FRAME.head(1).drop(columns="text"))
    rows = pd.DataFrame(
        {"target": ["A"], "active": True, "normalized": "a", "normalized_length": 1}
    )
    with pytest.raises(ValueError, match="BeUnique cannot be told of one row"):
        kinds.failing_rows("approved_mappings", rows)


def test_rows_of_one_kind_are_asked_about_once_and_told_their_own_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def broken_rules(suite: str, frame: pd.DataFrame) -> dict[int, list[int]]:
        asked.append(len(frame))
        return running.broken_rules(suite, frame)

    monkeypatch.setattr(apart, "broken_rules", broken_rules)
    monkeypatch.setattr(kinds, "_ANSWERS", {})
    frame = pd.concat([FRAME] * 5, ignore_index=True)
    frame["target_state"] = [f"it is {number}" for number in range(len(frame))]
    for _ in range(2):
        found = kinds.failing_rows("submissions", frame)
        assert list(found) == list(range(len(frame)))
        assert [reasons[-1] for reasons in found.values()] == [
            f"the target cannot be used: it is {number}"
            if number % 3 != 2
            else "the time is not a date such as 2026-11-22 or 20261122: 'soon'"
            for number in range(len(frame))
        ]
    assert asked == [3]


def test_texts_are_told_apart_by_which_side_of_a_limit_their_length_is() -> None:
    """A kind of rows is asked about once: a length beyond the limit is none of those before it."""
    lengths = [1, MAX_TEXT_LENGTH - 1, MAX_TEXT_LENGTH, MAX_TEXT_LENGTH + 1, MAX_TEXT_LENGTH + 100]
    table = pa.table({"text": ["a" * length for length in lengths]})
    block = Block(table, np.arange(1, 6), np.arange(2, 7), [], 5)
    nothing = Known.of(KnownTargets({}, frozenset()))
    for _ in range(2):
        found = check_block(block, Columns(), nothing, needs_target=False)
        assert found.good.column("row").to_pylist() == [1, 2, 3]
        assert [(bad.row, bad.reason) for bad in found.rejected] == [
            (4, f"the text is over {MAX_TEXT_LENGTH} characters"),
            (5, f"the text is over {MAX_TEXT_LENGTH} characters"),
        ]
