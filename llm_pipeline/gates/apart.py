"""The gate of rows in a process that ends with its answer.

Great Expectations keeps 140 MB of the process that imports it, which is more than a file of
millions of rows needs besides, and of a file it is asked about a few kinds of rows once or twice.
"""

import json
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from itertools import count
from typing import Any

import pandas as pd
import pyarrow as pa

from llm_pipeline.errors import GateFailed
from llm_pipeline.gates import running

# Each process takes seconds to begin: whoever asks again and again is answered here.
_MOST_PROCESSES = 3
_ASKED = count(1)


def broken_rules(suite: str, frame: pd.DataFrame) -> dict[int, list[int]]:
    """Return what `running.broken_rules` does of a frame whose index is 0, 1, 2 and so on.

    Raises GateFailed if a check could not run.
    """
    if next(_ASKED) > _MOST_PROCESSES:
        return running.broken_rules(suite, frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    command = [sys.executable, "-P", "-m", "llm_pipeline.gates.apart", suite]
    asked = sink.getvalue().to_pybytes()
    # In a session of its own: a signal to all processes of an installation is none to it.
    done = subprocess.run(  # noqa: S603
        command, input=asked, stdout=subprocess.PIPE, check=False, start_new_session=True
    )
    if done.returncode < 0:  # somebody ended it, which says nothing of the rows
        return running.broken_rules(suite, frame)
    if done.returncode:
        raise GateFailed(
            f"the gate {suite} could not check rows: its process ended with {done.returncode}; "
            f"the log says why"
        )
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise GateFailed(answer["failed"])
    return dict(answer["broken"])


def main() -> None:
    """Check the rows that standard input brings, as an Arrow stream, against the suite named."""
    frame = pa.ipc.open_stream(sys.stdin.buffer).read_pandas()
    with redirect_stdout(sys.stderr):
        answer = json.dumps(_answer(sys.argv[1], frame)).encode()
    # Whoever asked may have been killed meanwhile.
    with suppress(BrokenPipeError), open(1, "wb", closefd=False) as out:
        out.write(answer)


def _answer(suite: str, frame: pd.DataFrame) -> dict[str, Any]:
    try:
        found = running.broken_rules(suite, frame)
    except GateFailed as error:
        return {"failed": str(error)}
    return {"broken": [[int(place), rules] for place, rules in found.items()]}


if __name__ == "__main__":
    main()
