"""Submit: one text in."""

from dataclasses import replace
from datetime import datetime

from llm_pipeline.domain.center_events import SubmissionsReceived
from llm_pipeline.domain.records import Submission
from llm_pipeline.domain.text import (
    MAX_TEXT_LENGTH,
    group_key,
    normalize,
    storage_problem,
    text_problem,
)
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import bulk, catalogue, log, mappings
from llm_pipeline.store.engine import Session


def submit(session: Session, said: Submission, actor: str, at: datetime) -> mappings.StoredMapping:
    """Take in one text; it becomes a mapping that waits, or joins the one it agrees with.

    It is trimmed, as the cells of files are.
    """
    said = replace(said, text=said.text.strip(), note=said.note.strip())
    problem = text_problem(said.text)
    if not problem and len(said.text) > MAX_TEXT_LENGTH:
        problem = f"it has {len(said.text)} characters, {MAX_TEXT_LENGTH} are allowed"
    if problem:
        raise InvalidInput(f"the text {said.text[:80]!r} cannot be submitted: {problem}")
    if damaged := storage_problem(said.note):
        raise InvalidInput(f"the note {said.note[:80]!r} cannot be stored: {damaged}")
    target_id = None if said.target is None else catalogue.active_target(session, said.target)
    normalized = normalize(said.text)
    row = bulk.Row(1, 1, said, normalized, group_key(normalized), target_id)
    offset = log.next_offset(session)
    merged = bulk.merge(session, bulk.Act(None, actor, at, offset), [row], trusted=False)
    stored = mappings.of_submission(session, offset)
    received = SubmissionsReceived(
        actor, 1, new_mappings=merged.new_mappings, mapping_id=stored.id, text=said.text
    )
    log.append(session, at, received)
    return stored
