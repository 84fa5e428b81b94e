"""Temporary tables, which live as long as a connection and are filled anew for each use."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def emptied(session: Session, create: dict[str, str]) -> None:
    """Create temporary tables where the connection has none yet, and empty them.

    On PostgreSQL deleted rows stay where they are and are counted when it chooses how to join: with
    forty chunks of them, each chunk went through all mappings. So they are truncated.
    """
    sqlite = session.get_bind().dialect.name == "sqlite"
    for name, columns in create.items():
        session.execute(text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns})"))
        session.execute(text(f"DELETE FROM {name}" if sqlite else f"TRUNCATE {name}"))  # noqa: S608
