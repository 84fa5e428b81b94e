"""Plan: what an action would do to all mappings that match, written down and not yet done."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from llm_pipeline.domain.center_events import PlanPreviewed
from llm_pipeline.domain.plans import MAKES, PlanStatus
from llm_pipeline.domain.records import LIVE, Action
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue, consequences, log, mappings, planned, plans
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.limited import limited

MOST_MAPPINGS = 1_000_000
# A request may wait this long for its preview.
SECONDS = 60.0
_ADVICE = f"narrow the filter; a plan can change up to {MOST_MAPPINGS:,} mappings"
# Items are written down in transactions of this size: 50 ms each.
FREEZE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a person wants to do, to what a filter matches or to mappings they name."""

    action: Action
    actor: str
    wanted: mappings.Filter | tuple[int, ...]
    target: str | None = None
    reason: str = ""


def plan(
    database: Database, request: Request, clock: Callable[[], datetime], seconds: float = SECONDS
) -> int:
    """Preview an action and freeze what it would change; return the plan's id.

    Raises InvalidInput if the action does not fit or too much matches, UnknownTarget, and NotFound
    for mappings that are not there. Nobody has to wait meanwhile: it looks at one state of the
    store, and writes in small transactions.
    """
    _demand_fit(request)
    with database.held() as same:
        with same.read() as session:
            new = _look(session, request, seconds)
        with same.begin() as session:
            plan_id = plans.add(session, new, clock())
        last: int | None = 0
        while last is not None:
            with same.begin() as session:
                last = plans.freeze(session, plan_id, last, FREEZE_ROWS)
        with same.begin() as session:
            planned.drop(session)
            _tell(session, plan_id, new, request, clock())
    return plan_id


def _demand_fit(request: Request) -> None:
    action = request.action
    if action not in MAKES:
        raise InvalidInput(f"a plan cannot {action.value}; it can {', '.join(MAKES)}")
    if action is Action.CORRECT and request.target is None:
        raise InvalidInput("a correction needs the target that is right")
    if request.target is not None and MAKES[action] not in LIVE:
        raise InvalidInput(f"{action.value} takes no target; leave {request.target!r} out")


def _look(session: Session, request: Request, seconds: float) -> plans.NewPlan:
    target_id = _target_id(session, request.target)
    if isinstance(request.wanted, tuple):
        matching = mappings.named(session, request.wanted)
        wanted: dict[str, object] = {"ids": list(request.wanted)}
    else:
        matching = mappings.matching(session, request.wanted, literally=True)
        said = asdict(request.wanted)
        wanted = {name: _plain(value) for name, value in said.items() if value not in (None, "")}
    with limited(session, seconds, _ADVICE):
        planned.put_down(session, matching, request.action, target_id)
        number = planned.number(session)
        if number > MOST_MAPPINGS:
            raise InvalidInput(f"this would change {number:,} mappings; {_ADVICE}")
        return plans.NewPlan(
            wanted=wanted,
            action=request.action,
            target_id=target_id,
            reason=request.reason,
            actor=request.actor,
            count=number,
            digest=consequences.digest(session, request.action, request.target),
            preview=consequences.preview(session, request.action, number),
        )


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | list | tuple) else str(value)


def _target_id(session: Session, key: str | None) -> int | None:
    if key is None:
        return None
    return catalogue.active_target(session, key)


def _tell(
    session: Session, plan_id: int, new: plans.NewPlan, request: Request, at: datetime
) -> None:
    plans.change(session, plan_id, at, status=PlanStatus.PREVIEWED.value)
    event = PlanPreviewed(request.actor, plan_id, new.action.value, request.target, new.count)
    log.append(session, at, event)


def forget_old(database: Database, before: datetime) -> int:
    """Delete plans that nobody applied, previewed before a time; return how many."""
    with database.read() as session:
        old = plans.forgettable(session, before)
    for plan_id in old:
        gone = False
        while not gone:
            with database.begin() as session:
                gone = plans.forget(session, plan_id, FREEZE_ROWS)
    return len(old)
