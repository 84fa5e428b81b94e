"""All gates over many rows in the database beside the same checks as hand-written SQL, and the
quality report.

    python benchmarks/gates.py --database sqlite --rows 5000000 --home FOLDER
    python benchmarks/gates.py --database postgresql --rows 1000000 --only report --home FOLDER

The store is written by its own database. Each part runs in a process of its own, so that its peak
of memory is its own. Prints Markdown tables.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from time import process_time

from center.stores import Stores, opened, stores
from measuring import peak_megabytes, timed
from quality import by_hand, made
from sqlalchemy import delete

from llm_pipeline.gates.suites import SUITES
from llm_pipeline.steps.check import check
from llm_pipeline.steps.report import report_quality
from llm_pipeline.store.engine import Database
from llm_pipeline.store.schema_operations import gate_results, gate_rows
from llm_pipeline.wiring import now

ROUNDS = 3
ACTOR = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", default="gates,report")
    parser.add_argument("--home", type=Path, required=True, help="where the store is kept")
    parser.add_argument("--part", choices=["gates", "report"], help="run one in this process")
    given = parser.parse_args()
    with stores(given.home, given.database) as found:
        if given.part:
            {"gates": gates, "report": report}[given.part](found, f"made_{given.rows}")
            return
        for part in given.only.split(","):
            rows = given.rows if part == "gates" else min(given.rows, 1_000_000)
            prepare(found, rows)
            command = [sys.executable, __file__, "--part", part, "--home", given.home]
            command += ["--database", given.database, "--rows", str(rows)]
            subprocess.run(command, check=True)


def prepare(found: Stores, rows: int) -> None:
    name = f"made_{rows}"
    if found.noted(name):
        return
    settings = found.fresh(name)
    with opened(settings) as database:
        _, seconds = timed(lambda: made.write(database, rows))
    found.note(name, rows=rows)
    print(f"{rows:,} mappings and as many submissions written in {seconds:.0f} s\n", flush=True)


def gates(found: Stores, name: str) -> None:
    with opened(found.settings(name)) as database:
        _, importing = timed(lambda: __import__("great_expectations"))
        print("| round | gate | rows | s | where | failures |\n|---|---|---|---|---|---|")
        ours, hand, cpu = [], [], []
        for number in range(1, ROUNDS + 1):
            forget(database)
            started = process_time()
            hand.append(timed(lambda: by_hand.run(database.engine))[1])
            between = process_time()
            total = 0.0
            for suite in SUITES:
                result, seconds = timed(lambda s=suite: check(database, s, ACTOR, now))
                where = "database" if result.in_database else "memory"
                told = "; ".join(failure["reason"] for failure in result.failures)
                print(
                    f"| {number} | {suite} | {result.rows:,} | {seconds:.1f} | {where} | {told} |"
                )
                total += seconds
            ours.append(total)
            cpu.append((process_time() - between) / (between - started))
        peak = peak_megabytes()
    ratios = [one / other for one, other in zip(ours, hand, strict=True)]
    print(
        "\n| all gates, s | by hand, s | ratio | peak memory, MB | import, s |"
        "\n|---|---|---|---|---|"
    )
    for one, other, ratio in zip(ours, hand, ratios, strict=True):
        print(f"| {one:.1f} | {other:.1f} | {ratio:.2f} | {peak:.0f} | {importing:.1f} |")
    if found.kind == "sqlite":
        # Its work is done in this process, whatever else the machine does.
        print(f"\nof CPU time {', '.join(f'{ratio:.2f}' for ratio in cpu)} times by hand")
    print(
        f"\nmedian ratio {sorted(ratios)[ROUNDS // 2]:.2f} (at most 2), {peak:.0f} MB (under 500)"
    )


def forget(database: Database) -> None:
    """Let the gate look at every submission again, as after an upload of them all."""
    with database.begin() as session:
        for table in (gate_rows, gate_results):
            session.execute(delete(table))


def report(found: Stores, name: str) -> None:
    with opened(found.settings(name)) as database:
        for suite in SUITES:
            check(database, suite, ACTOR, now)
        with database.begin() as session:
            written, seconds = timed(lambda: report_quality(session, ACTOR, now()))
    print(f"\nquality report in {seconds:.1f} s (under 60): {written.verdict}")
    print(f"peak memory {peak_megabytes():.0f} MB, gates included")


if __name__ == "__main__":
    main()
