"""Take feedback: somebody outside says whether answers were right.

It never makes a text live: a person decides about what comes of it.
"""

from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.records import LIVE, Role, Source, Status, Submission
from llm_pipeline.domain.text import normalize
from llm_pipeline.store import mappings
from llm_pipeline.store.engine import Session
from llm_pipeline.store.mappings import StoredMapping


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of an answer: `mapping_id` or `text` tells of which, `target` what is right."""

    correct: bool
    mapping_id: int | None = None
    text: str = ""
    target: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Todo:
    """What is to come of it: `done` tells in one word and `why` in a sentence; a submission to be
    taken in, or a mapping that is to wait again."""

    done: str
    why: str
    mapping: StoredMapping | None = None
    submission: Submission | None = None
    reopens: bool = False


def weigh(session: Session, said: Said, actor: str, role: Role, at: datetime) -> Todo:
    """Return what is to come of one item. Raises NotFound for a mapping that is not there."""
    found = _found(session, said)
    if found is None:
        return Todo("submitted", "the text is new", None, _submission(said, said.text, actor, at))
    if said.correct:
        target = found.target if found.status in LIVE else found.suggested_target
        return _confirmed(found, said, target, actor, at)
    if said.target is not None:
        submission = _submission(said, found.text, actor, at)
        return Todo("proposed", "a person decides between the targets", found, submission)
    return _called_wrong(found, role)


def _found(session: Session, said: Said) -> StoredMapping | None:
    if said.mapping_id is not None:
        return mappings.get(session, said.mapping_id)
    return mappings.newest_of(session, normalize(said.text))


def _submission(said: Said, text: str, actor: str, at: datetime) -> Submission:
    source = Source.FEEDBACK
    return Submission(text, said.target, said.note, source, actor, occurred_at=at)


def _confirmed(
    found: StoredMapping, said: Said, target: str | None, actor: str, at: datetime
) -> Todo:
    right = said.target or target
    submission = Submission(found.text, right, said.note, Source.FEEDBACK, actor, occurred_at=at)
    if found.status in LIVE and right == found.target:
        return Todo("confirmed", "it is live and said to be right", found, submission)
    return Todo("proposed", "it waits, with what is said to be right", found, submission)


def _called_wrong(found: StoredMapping, role: Role) -> Todo:
    if found.status is Status.AUTO_APPROVED:
        return Todo("reopened", "nobody had looked at it: it waits for a person", found, None, True)
    if found.status is Status.APPROVED and role.reaches(Role.REVIEWER):
        return Todo("reopened", "it waits for a decision", found, None, True)
    if found.status is Status.APPROVED:
        why = "a person had approved it: name the right target, or a reviewer reopens it"
        return Todo("recorded", why, found)
    return Todo("recorded", f"it is {found.status.value} and answers nobody", found)
