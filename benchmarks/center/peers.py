"""The peers of an upload: clean rows into the same table by the tool of the database itself.

The rows are those that our upload made of a file, in the file's order and numbered in it.
"""

import csv
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
from measuring import timed
from sqlalchemy import make_url

from center.stores import Stores, psql, run_alone
from llm_pipeline.config import Settings
from llm_pipeline.errors import InvalidInput

# The settings of our own connections, and the journal in which one large transaction is faster.
PRAGMAS = (
    "PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL; "
    "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;"
)
FIRSTS = """
    SELECT mapping_id, min(row) AS first_row FROM submissions
    WHERE upload_id = {upload} GROUP BY mapping_id"""
IN_ORDER = """
    SELECT row_number() OVER (ORDER BY first_row) AS id, {rest}
    FROM mappings JOIN ({firsts}) AS firsts ON mapping_id = mappings.id ORDER BY first_row"""

UPLOAD = """
    INSERT INTO uploads (filename, path, sha256, bytes, lands_as, columns, encoding, status,
                         actor, created_at, updated_at)
    VALUES ('', '', '', 0, 'pending', '{}', '', 'finished', '', now(), now())"""


def clean_rows(settings: Settings, upload: int, path: Path) -> int:
    """Write the mappings that an upload made to a CSV file; return how many there are."""
    if settings.database_url:
        return _clean_postgresql(settings.database_url, upload, path)
    with _sqlite(settings.path("store.db")) as store, path.open("w", newline="") as file:
        names = [row[1] for row in store.execute("PRAGMA table_info(mappings)")]
        csv.writer(file).writerows(store.execute(_in_order(names, upload)))
        made = store.execute(f"SELECT count(*) FROM ({FIRSTS.format(upload=upload)})")  # noqa: S608
        return int(made.fetchone()[0])


def _sqlite(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path))


def _clean_postgresql(url: str, upload: int, path: Path) -> int:
    with psycopg.connect(_plain(url)) as store, path.open("wb") as file:
        names = [
            row[0]
            for row in store.execute(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_name = 'mappings' AND table_schema = 'public' "
                "ORDER BY ordinal_position"
            )
        ]
        with store.cursor() as cursor:
            with cursor.copy(f"COPY ({_in_order(names, upload)}) TO STDOUT (FORMAT csv)") as copy:
                for block in copy:
                    file.write(block)
            return cursor.rowcount


def _in_order(names: list[str], upload: int) -> str:
    rest = ", ".join(f'mappings."{name}"' for name in names if name != "id")
    return IN_ORDER.format(rest=rest, firsts=FIRSTS.format(upload=upload))


def load(stores: Stores, name: str, path: Path) -> float:
    """Load clean rows into the table of a fresh store; return the seconds."""
    settings = stores.fresh(name)
    if settings.database_url:
        return _copy(settings.database_url, path)
    return _import(settings.path("store.db"), path)


def _import(database: Path, path: Path) -> float:
    tool = shutil.which("sqlite3")
    if tool is None:
        raise InvalidInput("there is no command sqlite3 to measure beside; install it")
    drop = "; ".join(_in_the_way(database))
    script = f"{PRAGMAS}\n{drop};\n.import --csv '{path}' mappings\n"
    return timed(
        lambda: subprocess.run(
            [tool, "-bail", database],
            input=script,
            stdout=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    )[1]


def _in_the_way(database: Path) -> list[str]:
    """What must not slow the peer: triggers, and indexes of rows with a value where ours have NULL.

    `.import` knows no NULL: with an empty string instead all rows would be in such an index.
    """
    with _sqlite(database) as store:
        kept = store.execute(
            "SELECT type, name FROM sqlite_master WHERE tbl_name = 'mappings' AND "
            "(type = 'trigger' OR type = 'index' AND sql LIKE '%WHERE%IS NOT NULL%')"
        )
        return [f"DROP {kind} {name}" for kind, name in kept]


def _copy(url: str, path: Path) -> float:
    # The search index is no index of the table's own; its rows name an upload that must be there.
    run_alone(url, "DROP INDEX IF EXISTS ix_mappings_search", UPLOAD)
    command = f"\\copy mappings FROM '{path}' (FORMAT csv)"
    return timed(lambda: subprocess.run([psql(), _plain(url), "-qc", command], check=True))[1]


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
