"""The JSON that goes in and out; made from records of the domain and the store, without rules."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from llm_pipeline.api.deps import Text, Word
from llm_pipeline.api.paging import Page
from llm_pipeline.domain.records import Action, Recognition, State, Status, Target
from llm_pipeline.store.catalogue import CatalogueEntry
from llm_pipeline.store.mappings import StoredMapping


class Incoming(BaseModel):
    """Base of request bodies: an unknown field is an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class FromStore(BaseModel):
    """Base of what goes out as the store has it, by the same names."""

    model_config = ConfigDict(from_attributes=True)


class NewMapping(Incoming):
    """One text to submit; `target` is what its sender proposes."""

    text: str
    target: Word | None = None
    note: Word = ""


class NewDecision(Incoming):
    """What a person decides; `version` is the mapping's as they saw it."""

    action: Action
    version: int = Field(ge=1, lt=2**31)
    target: Word | None = None
    reason: Word = ""


# Cells of files are trimmed, so what is to be named there must not end in blanks.
Filled = Annotated[Word, StringConstraints(strip_whitespace=True, min_length=1)]


class NewTarget(Incoming):
    """An entry of the catalogue to create, or to change by its key."""

    key: Filled
    name: Filled
    category: Word = ""
    attributes: dict[Word, Word] = Field(default={}, max_length=100)

    def record(self) -> Target:
        return Target(self.key, self.name, self.category, dict(self.attributes))


Columns = Annotated[dict[Word, Word | float | None], Field(max_length=100)]


class Texts(Incoming):
    """Texts to recognise; `explain` adds the approved text an answer rests on, `extra` holds for
    each text what columns beside it say, or null."""

    texts: list[Text] = Field(min_length=1, max_length=10_000)
    top_k: int = Field(default=5, ge=1, le=50)
    explain: bool = False
    extra: list[Columns | None] | None = None

    @model_validator(mode="after")
    def _one_mapping_for_each_text(self) -> Self:
        if self.extra is not None and len(self.extra) != len(self.texts):
            raise ValueError(
                f"{len(self.extra)} values of extra for {len(self.texts)} texts; "
                "give one mapping or null per text"
            )
        return self


class CandidateOut(BaseModel):
    """A possible target; `evidence` is exact or key, or those of model, neighbour and name that
    spoke for it; `examples` are the nearest approved texts that mean it, in an explanation."""

    target: str
    probability: float
    evidence: str
    example: str | None
    examples: list[str] = []


class RecognitionOut(BaseModel):
    """The answer for one text; `target` is null where the recogniser abstains."""

    text: str
    state: State
    target: str | None
    probability: float
    candidates: list[CandidateOut]

    @classmethod
    def of(cls, answer: Recognition, *, explain: bool) -> Self:
        return cls(
            text=answer.text,
            state=answer.state,
            target=answer.target,
            probability=answer.probability,
            candidates=[
                CandidateOut(
                    target=one.target,
                    probability=one.probability,
                    evidence=one.evidence,
                    example=one.example if explain else None,
                    examples=list(one.examples),
                )
                for one in answer.candidates
            ],
        )


class Recognitions(BaseModel):
    """Answers in the order of the texts; `offset` is how far the recogniser had read the log."""

    model_version: str
    offset: int
    results: list[RecognitionOut]


class Suggestion(BaseModel):
    """What a model suggested for a mapping that waits."""

    target: str
    probability: float
    model_version: str


class MappingOut(BaseModel):
    """A mapping as it stands; targets are keys of the catalogue."""

    id: int
    text: str
    status: Status
    target: str | None
    proposed_target: str | None
    suggestion: Suggestion | None
    conflict: bool
    rows: int
    version: int
    note: str
    source: str
    submitter: str
    upload: int | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: StoredMapping, **more: Any) -> Self:
        same = {
            name: getattr(stored, name)
            for name in MappingOut.model_fields
            if name not in ("suggestion", "upload")
        }
        return cls(**same, suggestion=_suggestion(stored), upload=stored.upload_id, **more)


class AlikeOut(BaseModel):
    """A waiting mapping that is like the one decided; `same_key`: they differ by codes only."""

    id: int
    text: str
    rows: int
    same_key: bool


class LikeIt(BaseModel):
    """What waits and is like the mapping that was just decided: the list, and a request for
    POST /api/llm-center/plans that does the same to all of them. At most 1,000 are named."""

    mappings: int
    rows: int
    first: list[AlikeOut]
    plan: dict[str, Any]


class DecidedMapping(MappingOut):
    """A mapping after a decision, and what could be decided in the same way."""

    like_it: LikeIt | None


class FoundMappings(Page[MappingOut]):
    """A page of mappings; `timed_out`: there may be more; `read_as`: typos and what was sought."""

    timed_out: bool
    read_as: dict[str, list[str]]


def _suggestion(stored: StoredMapping) -> Suggestion | None:
    if stored.suggested_target is None:
        return None
    return Suggestion(
        target=stored.suggested_target,
        probability=stored.probability or 0.0,
        model_version=stored.model_version or "",
    )


class SubmittedMapping(MappingOut):
    """A mapping that was just submitted, with what the recogniser says of its text."""

    recognition: RecognitionOut


class DecisionOut(BaseModel):
    """One decision about a mapping, with what it was before and what was suggested then."""

    decision_id: int
    action: Action
    target: str | None
    actor: str
    reason: str
    previous_status: Status
    previous_target: str | None
    undoes: int | None
    suggested_target: str | None
    probability: float | None
    model_version: str | None
    policy_id: int | None
    plan_id: int | None
    offset: int
    at: datetime


class SpanOut(BaseModel):
    """Offsets between which a mapping was live; `live_to` is null while it is."""

    target: str | None
    live_from: int
    live_to: int | None
    ended_by: str | None


class SubmissionOut(BaseModel):
    """A submission as it arrived."""

    text: str
    target: str | None
    note: str
    source: str
    submitter: str
    upload: int | None
    line: int | None
    offset: int
    at: datetime


class MappingHistory(MappingOut):
    """A mapping with every decision about it, every span in which it was live, its newest
    submissions, and how often which target was proposed."""

    decisions: list[DecisionOut]
    live: list[SpanOut]
    submissions: list[SubmissionOut]
    proposals: dict[str, int]


class TargetOut(BaseModel):
    """An entry of the catalogue."""

    key: str
    name: str
    category: str
    attributes: dict[str, str]
    retired: bool
    merged_into: str | None

    @classmethod
    def of(cls, entry: CatalogueEntry) -> Self:
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class Loaded(BaseModel):
    """What loading targets changed, and how many there are now."""

    created: int
    changed: int
    total: int
