"""Plans for tests: previewed, applied and taken back in one call, and the state to compare."""

from typing import Any

from sqlalchemy import select

from llm_pipeline.domain.records import Action
from llm_pipeline.steps import apply_plan
from llm_pipeline.steps.plan import Request, plan
from llm_pipeline.store import mappings, plans
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.plans import Plan
from llm_pipeline.store.schema import mappings as table
from llm_pipeline_tests.conftest import Clock


def preview(
    database: Database,
    clock: Clock,
    action: Action,
    wanted: mappings.Filter | tuple[int, ...] | None = None,
    target: str | None = None,
) -> Plan:
    chosen = mappings.Filter() if wanted is None else wanted
    plan_id = plan(database, Request(action, "ann", chosen, target, "why"), clock)
    return get(database, plan_id)


def get(database: Database, plan_id: int) -> Plan:
    with database.read() as session:
        return plans.get(session, plan_id)


def apply(database: Database, clock: Clock, previewed: Plan) -> Plan:
    with database.begin() as session:
        apply_plan.begin_apply(session, previewed.id, previewed.digest, "bob", clock())
    apply_plan.run(database, previewed.id, clock, pause=0)
    return get(database, previewed.id)


def undo(database: Database, clock: Clock, plan_id: int) -> Plan:
    with database.begin() as session:
        apply_plan.begin_undo(session, plan_id, "eve", clock())
    apply_plan.run(database, plan_id, clock, pause=0)
    return get(database, plan_id)


def state(session: Session) -> list[Any]:
    """Everything of all mappings but what counts changes and where they are in the log."""
    moving = ("version", "updated_at", "live_from")
    kept = [column for column in table.c if column.name not in moving]
    return [tuple(row) for row in session.execute(select(*kept).order_by(table.c.id))]
