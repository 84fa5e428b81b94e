"""LLM Center: mappings are searched, submitted and decided."""

import hashlib
import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from llm_pipeline.api.auth import Caller, Reviewer, Submitter, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId, Word
from llm_pipeline.api.narrowing import Narrowed
from llm_pipeline.api.paging import cursor_of, position_of
from llm_pipeline.api.schemas import (
    AlikeOut,
    DecidedMapping,
    DecisionOut,
    FoundMappings,
    LikeIt,
    MappingHistory,
    MappingOut,
    NewDecision,
    NewMapping,
    RecognitionOut,
    SpanOut,
    SubmissionOut,
    SubmittedMapping,
)
from llm_pipeline.domain.records import Action, Recognition, Source, Status, Submission
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.approve import approve_one
from llm_pipeline.steps.draw_audits import draw_audits
from llm_pipeline.steps.hold import hold_one, score_repeats
from llm_pipeline.steps.recognize import recognize_one
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import history, idempotency, mappings
from llm_pipeline.store.alike import alike
from llm_pipeline.store.engine import Session
from llm_pipeline.store.ordering import Sort
from llm_pipeline.wiring import DICE, now

router = APIRouter(prefix="/api/llm-center/mappings", tags=["LLM Center"])

# A text may have been submitted a hundred thousand times; `rows` of the mapping says how often.
NEWEST_SUBMISSIONS = 100
MOST_ALIKE, SHOWN_ALIKE = 1_000, 20

Key = Annotated[
    Word | None,
    Header(min_length=1, description="the same key and body again get the same mapping"),
]


@router.get("", summary="Search mappings")
def search_mappings(
    services: Given,
    _caller: Viewer,
    narrowed: Narrowed,
    sort: Sort = Sort.NEWEST,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FoundMappings:
    """Every word of `q` is a part of some word of the text; where nothing has it, typos are
    forgiven and `read_as` says how. After `LLM_PIPELINE_SEARCH_SECONDS` the answer is what was
    found until then, with `timed_out`."""
    after = None if cursor is None else position_of(cursor)
    seconds = services.parts.settings.search_seconds
    with services.parts.read() as session:
        found = mappings.page(session, narrowed, after, limit, sort, seconds)
    return FoundMappings(
        items=[MappingOut.of(one) for one in found.items],
        next_cursor=None if found.next_cursor is None else cursor_of(found.next_cursor),
        total=found.total,
        total_is_exact=found.total_is_exact,
        timed_out=found.timed_out,
        read_as={word: list(near[:5]) for word, near in found.read_as.items()},
    )


@router.post("", status_code=201, summary="Submit one text")
def submit_mapping(
    services: Given,
    caller: Submitter,
    body: NewMapping,
    response: Response,
    idempotency_key: Key = None,
) -> SubmittedMapping:
    digest = hashlib.sha256(json.dumps(body.model_dump()).encode()).hexdigest()
    with services.parts.begin() as session:
        stored = _answered(session, caller, idempotency_key, digest)
        if stored is None:
            stored, answer = _submit(session, services, caller, body)
            if idempotency_key is not None:
                done = idempotency.Answered(digest, stored.id)
                idempotency.save(session, caller.user, idempotency_key, done, now())
        else:
            response.headers["Idempotency-Replayed"] = "true"
            answer = services.live.serving.recognize([body.text])[0]
    services.live.catch_up()
    return SubmittedMapping.of(stored, recognition=RecognitionOut.of(answer, explain=True))


def _answered(
    session: Session, caller: Caller, key: str | None, digest: str
) -> mappings.StoredMapping | None:
    found = None if key is None else idempotency.find(session, caller.user, key)
    if found is None:
        return None
    if found.digest != digest:
        raise InvalidInput(
            f"Idempotency-Key {key!r} was used for another body; choose a new key for a new text"
        )
    return mappings.get(session, found.mapping_id)


def _submit(
    session: Session, services: Given, caller: Caller, body: NewMapping
) -> tuple[mappings.StoredMapping, Recognition]:
    source = Source.USER if caller.via == "session" else Source.API
    said = Submission(body.text, body.target, body.note, source, caller.user)
    serving, at = services.live.serving, now()
    stored = submit(session, said, caller.user, at)
    due = services.parts.settings.audit_due
    draw_audits(session, caller.user, at, due, DICE)
    score_repeats(session, serving.recognize)
    hold_one(session, serving.recognize, stored.id, due, caller.user, at)
    if stored.status is not Status.PENDING:
        return stored, serving.recognize([body.text])[0]
    answer = recognize_one(session, serving, stored.id, stored.text, caller.user, at)
    approve_one(session, stored.id, caller.user, at)
    return mappings.get(session, stored.id), answer


@router.get("/{mapping_id}", summary="One mapping with its whole history")
def get_mapping(services: Given, _caller: Viewer, mapping_id: RowId) -> MappingHistory:
    with services.parts.read() as session:
        stored = mappings.get(session, mapping_id)
        decided = history.decided(session, mapping_id)
        spans: list[dict[str, Any]] = history.spans(session, mapping_id)
        newest = history.submitted(session, mapping_id, NEWEST_SUBMISSIONS)
        proposals = history.proposals(session, mapping_id)
    if stored.live_from is not None:
        now_live = {"live_from": stored.live_from, "live_to": None, "ended_by": None}
        spans.append({"target": stored.target, **now_live})
    return MappingHistory.of(
        stored,
        decisions=[DecisionOut(**one) for one in decided],
        live=[SpanOut(**one) for one in spans],
        submissions=[SubmissionOut(**one) for one in newest],
        proposals=proposals,
    )


@router.post("/{mapping_id}/decision", summary="Approve, correct, reject, skip or undo")
def decide_mapping(
    services: Given, caller: Reviewer, mapping_id: RowId, body: NewDecision
) -> DecidedMapping:
    """`like_it` lists what waits and is like it, with the plan that settles it in the same way."""
    verdict = Verdict(body.action, body.version, caller.user, body.target, body.reason)
    with services.parts.begin() as session:
        decide(session, mapping_id, verdict, now())
        stored = mappings.get(session, mapping_id)
        like_it = _like_it(session, stored)
    services.live.catch_up()
    return DecidedMapping.of(stored, like_it=like_it)


def _like_it(session: Session, stored: mappings.StoredMapping) -> LikeIt | None:
    settles = {Status.APPROVED: Action.CORRECT, Status.REJECTED: Action.REJECT}
    action = settles.get(stored.status)
    if action is None:
        return None
    found = alike(session, stored.key, MOST_ALIKE)
    if not found.first:
        return None
    reason = f"like mapping {stored.id}"
    wanted = {"ids": [one.id for one in found.first], "action": action.value, "reason": reason}
    if action is Action.CORRECT:
        wanted["target"] = stored.target or ""
    return LikeIt(
        mappings=found.mappings,
        rows=found.rows,
        first=[AlikeOut(**asdict(one)) for one in found.first[:SHOWN_ALIKE]],
        plan=wanted,
    )
