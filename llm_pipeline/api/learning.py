"""Learning: trainings asked for, and feedback from outside."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from llm_pipeline import orchestrator
from llm_pipeline.api.auth import Caller, Reviewer, Submitter, Viewer
from llm_pipeline.api.deps import Given, Limit, Text, Word
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.domain.automation_events import FeedbackGiven
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.errors import Conflict, InvalidInput, NotFound
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.steps.take_feedback import Said, Todo, weigh
from llm_pipeline.steps.want_learning import Enough, ask, look
from llm_pipeline.store import feedback, log, mappings, models, wishes
from llm_pipeline.store.engine import Session
from llm_pipeline.wiring import now

router = APIRouter(tags=["Learning"])

MOST_ITEMS = 1_000
JOB = "learning"


class Asked(Incoming):
    """Why a training is wanted."""

    reason: Word = ""


class Triggered(BaseModel):
    """A training that was asked for: `run_id` is null while Dagster does not answer; it runs once
    it is back. `as_of` is the newest offset it can learn from by now."""

    run_id: str | None
    wanted_id: int
    as_of: int
    reason: str


class WishOut(BaseModel):
    """A training that something asked for, and what came of it."""

    id: int
    kind: str
    version: str
    reason: str
    actor: str
    offset: int
    wanted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    run_id: str | None
    outcome: str

    @classmethod
    def of(cls, stored: wishes.Wish) -> Self:
        return cls(**{name: getattr(stored, name) for name in cls.model_fields})


@router.post("/api/llm-center/trigger-learning", status_code=202, summary="Ask for a training")
def trigger_learning(services: Given, caller: Reviewer, body: Asked | None = None) -> Triggered:
    parts, at = services.parts, now()
    with parts.begin() as session:
        wanted = ask(session, body.reason if body else "", caller.user, at)
        as_of = log.latest(session)
        (wish,) = [one for one in wishes.waiting(session) if one.id == wanted]
    tags = orchestrator.learning_tags(wish.reason, wanted)
    run_id = orchestrator.launch(parts.settings.dagster_url, JOB, tags)
    if run_id is not None:
        with parts.begin() as session:
            wishes.asked(session, wanted, run_id, at)
    return Triggered(run_id=run_id, wanted_id=wanted, as_of=as_of, reason=wish.reason)


@router.get("/api/learning/wanted", summary="Trainings asked for, and what came of them")
def list_wanted(services: Given, _caller: Viewer, limit: Limit = 50) -> list[WishOut]:
    with services.parts.read() as session:
        return [WishOut.of(one) for one in wishes.history(session, limit)]


class FeedbackItem(Incoming):
    """Whether an answer was right. `recognition_id` is the id of the mapping that was answered;
    without it, `text` is what was asked."""

    recognition_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    text: Text | None = None
    correct: bool
    target: Word | None = None
    note: Word = ""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.recognition_id is None) == (not self.text):
            raise ValueError("send either `recognition_id` or `text`")
        return self

    def record(self) -> Said:
        return Said(self.correct, self.recognition_id, self.text or "", self.target, self.note)


class FeedbackDone(BaseModel):
    """What came of one item: confirmed, proposed, reopened, submitted, recorded or refused."""

    done: str
    why: str
    mapping_id: int | None
    status: Status | None


class FeedbackTaken(BaseModel):
    """What came of every item, in their order, and whether they triggered a training.

    `wrong_since` answers were called wrong since the last training; `needed` trigger one.
    """

    items: list[FeedbackDone]
    learning_triggered: bool
    wrong_since: int
    needed: int


@router.post("/api/learning/feedback-loop", summary="Say whether answers were right")
def feedback_loop(
    services: Given,
    caller: Submitter,
    body: Annotated[list[FeedbackItem], Field(min_length=1, max_length=MOST_ITEMS)],
) -> FeedbackTaken:
    """Nothing of it is live before a person decides: a target that is said to be right is proposed,
    what only a policy had approved waits again."""
    done = []
    for item in body:
        with services.parts.begin() as session:
            done.append(_take(session, caller, item))
    taken = [one for one in done if one.done != "refused"]
    pairs = zip(body, done, strict=True)
    called_wrong = [one for item, one in pairs if one in taken and not item.correct]
    ids, wrong_ids = (
        [one.mapping_id for one in some if one.mapping_id is not None]
        for some in (taken, called_wrong)
    )
    wrong = len(called_wrong)
    event = FeedbackGiven(caller.user, len(taken), len(taken) - wrong, wrong, ids, wrong_ids)
    settings = services.parts.settings
    with services.parts.begin() as session:
        if taken:
            log.append(session, now(), event)
        before = log.latest(session)
        enough = Enough(settings.learn_after, settings.learn_after_feedback)
        look(session, enough, caller.user, now())
        triggered = bool(log.read_since(session, before, names=["learning:wanted"]))
        since = feedback.wrong_since(session, models.trained_up_to(session))
    services.live.catch_up()
    return FeedbackTaken(
        items=done,
        learning_triggered=triggered,
        wrong_since=since,
        needed=settings.learn_after_feedback,
    )


def _take(session: Session, caller: Caller, item: FeedbackItem) -> FeedbackDone:
    at = now()
    try:
        todo = weigh(session, item.record(), caller.user, caller.role, at)
        stored = _carry_out(session, todo, caller.user, item.note)
    except (InvalidInput, NotFound, Conflict) as error:
        return FeedbackDone(done="refused", why=str(error), mapping_id=None, status=None)
    return FeedbackDone(
        done=todo.done,
        why=todo.why,
        mapping_id=None if stored is None else stored.id,
        status=None if stored is None else stored.status,
    )


def _carry_out(
    session: Session, todo: Todo, actor: str, note: str
) -> mappings.StoredMapping | None:
    if todo.submission is not None:
        return submit(session, todo.submission, actor, now())
    if todo.reopens and todo.mapping is not None:
        reason = f"feedback: wrong. {note}".strip()
        verdict = Verdict(Action.REOPEN, todo.mapping.version, actor, reason=reason)
        decide(session, todo.mapping.id, verdict, now())
        return mappings.get(session, todo.mapping.id)
    return todo.mapping
