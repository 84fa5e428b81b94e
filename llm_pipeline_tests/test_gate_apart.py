"""The gate of rows in a process of its own: the same answers, and nothing kept of them."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from llm_pipeline.domain.rows import Columns, KnownTargets
from llm_pipeline.domain.text import MAX_TEXT_LENGTH
from llm_pipeline.errors import GateFailed
from llm_pipeline.gates import apart, running
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
    found = apart.failing_rows("submissions", frame)
    print(json.dumps([list(found.items()), "great_expectations" in sys.modules]))
"""


def test_it_answers_like_the_gate_and_leaves_the_first_askers_without_its_library() -> None:
    found_here = running.failing_rows("submissions", FRAME)
    expected = [[place, reasons] for place, reasons in found_here.items()]
    assert [place for place, _ in expected] == [1, 2]
    frame = json.dumps(FRAME.to_dict("list"))
    command = [sys.executable, "-c", ASKED, frame]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found for found, _ in answers] == [expected] * 4
    assert [loaded for _, loaded in answers] == [False, False, False, True]


def test_no_row_passes_where_the_process_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_ASKED", iter([1]))
    with pytest.raises(GateFailed, match="submissions could not check rows: its process ended"):
        apart.failing_rows("submissions", FRAME.drop(columns="text_state"))


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
