"""ML Dashboard: recognition, and which model answers."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from llm_pipeline.api.auth import Reviewer, Viewer
from llm_pipeline.api.deps import Given, Text, Word
from llm_pipeline.api.schemas import Incoming, MappingOut, RecognitionOut, Recognitions, Texts
from llm_pipeline.api.state import learned_since
from llm_pipeline.domain.records import LIVE, Action, Source, Submission
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import decisions, mappings, models
from llm_pipeline.store.models import StoredModel
from llm_pipeline.wiring import now

router = APIRouter(tags=["ML Dashboard"])


class Lesson(Incoming):
    """A text and the target it means."""

    text: Text
    target: Word
    note: Word = ""


class ModelOut(BaseModel):
    """A trained model; `metrics` are of its held-out rows."""

    version: str
    status: str
    run_id: str
    as_of: int
    metrics: dict[str, float]
    reason: str
    trained_at: datetime
    promoted_at: datetime | None

    @classmethod
    def of(cls, stored: StoredModel) -> Self:
        return cls(**{name: getattr(stored, name) for name in cls.model_fields})


class ServingOut(BaseModel):
    """What answers in this process: `problem` says why a newer champion does not."""

    model_version: str
    offset: int
    problem: str


class ModelStatus(BaseModel):
    """Champion, challenger, and how far the next training is away."""

    serving: ServingOut
    champion: ModelOut | None
    challenger: ModelOut | None
    trained_up_to: int
    decisions_since: int
    learned_since: Annotated[int, Field(description="counted up to 10,000, or `learn_after`")]
    learn_after: int
    missing: int


@router.post("/api/ml/recognize", summary="Recognise texts")
def recognize(services: Given, _caller: Viewer, body: Texts) -> Recognitions:
    serving = services.live.serving
    offset = serving.offset
    answers = serving.recognize(body.texts, body.top_k, explain=body.explain, extra=body.extra)
    return Recognitions(
        model_version=answers[0].model_version or "",
        offset=offset,
        results=[RecognitionOut.of(answer, explain=body.explain) for answer in answers],
    )


@router.post("/api/ml/learn", summary="Teach one text: it is live at once")
def learn(services: Given, caller: Reviewer, body: Lesson) -> MappingOut:
    source = Source.USER if caller.via == "session" else Source.API
    said = Submission(body.text, body.target, body.note, source, caller.user)
    at = now()
    with services.parts.begin() as session:
        stored = submit(session, said, caller.user, at)
        if stored.target != body.target or stored.status not in LIVE:
            verdict = Verdict(Action.CORRECT, stored.version, caller.user, body.target, "taught")
            decide(session, stored.id, verdict, at)
        taught = mappings.get(session, stored.id)
    services.live.catch_up()
    return MappingOut.of(taught)


@router.get("/api/llm-center/get-model-status", summary="Champion, challenger, next training")
def get_model_status(services: Given, _caller: Viewer) -> ModelStatus:
    serving, learn_after = services.live.serving, services.parts.settings.learn_after
    with services.parts.read() as session:
        champion, challenger = models.champion(session), models.challenger(session)
        trained_up_to = models.trained_up_to(session)
        learned = learned_since(session, trained_up_to, learn_after)
        decided = decisions.since(session, trained_up_to)
    return ModelStatus(
        serving=ServingOut(
            model_version=serving.version, offset=serving.offset, problem=serving.problem
        ),
        champion=None if champion is None else ModelOut.of(champion),
        challenger=None if challenger is None else ModelOut.of(challenger),
        trained_up_to=trained_up_to,
        decisions_since=decided,
        learned_since=learned,
        learn_after=learn_after,
        missing=max(0, learn_after - learned),
    )
