"""The rows that each gate looks at, as one query: read if few, else left where they are.

What the columns must be like is in `gates.suites`; `row_key` is the submission's or mapping's id.
"""

from dataclasses import dataclass
from sys import float_info
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Select, TextClause, and_, case, event, func, literal, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.domain.text import text_problem
from llm_pipeline.store import log, training
from llm_pipeline.store.columns import Id
from llm_pipeline.store.schema import mappings, submissions, targets
from llm_pipeline.store.schema_operations import gate_results, gate_rows

# So many rows are in memory sooner than a database has answered for each rule.
FEW = 50_000
# Submissions are looked at again from here on, however many were looked at before.
NEWEST = 50_000
# What `domain.text.text_problem` takes for control characters, but NUL, which no text can hold.
_CONTROL = "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"

_m, _r, _s, _t = mappings.c, gate_results.c, submissions.c, targets.c
_WAITING = (_m.status == Status.PENDING.value) & _m.suggested_target_id.is_not(None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a gate looks at: the rows, what a row is, and the offset they speak of; of submissions
    those behind the id `after`."""

    suite: str
    as_of: int
    kind: str
    query: Select[Any]
    after: int = 0


def asked(session: Session, suite: str) -> Asked:
    """Return what a suite looks at now."""
    as_of = log.latest(session)
    if suite == "submissions":
        after = _looked_at(session)
        return Asked(suite, as_of, "submission", _submissions(session, after), after)
    if suite == "predictions":
        return Asked(suite, as_of, "mapping", _predictions())
    if suite == "training_set":
        built = training.latest_training_set(session)
        as_of = built.as_of if built else 0
        return Asked(suite, as_of, "mapping", _training_set(as_of))
    return Asked(suite, as_of, "mapping", _live())


def are_few(session: Session, found: Asked) -> bool:
    """Whether the rows are better read than left in the database."""
    some = found.query.limit(FEW + 1).subquery()
    return (session.scalar(select(func.count()).select_from(some)) or 0) <= FEW


def read(session: Session, found: Asked) -> pd.DataFrame:
    """Return the rows, by their keys."""
    result = session.execute(found.query)
    columns = list(result.keys())
    rows = pd.DataFrame(result.fetchall(), columns=columns, dtype=object).set_index("row_key")
    rows.index.name = None  # Great Expectations then names rows by the bare key
    for name in {"text_length", "normalized_length", "probability"} & {*columns}:
        rows[name] = pd.to_numeric(rows[name])
    if "active" in columns:
        rows["active"] = rows["active"].astype(bool)
    if found.suite == "submissions":
        # In memory, all that the cleaning rules say; SQL sees control characters and blanks.
        states = [text_problem(text) or "ok" for text in rows["text"]]
        rows["text_state"] = pd.Series(states, rows.index, dtype=object)
    return rows


def count(session: Session, found: Asked) -> int:
    """Return how many rows there are, without joining or judging them."""
    if found.suite == "submissions":
        query = select(func.count()).select_from(submissions).where(_s.id > found.after)
    elif found.suite == "training_set":
        query = select(func.count()).select_from(training.live_at(found.as_of).subquery())
    else:
        of_suite = _WAITING if found.suite == "predictions" else training.IS_LIVE
        query = select(func.count()).select_from(mappings).where(of_suite)
    return session.scalar(query) or 0


def sql(session: Session, found: Asked) -> str:
    """Return the query as a text, for whoever runs it on a connection of its own."""
    dialect = session.get_bind().dialect
    query = found.query
    if dialect.name == "sqlite" and found.suite == "submissions":
        # It would put the expression of a state wherever a rule looks at it, and work it out each
        # time; with a limit it makes the rows first.
        query = query.limit(-1)
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def ask_names_only(engine: Engine, query: str) -> None:
    """Answer the bare query without its rows: Great Expectations runs it for the names of its
    columns, and PostgreSQL's driver then fetched five million rows (800 MB)."""
    names = text(f"SELECT * FROM ({query}) AS no_rows LIMIT 0")  # noqa: S608 (it is our own)

    def asked_again(_connection: Any, clause: Any, many: Any, given: Any, _options: Any) -> Any:
        is_bare = isinstance(clause, TextClause) and clause.text == query
        return (names if is_bare else clause), many, given

    event.listen(engine, "before_execute", asked_again, retval=True)


def address(session: Session) -> str:
    """Return where the database is."""
    url = session.get_bind().engine.url
    if url.get_backend_name() == "postgresql" and not url.host:
        # Great Expectations takes no address without a host; the one in the query counts.
        url = url.set(host="localhost")
    return url.render_as_string(hide_password=False)


def _looked_at(session: Session) -> int:
    """The id up to which submissions passed the gate, are not among the newest, and not among those
    that failed last."""
    own = (_r.suite == "submissions") & _r.upload_id.is_(None)
    passed = session.scalar(select(func.max(_r.as_of)).where(own, _r.success)) or 0
    seen = session.scalar(select(func.max(_s.id)).where(_s.received_offset <= passed)) or 0
    newest = session.scalar(select(func.max(_s.id))) or 0
    last = select(_r.id).where(own).order_by(_r.id.desc()).limit(1).scalar_subquery()
    named = (gate_rows.c.result_id == last) & (gate_rows.c.kind == "submission")
    failed = session.scalar(select(func.min(gate_rows.c.key.cast(Id))).where(named))
    return max(0, min(seen, newest - NEWEST, (failed or newest + 1) - 1))


def _submissions(session: Session, after: int) -> Select[Any]:
    if session.get_bind().dialect.name == "sqlite":
        control = _s.text.op("GLOB")(f"*{_CONTROL}*")
    else:
        control = _s.text.op("~")(_CONTROL)
    text_state = case(
        (func.trim(_s.text) == "", "it is blank"),
        (control, "it holds a control character"),
        else_="ok",
    )
    target_state = case(
        (_s.target_id.is_(None), "none"),
        (_t.id.is_(None), "it is not in the catalogue"),
        else_="known",
    )
    amount_state = case(
        (_s.amount.is_(None), "none"),
        (func.abs(_s.amount) <= float_info.max, "ok"),
        else_="it is not finite",
    )
    return (
        select(
            _s.id.label("row_key"),
            _s.text,
            func.length(_s.text).label("text_length"),
            text_state.label("text_state"),
            target_state.label("target_state"),
            # Times and amounts are in columns of their own by now, which hold any time, but more
            # than any amount.
            literal("ok").label("time_state"),
            amount_state.label("amount_state"),
        )
        .select_from(submissions.outerjoin(targets, _t.id == _s.target_id))
        .where(_s.id > after)
    )


def _active() -> Any:
    return and_(_t.id.is_not(None), _t.retired_at.is_(None)).label("active")


def _live() -> Select[Any]:
    return (
        select(
            _m.id.label("row_key"),
            _t.key.label("target"),
            _active(),
            _m.normalized,
            func.length(_m.normalized).label("normalized_length"),
        )
        .select_from(mappings.outerjoin(targets, _t.id == _m.target_id))
        .where(training.IS_LIVE)
    )


def _training_set(as_of: int) -> Select[Any]:
    live = training.live_at(as_of).subquery()
    return select(
        _m.id.label("row_key"),
        _t.key.label("target"),
        _active(),
        _m.normalized,
        func.length(_m.text).label("text_length"),
    ).select_from(
        live.join(mappings, _m.id == live.c.id).outerjoin(targets, _t.id == live.c.target_id)
    )


def _predictions() -> Select[Any]:
    return (
        select(_m.id.label("row_key"), _m.probability, _active())
        .select_from(mappings.outerjoin(targets, _t.id == _m.suggested_target_id))
        .where(_WAITING)
    )
