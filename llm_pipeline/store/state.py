"""Small reads for the API's snapshots and pages, and the database errors it can act on."""

from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import Session

from llm_pipeline.store import catalogue
from llm_pipeline.store.quality import StoredGateResult
from llm_pipeline.store.schema import targets, uploads
from llm_pipeline.store.schema_operations import gate_results
from llm_pipeline.store.uploads import Upload

# Gone, locked or full: the same call may succeed later. Any other DatabaseError will not.
UNAVAILABLE = (OperationalError, InterfaceError, NoConnectionLeft)
DatabaseError = DBAPIError


def is_migrated(session: Session) -> bool:
    """Whether the database has the newest schema."""
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    current = MigrationContext.configure(session.connection()).get_current_heads()
    return set(current) == set(scripts.get_heads())


def latest_gates(session: Session) -> list[StoredGateResult]:
    """Return the newest result of every suite that has run, by the suite's name."""
    newest = select(func.max(gate_results.c.id)).group_by(gate_results.c.suite)
    query = select(gate_results).where(gate_results.c.id.in_(newest)).order_by(gate_results.c.suite)
    return [StoredGateResult(*row) for row in session.execute(query)]


def upload_page(session: Session, before_id: int | None, limit: int) -> list[Upload]:
    """Return uploads, newest first, below the id `before_id`."""
    query = select(uploads).order_by(uploads.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(uploads.c.id < before_id)
    return [Upload(*row) for row in session.execute(query)]


def upload_count(session: Session) -> int:
    """Return how many files were ever taken in."""
    return session.scalar(select(func.count()).select_from(uploads)) or 0


def target_count(session: Session, q: str) -> int:
    """Return how many targets `catalogue.page` finds for `q`, over all its pages."""
    query = select(func.count()).select_from(targets)
    if q:
        query = query.where(catalogue.matches(q))
    return session.scalar(query) or 0


def has_sample_data(session: Session) -> bool:
    """Whether any entry of the catalogue says of itself that it is a sample."""
    sample = targets.c.attributes["sample"].as_string() == "true"
    return session.scalar(select(targets.c.id).where(sample).limit(1)) is not None
