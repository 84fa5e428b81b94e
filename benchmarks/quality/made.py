"""A store of many rows, written by its own database: no upload could do so in three minutes."""

from datetime import timedelta

from sqlalchemy import Engine, Index, bindparam, text

from llm_pipeline.domain.records import Target
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import schema, schema_operations
from llm_pipeline.store.columns import UTCDateTime
from llm_pipeline.store.engine import Database
from llm_pipeline.wiring import now

TARGETS = 500
TEXTS_OF_A_KEY = 3
PENDING = 5  # every fifth mapping waits
WEEKS = 10

# Five letters spell the number of a key, so that forms and keys follow from the texts.
_LETTERS = " || ".join(f"{{char}}(97 + (i / 3 / {26**place}) % 26)" for place in range(5))
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)",
    "postgresql": "WITH n AS (SELECT i FROM generate_series(1, :rows) AS i)",
}
_MAPPINGS = """INSERT INTO mappings (id, text, normalized, key, status, target_id, conflict, rows,
    version, note, source, submitter, upload_id, suggested_target_id, probability, model_version,
    suggested_offset, live_from, received_offset, created_at, updated_at)
{numbers} SELECT i, upper(name) || ' #' || (i % 3), name || ' ' || (i % 3), name, {status}, {live},
    false, 1, 1, '', 'upload', 'made', 1, {waiting}, {probability}, {model}, {offset}, {from}, 1,
    {at}, {at}
FROM (SELECT i, 'shop ' || {letters} AS name, 1 + (i / 3) % 500 AS target FROM n) AS made"""
_SUBMISSIONS = """INSERT INTO submissions (id, mapping_id, upload_id, row, line, text, target_id,
    note, source, submitter, received_offset, received_at)
{numbers} SELECT i, i, 1, i, i + 1, upper('shop ' || {letters}) || ' #' || (i % 3),
    CASE WHEN i % 5 > 0 THEN 1 + (i / 3) % 500 END, '', 'upload', 'made', 1, {at} FROM n"""


def write(database: Database, rows: int) -> None:
    """Write `rows` mappings with a submission each into a migrated, empty store; four in five are
    approved, the others wait with a suggestion."""
    with database.begin() as session:
        targets = [Target(f"T{n}", f"Target {n}") for n in range(TARGETS)]
        load_targets(session, targets, "made", now())
    kind = database.engine.dialect.name
    at = _times(kind)
    letters = _LETTERS.format(char="char" if kind == "sqlite" else "chr")
    waits = f"i % {PENDING} = 0"
    words = {
        "numbers": _NUMBERS[kind],
        "letters": letters,
        "at": at,
        "status": f"CASE WHEN {waits} THEN 'pending' ELSE 'approved' END",
        "live": f"CASE WHEN NOT {waits} THEN target END",
        "from": f"CASE WHEN NOT {waits} THEN 1 END",
        "waiting": f"CASE WHEN {waits} THEN target END",
        "probability": f"CASE WHEN {waits} THEN (i % 990) / 1000.0 END",
        "model": f"CASE WHEN {waits} THEN '1' END",
        "offset": f"CASE WHEN {waits} THEN 1 END",
    }
    upload = text(
        "INSERT INTO uploads (id, filename, path, sha256, bytes, lands_as, columns, encoding, "
        "status, actor, created_at, updated_at) VALUES (1, 'made', '', '0', 0, 'pending', '{}', "
        "'utf-8', 'finished', 'made', :at, :at)"
    )
    with database.begin() as session:
        indexes = [*schema.mappings.indexes, *schema.submissions.indexes]
        for index in indexes:
            index.drop(session.connection())
        session.execute(upload.bindparams(bindparam("at", now(), UTCDateTime)))
        for statement in (_MAPPINGS, _SUBMISSIONS):
            session.execute(text(statement.format(**words)), {"rows": rows})
        _build(indexes, database, session.connection())
        built = schema_operations.training_sets.insert().values(
            as_of=1, rows=rows, texts=rows * 4 // 5, targets=TARGETS, digest="made", built_at=now()
        )
        session.execute(built)
    _tell_planner(database.engine)


def _times(kind: str) -> str:
    """The rows came in ten weeks, as many in each; the last of them now."""
    cast = "" if kind == "sqlite" else "::timestamptz"
    weeks = [now() - timedelta(days=7 * back, hours=1) for back in range(WEEKS - 1, -1, -1)]
    when = " ".join(
        f"WHEN {n} THEN '{at:%Y-%m-%d %H:%M:%S.%f}'{cast}" for n, at in enumerate(weeks)
    )
    return f"CASE (i - 1) * {WEEKS} / :rows {when} END"


def _build(indexes: list[Index], database: Database, connection: object) -> None:
    for index in sorted(indexes, key=lambda one: str(one.name)):
        index.create(connection)  # type: ignore[arg-type]


def _tell_planner(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
