"""The gate of rows in a process that ends with its answer.

Great Expectations keeps 140 MB of the process that imports it, which is more than a file of
millions of rows needs besides, and of a file it is asked about a few kinds of rows once or twice.
"""

import json
import subprocess
import sys
from contextlib import redirect_stdout
from itertools import count
from typing import Any

import pandas as pd
import pyarrow as pa

from llm_pipeline.errors import GateFailed
from llm_pipeline.gates import running

# Each process takes seconds to begin: whoever asks again and again is answered here.
_MOST_PROCESSES = 3
_ASKED = count(1)


def failing_rows(suite: str, frame: pd.DataFrame) -> dict[Any, list[str]]:
    """Return what `running.failing_rows` does of a frame whose index is 0, 1, 2 and so on.

    Raises GateFailed if a check could not run.
    """
    if next(_ASKED) > _MOST_PROCESSES:
        return running.failing_rows(suite, frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    command = [sys.executable, "-P", "-m", "llm_pipeline.gates.apart", suite]
    asked = sink.getvalue().to_pybytes()
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=False)  # noqa: S603
    if done.returncode:
        raise GateFailed(
            f"the gate {suite} could not check rows: its process ended with {done.returncode}; "
            f"the log says why"
        )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Check the rows that standard input brings, as an Arrow stream, against the suite named."""
    frame = pa.ipc.open_stream(sys.stdin.buffer).read_pandas()
    with redirect_stdout(sys.stderr):
        found = running.failing_rows(sys.argv[1], frame)
    json.dump([[int(place), reasons] for place, reasons in found.items()], sys.stdout)


if __name__ == "__main__":
    main()
