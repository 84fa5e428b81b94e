"""The models that were trained, and which of them answers."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.errors import NotFound
from llm_pipeline.store.schema_operations import models


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A trained model; `status` is challenger, champion, refused, former, withdrawn by a rollback,
    imported or forgotten, whose files are deleted."""

    version: str
    run_id: str
    as_of: int
    status: str
    metrics: dict[str, float]
    reason: str
    trained_at: datetime
    promoted_at: datetime | None


def add_challenger(session: Session, new: StoredModel) -> None:
    """Store a newly trained model; an older challenger that never got its turn is refused."""
    session.execute(
        update(models)
        .where(models.c.status == "challenger")
        .values(status="refused", reason=f"overtaken by version {new.version}")
    )
    values = {name: getattr(new, name) for name in StoredModel.__slots__}
    session.execute(insert(models).values(values))


def get(session: Session, version: str) -> StoredModel:
    """Return a model by version; `NotFound` if there is none."""
    row = session.execute(select(models).where(models.c.version == version)).first()
    if row is None:
        raise NotFound(f"there is no model version {version!r}")
    return StoredModel(*row)


def champion(session: Session) -> StoredModel | None:
    """Return the model that answers, if any was promoted yet."""
    return _with_status(session, "champion")


def challenger(session: Session) -> StoredModel | None:
    """Return the model that wants to answer."""
    return _with_status(session, "challenger")


def _with_status(session: Session, status: str) -> StoredModel | None:
    row = session.execute(select(models).where(models.c.status == status)).first()
    return None if row is None else StoredModel(*row)


def before(session: Session, champion: StoredModel) -> StoredModel | None:
    """Return the model that was promoted last among those that answered before."""
    m = models.c
    query = select(models).where(m.status == "former", m.version != champion.version)
    row = session.execute(query.order_by(m.promoted_at.desc()).limit(1)).first()
    return None if row is None else StoredModel(*row)


def add_imported(session: Session, new: StoredModel) -> None:
    """Store a model that came from elsewhere: it answers once somebody promotes it."""
    values = {name: getattr(new, name) for name in StoredModel.__slots__}
    session.execute(insert(models).values(values))


def promote(session: Session, version: str, reason: str, at: datetime) -> None:
    """Make a version the champion; the one before becomes a former one."""
    session.execute(update(models).where(models.c.status == "champion").values(status="former"))
    session.execute(
        update(models)
        .where(models.c.version == version)
        .values(status="champion", reason=reason, promoted_at=at)
    )


def refuse(session: Session, version: str, reason: str) -> None:
    """Record that a challenger did not beat the champion, and why."""
    _end(session, version, "refused", reason)


def withdraw(session: Session, version: str, reason: str) -> None:
    """Record that a model answered until a rollback: no later one returns to it by itself."""
    _end(session, version, "withdrawn", reason)


def _end(session: Session, version: str, status: str, reason: str) -> None:
    ended = update(models).where(models.c.version == version)
    session.execute(ended.values(status=status, reason=reason))


def losers(session: Session, before: datetime) -> list[StoredModel]:
    """Return refused models that never answered and were trained before a time."""
    m = models.c
    never = m.status == "refused", m.promoted_at.is_(None), m.trained_at < before
    return [StoredModel(*row) for row in session.execute(select(models).where(*never))]


def forget(session: Session, version: str) -> None:
    """Record that the files of a model are deleted."""
    session.execute(update(models).where(models.c.version == version).values(status="forgotten"))


def trained_up_to(session: Session) -> int:
    """Return the newest `as_of` that any model was trained at, 0 before the first."""
    query = select(models.c.as_of).order_by(models.c.as_of.desc()).limit(1)
    return session.scalar(query) or 0


def history(session: Session, limit: int = 100) -> list[StoredModel]:
    """Return the models, newest first."""
    rows = session.execute(select(models).order_by(models.c.trained_at.desc()).limit(limit))
    return [StoredModel(*row) for row in rows]
