"""The LLM Center at size: every number of its table beside a peer in the same run.

    python benchmarks/llm_center.py --database sqlite --rows 100000 --home FOLDER --out FOLDER
    python benchmarks/llm_center.py --database postgresql --rows 5000000 --only search,pages ...

A store of that many made-up rows is prepared in `--home` at first use and used by later runs; each
part of `--only` can run alone. Lines of results are printed and added to `--out`.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from center import deciding, finding, following, loading, searching, sizes
from center.loading import Run
from center.results import HEAD, Results
from center.stores import stores

PARTS: dict[str, Callable[[Run], None]] = {
    "upload": loading.upload,
    "append": loading.append,
    "search": searching.search,
    "size": sizes.index_size,
    "counts": searching.counts,
    "recall": finding.recall,
    "pages": searching.pages,
    "analytics": searching.analytics,
    "plans": deciding.plans,
    "decisions": deciding.decisions,
    "events": following.events,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--home", type=Path, required=True, help="where the stores are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the results are added")
    parser.add_argument("--data", type=Path, help="folder of real descriptors, for `recall`")
    parser.add_argument(
        "--upload-rows", type=int, default=1_000_000, help="of the upload beside decisions"
    )
    given = parser.parse_args()
    results = Results(given.out, given.database, given.rows)
    print(HEAD)
    with stores(given.home, given.database) as found:
        run = Run(found, given.rows, results, given.data, given.upload_rows)
        for part in given.only.split(","):
            PARTS[part](run)


if __name__ == "__main__":
    main()
