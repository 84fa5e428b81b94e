"""Slices of staged rows into the tables, one transaction each.

Texts that nobody has sent before need no look at what there is: they become mappings and
submissions by one statement each. Those that are known go through the statements of `bulk`.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from llm_pipeline.store import activity, bulk, touched
from llm_pipeline.store.bulk import Act, Merged
from llm_pipeline.store.schema import ENDED_STATUSES, LIVE_STATUSES, PENDING_STATUS
from llm_pipeline.store.staged import Staged
from llm_pipeline.store.staging import prepare, with_times
from llm_pipeline.store.temporary import emptied

_IN_SLICE = "s.position BETWEEN :first AND :last"
_NEW = "s.start NOT IN (SELECT start FROM known_texts)"
# PostgreSQL knows nothing of temporary tables and would rather go through all mappings: a slice
# that took longer the more there were. Each statement here is some thousand look-ups.
# And nobody waits for the disk: what a crash of the server takes of the last slices, is read again.
_BY_LOOKUP = """
    SELECT set_config(name, 'off', true)
    FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin',
                      'synchronous_commit']) AS name"""
_TEMPORARY = {"known_texts": "start INTEGER PRIMARY KEY"}
# Asked for by status, because each status has an index of its own.
_KNOWN = f"""
    INSERT INTO known_texts (start)
    SELECT s.position FROM {{staged}} s WHERE {_IN_SLICE} AND s.start = s.position AND (
        EXISTS (SELECT 1 FROM mappings m
                WHERE m.normalized = s.normalized AND m.{PENDING_STATUS})
        OR EXISTS (SELECT 1 FROM mappings m
                   WHERE m.normalized = s.normalized AND m.{LIVE_STATUSES})
        OR EXISTS (SELECT 1 FROM mappings m
                   WHERE m.normalized = s.normalized AND m.{ENDED_STATUSES}))"""  # noqa: S608
_PENDING = "'pending', NULL, s.proposal, NULL"
_LABELLED = """
    CASE WHEN s.is_live THEN 'approved' ELSE 'retired' END, s.proposal, s.proposal,
    CASE WHEN s.is_live THEN CAST(:offset AS BIGINT) END"""
_NEW_MAPPINGS = f"""
    INSERT INTO mappings (status, target_id, proposed_target_id, live_from, id, text, normalized,
                          key, conflict, rows, version, note, source, submitter, upload_id,
                          received_offset, created_at, updated_at)
    SELECT {{state}}, :base + s.position, s.text, s.normalized,
           s.key, s.conflict, s.members, s.version, s.note, 'upload', :actor, :upload_id,
           :offset, :at, :at
    FROM {{staged}} s WHERE {_IN_SLICE} AND s.leader = s.position AND {_NEW}
    ORDER BY s.position"""  # noqa: S608
_NEW_SUBMISSIONS = f"""
    INSERT INTO submissions (mapping_id, upload_id, row, line, text, target_id, note, source,
                             submitter, occurred_at, amount, extra, received_offset, received_at)
    SELECT :base + s.leader, :upload_id, s.row, s.line, s.text, s.target_id, s.note, 'upload',
           :actor, s.occurred_at, s.amount, s.extra, :offset, :at
    FROM {{staged}} s WHERE {_IN_SLICE} AND {_NEW} ORDER BY s.position"""  # noqa: S608
_KNOWN_ROWS = f"""
    INSERT INTO staged_rows (row, line, text, normalized, key, target_id, note, source,
                             occurred_at, amount, extra)
    SELECT s.row, s.line, s.text, s.normalized, s.key, s.target_id, s.note, 'upload',
           s.occurred_at, s.amount, s.extra
    FROM {{staged}} s WHERE {_IN_SLICE} AND NOT {_NEW}"""  # noqa: S608
_LIVE = f"SELECT count(*) FROM mappings WHERE id > :newest AND {LIVE_STATUSES}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Slice:
    """Staged rows from one position to another, both included."""

    staged: Staged
    first: int
    last: int

    @property
    def rows(self) -> int:
        return self.last + 1 - self.first


def merge(session: Session, part: Slice, act: Act, *, trusted: bool) -> Merged:
    """Write a slice: trusted labels are live at once, other rows wait."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(_BY_LOOKUP))
    emptied(session, _TEMPORARY)
    known = _run(session, _KNOWN, part, act)
    new = _add_new(session, part, act, trusted=trusted)
    joined = Merged(0, 0)
    if known:
        prepare(session)
        _run(session, _KNOWN_ROWS, part, act)
        joined = bulk.merge_staged(session, act, trusted=trusted)
    activity.add(session, act.at, "upload", {activity.RECEIVED: part.rows})
    return Merged(new.new_mappings + joined.new_mappings, new.approved + joined.approved)


def _add_new(session: Session, part: Slice, act: Act, *, trusted: bool) -> Merged:
    newest = _reserve(session, part.rows)
    base = newest + 1 - part.first
    state = _LABELLED if trusted else _PENDING
    added = _run(session, _NEW_MAPPINGS.replace("{state}", state), part, act, base=base)
    if not added:
        return Merged(0, 0)
    _run(session, _NEW_SUBMISSIONS, part, act, base=base)
    touched.added(session, f"SELECT id FROM mappings WHERE id > {newest}")  # noqa: S608
    live = session.scalar(text(_LIVE), {"newest": newest}) if trusted else 0
    return Merged(added, live or 0)


def _reserve(session: Session, rows: int) -> int:
    """Return the newest id of a mapping, with as many ids behind it that nobody else gets: whoever
    writes mappings holds the log."""
    if session.get_bind().dialect.name == "sqlite":
        return session.scalar(text("SELECT coalesce(max(id), 0) FROM mappings")) or 0
    sequence = "pg_get_serial_sequence('mappings', 'id')"
    first = session.scalar(text(f"SELECT nextval({sequence})")) or 1
    session.execute(text(f"SELECT setval({sequence}, :last)"), {"last": first + rows - 1})
    return first - 1


def _run(session: Session, statement: str, part: Slice, act: Act, **more: int) -> int:
    given = {"first": part.first, "last": part.last, **more}
    given |= {name: getattr(act, name) for name in ("actor", "upload_id", "offset", "at")}
    used = {name: value for name, value in given.items() if f":{name}" in statement}
    result = session.execute(with_times(statement.replace("{staged}", part.staged.name)), used)
    return int(result.rowcount)  # type: ignore[attr-defined]
