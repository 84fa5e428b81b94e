"""Where rows of a file wait, sorted by their text, until slices of them are merged.

On SQLite that is a private file per run of rows, on PostgreSQL an unlogged table. Neither is ever
needed again after a crash: what was merged is known by the upload, the rest is read again.
"""

import io
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_sqlite.dbapi
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pcsv
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from llm_pipeline.store.engine import Database, transaction
from llm_pipeline.store.sorting import Sorted

_COLUMNS = """
    position BIGINT PRIMARY KEY, start BIGINT, leader BIGINT, row BIGINT, line BIGINT,
    text TEXT, normalized TEXT, key TEXT, target_id BIGINT, note TEXT, occurred_at {time},
    amount DOUBLE PRECISION, extra JSON, members BIGINT, proposal BIGINT, conflict BOOLEAN,
    version BIGINT, is_live BOOLEAN"""
_ATTACHED = "staging"
_OUTDATED = """
    SELECT n_mod_since_analyze > 0.5 * n_live_tup FROM pg_stat_user_tables
    WHERE relid = to_regclass('mappings')"""
_LEFT = """
    SELECT tablename FROM pg_tables
    WHERE starts_with(tablename, :begin) AND schemaname = ANY(current_schemas(false))"""


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows of a file as a table: `name` in SQL, `path` where it is a file of its own.

    `starts` are the positions at which a text begins; at `held` ones the text before goes on, and
    a slice must end there.
    """

    name: str
    path: Path | None
    rows: int
    starts: NDArray[np.int64]
    held: NDArray[np.int64]

    def at(self, session: Session, position: int) -> tuple[str, int]:
        """Return the normalised text and the row number at a position."""
        query = f"SELECT normalized, row FROM {self.name} WHERE position = :position"  # noqa: S608
        found = session.execute(text(query), {"position": position}).one()
        return found[0], found[1]

    def drop(self, database: Database) -> None:
        """Remove the rows, merged or not."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            return
        with database.engine.begin() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {self.name}"))

    def slice_end(self, first: int, rows: int) -> int:
        """Return the last position of a slice of about `rows` rows that parts no text."""
        stop = int(np.searchsorted(self.starts, first + rows, side="left"))
        end = int(self.starts[stop]) if stop < len(self.starts) else self.rows + 1
        beyond = int(np.searchsorted(self.held, first, side="right"))
        if beyond < len(self.held):
            end = min(end, int(self.held[beyond]))
        return end - 1


def stage(database: Database, upload_id: int, pages: Iterable[Sorted]) -> Staged:
    """Write rows down where `merging` finds them."""
    found = _Places()
    if database.engine.dialect.name == "sqlite":
        path = _write_file(folder(database.engine), upload_id, found.of(pages))
        return Staged(f"{_ATTACHED}.rows", path, found.rows, *found.all())
    name = _write_table(database.engine, upload_id, found.of(pages))
    return Staged(name, None, found.rows, *found.all())


class _Places:
    """Where texts start and where long ones go on, gathered while pages are written."""

    def __init__(self) -> None:
        self.rows = 0
        self._starts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._held: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]

    def of(self, pages: Iterable[Sorted]) -> Iterator[pa.Table]:
        for page in pages:
            self.rows += page.table.num_rows
            self._starts.append(page.starts)
            self._held.append(page.held)
            yield page.table

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.concatenate(self._starts), np.concatenate(self._held)


@contextmanager
def merging(database: Database, staged: Staged) -> Iterator["Merging"]:
    """Open staged rows for merging."""
    with database.engine.execution_options(writes=True).connect() as connection:
        if staged.path is None:
            _refresh_statistics(connection)
            yield Merging(connection)
            return
        raw: Any = connection.connection.driver_connection
        # Until a statement is over SQLite keeps what each page was that it changed, and one that
        # enters a slice into five indexes changes thousands: 70 MB in memory at a million rows.
        raw.execute("PRAGMA temp_store = FILE")
        try:
            raw.execute(f"ATTACH DATABASE ? AS {_ATTACHED}", (str(staged.path),))
            try:
                yield Merging(connection)
            finally:
                connection.rollback()
                raw.execute(f"DETACH DATABASE {_ATTACHED}")
        finally:
            raw.execute("PRAGMA temp_store = MEMORY")


def _refresh_statistics(connection: Connection) -> None:
    """Let PostgreSQL look at the mappings again once many are new: what it does not know of, it
    goes through from one end to the other."""
    with connection.begin():
        if connection.scalar(text(_OUTDATED)):
            connection.execute(text("ANALYZE mappings"))


@dataclass(frozen=True, slots=True)
class Merging:
    """The connection to which staged rows are known."""

    connection: Connection

    def begin(self) -> AbstractContextManager[Session]:
        return transaction(self.connection)


def forget(database: Database, upload_id: int) -> None:
    """Remove whatever an upload that has ended left staged."""
    if database.engine.dialect.name == "sqlite":
        for path in folder(database.engine).glob(f"upload-{upload_id}-*"):
            path.unlink(missing_ok=True)
        return
    with database.engine.begin() as connection:
        names = connection.scalars(text(_LEFT), {"begin": f"staged_{upload_id}_"}).all()
        for name in names:
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def folder(engine: Engine) -> Path:
    """Return where files of uploads lie while they are merged: beside the store if it is a file."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        return Path(engine.url.database).parent / "staging"
    return Path(tempfile.gettempdir())


def _write_file(within: Path, upload_id: int, tables: Iterable[pa.Table]) -> Path:
    within.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=within, prefix=f"upload-{upload_id}-", suffix=".db", delete=False
    ) as file:
        path = Path(file.name)
    with ExitStack() as unless_whole:
        unless_whole.callback(path.unlink, missing_ok=True)
        try:
            _fill(path, tables)
        except adbc_driver_manager.Error as error:
            raise OSError(f"rows cannot be staged in {within}, is it full? {error}") from error
        unless_whole.pop_all()
    return path


def _fill(path: Path, tables: Iterable[pa.Table]) -> None:
    # Another library's SQLite: it may open this file alone, and closes it before the store's does.
    with (
        adbc_driver_sqlite.dbapi.connect(str(path), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            cursor.execute(f"PRAGMA {pragma}")
            cursor.fetchall()
        columns = _COLUMNS.format(time="TEXT").replace("position BIGINT", "position INTEGER")
        cursor.execute(f"CREATE TABLE rows ({columns})")
        for table in tables:
            cursor.adbc_ingest("rows", table, mode="append")


def _write_table(engine: Engine, upload_id: int, tables: Iterable[pa.Table]) -> str:
    name = f"staged_{upload_id}_{secrets.token_hex(4)}"
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE UNLOGGED TABLE {name} ({_COLUMNS.format(time='TIMESTAMPTZ')})")
        )
        raw: Any = connection.connection.driver_connection
        for table in tables:
            _copy(raw, name, table)
        connection.execute(text(f"ANALYZE {name}"))
    return name


def _copy(connection: "psycopg.Connection[Any]", name: str, table: pa.Table) -> None:
    plain = pcsv.WriteOptions(include_header=False)
    into = f"COPY {name} ({', '.join(table.column_names)}) FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for batch in table.to_batches(max_chunksize=20_000):
            written = io.BytesIO()
            pcsv.write_csv(batch, written, plain)
            copy.write(written.getbuffer())
