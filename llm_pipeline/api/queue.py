"""LLM Center: the review queue, group by group; conflicts, and how well reviewers agree."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from llm_pipeline.api.auth import Caller, Reviewer, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, Word
from llm_pipeline.api.paging import Page, cursor_of, page_of, position_of, row_position
from llm_pipeline.api.queue_schemas import (
    EVIDENCE,
    AgreementOut,
    GroupDecisionIn,
    GroupDecisionOut,
    GroupOut,
    InConflictOut,
    LeasedOut,
    NewLease,
    Release,
    Released,
    seen_in,
)
from llm_pipeline.domain.agreement import kappa
from llm_pipeline.domain.intervals import wilson
from llm_pipeline.domain.records import Action, Role
from llm_pipeline.domain.review import Order
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.lease_groups import Leased, Wish, lease_groups, with_near
from llm_pipeline.steps.settle_group import Ruling, settle_group
from llm_pipeline.steps.undo_group import undo_group
from llm_pipeline.store import activity, conflicts, groups_shown, leases, queue, second_reviews
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center", tags=["LLM Center"])

GroupLimit = Annotated[int, Query(ge=1, le=200, description="how many groups to return")]


@router.get("/queue", summary="Groups of like texts that wait")
def list_queue(
    services: Given,
    _caller: Reviewer,
    order: Order = Order.VALUE,
    conflicts: Annotated[bool, Query(description="only with differing proposals")] = False,
    target: Annotated[Word | None, Query(description="suggested or proposed")] = None,
    min_rows: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    explain: Annotated[bool, Query(description="evidence and near groups too")] = False,
    limit: GroupLimit = 50,
    cursor: Cursor = None,
) -> Page[GroupOut]:
    wanted = queue.Wanted(order, conflicts, target, min_rows)
    with services.parts.read() as session:
        found = queue.page(session, wanted, _position(order, cursor), limit)
        if explain:
            near = with_near(session, found.keys, now())
        else:
            groups = groups_shown.shown(session, found.keys, now())
    goes_on = None if found.next_position is None else [order, *found.next_position]
    return Page(
        items=_explained(services, near) if explain else [GroupOut.plain(one) for one in groups],
        next_cursor=None if goes_on is None else cursor_of(json.dumps(goes_on)),
        total=found.total,
        total_is_exact=found.total_is_exact,
    )


def _position(order: Order, cursor: str | None) -> queue.Position | None:
    if cursor is None:
        return None
    position = position_of(cursor)
    try:
        of, number, key = json.loads(position)
    except (ValueError, TypeError):
        of = number = key = None
    if of != order or not isinstance(number, int | float) or not isinstance(key, str):
        raise InvalidInput(f"cursor {cursor[:40]!r} belongs to another list or order")
    return number, key


def _explained(services: Given, groups: Sequence[Leased]) -> list[GroupOut]:
    texts = [one.group.texts[0].text for one in groups]
    answers = services.live.serving.recognize(texts, EVIDENCE, explain=True) if texts else []
    return [
        GroupOut.explained(one, answer.candidates)
        for one, answer in zip(groups, answers, strict=True)
    ]


@router.post("/queue/lease", summary="Hold the next groups, and renew what is held")
def lease_queue(services: Given, caller: Reviewer, body: NewLease) -> LeasedOut:
    at = now()
    wish = Wish(caller.user, body.order, body.groups, timedelta(minutes=body.minutes))
    with services.parts.begin() as session:
        held = lease_groups(session, wish, at)
        today = at.replace(hour=0)
        done = activity.of_person(session, caller.user, today)
    return LeasedOut(items=_explained(services, held), today=done)


@router.post("/queue/release", summary="Give held groups back")
def release_queue(services: Given, caller: Reviewer, body: Release) -> Released:
    with services.parts.begin() as session:
        return Released(released=leases.release(session, caller.user, body.keys))


@router.post("/queue/decide", summary="Approve, correct, reject or skip groups, or undo that")
def decide_groups(services: Given, caller: Reviewer, body: GroupDecisionIn) -> GroupDecisionOut:
    answer = _undo(services, caller, body) if body.action is Action.UNDO else None
    if answer is None:
        answer = _settle(services, caller, body)
    services.live.catch_up()
    return answer


def _undo(services: Given, caller: Caller, body: GroupDecisionIn) -> GroupDecisionOut:
    if body.decision is None or body.groups:
        raise InvalidInput("undo needs `decision`, the id of what is to be undone, and no groups")
    undone = undo_group(services.parts.database, body.decision, caller.user, body.reason, now)
    return GroupDecisionOut(action=body.action, **asdict(undone))


def _settle(services: Given, caller: Caller, body: GroupDecisionIn) -> GroupDecisionOut:
    if body.decision is not None:
        raise InvalidInput("`decision` belongs to undo; name groups by their tokens")
    ruling = Ruling(
        body.action,
        caller.user,
        tuple(seen_in(token) for token in body.groups),
        body.target,
        body.reason,
        services.parts.settings.second_review_share,
        overrule=caller.role is Role.ADMIN,
    )
    done: dict[str, Any] = asdict(settle_group(services.parts.database, ruling, now))
    return GroupDecisionOut(action=body.action, left=done.pop("changed"), **done)


@router.get("/conflicts", summary="Texts whose submissions propose different targets")
def list_conflicts(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[InConflictOut]:
    with services.parts.read() as session:
        found = conflicts.page(session, row_position(cursor) or 0, limit + 1)
        total = conflicts.count(session)
    return page_of(found, limit, InConflictOut.model_validate, total, place="mapping_id")


@router.get("/agreement", summary="How often two reviewers say the same")
def get_agreement(services: Given, _caller: Viewer) -> AgreementOut:
    with services.parts.read() as session:
        said = second_reviews.counts(session)
    groups = sum(said.pairs.values())
    agreed = sum(number for (one, other), number in said.pairs.items() if one == other)
    share = agreed / groups if groups else None
    low, high = wilson(share or 0.0, groups)
    return AgreementOut(
        groups=groups,
        agreed=agreed,
        share=share,
        low=low,
        high=high,
        kappa=kappa(said.pairs),
        waiting=said.waiting,
        disputed=said.disputed,
    )
