"""Recognise: the champion with everything approved since, and suggestions for what waits."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.center_events import ReviewRequested, TextRecognized
from llm_pipeline.domain.extra import Extra
from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model.changes import follow
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.store import (
    catalogue,
    extra_columns,
    log,
    models,
    quality,
    suggestions,
    training,
)
from llm_pipeline.store.engine import Database, Session

Load = Callable[[str], Recognizer]

MEMORY_ONLY = "memory"
CHUNK = 5_000
RETRY_SECONDS = 5.0


class Serving:
    """The recogniser in service: follows the log, so that each approval and promotion counts.

    `refresh` is called by one thread at a time (a lock sees to it); `recognize` by any number.
    Approvals since the champion's `as_of` are learned from the store, so a restart forgets nothing.
    `extra_columns` are the columns beside stored texts that are shown to the recogniser.
    """

    def __init__(self, load: Load, extra_columns: Sequence[str] = ()) -> None:
        self._load = load
        self.extra_columns = tuple(extra_columns)
        self._lock = threading.Lock()
        self._recognizer = Recognizer.empty()
        self.version = MEMORY_ONLY
        self.offset = 0
        self.problem = ""
        self._retry_at = math.inf

    def refresh(self, session: Session) -> bool:
        """Catch up with the log; return whether anything was new."""
        with self._lock:
            latest = log.latest(session)
            if latest == self.offset and time.monotonic() < self._retry_at:
                return False
            champion = models.champion(session)
            if champion is None or not self._take_over(session, champion):
                if self.version == MEMORY_ONLY:
                    self._without_model(session)
                else:
                    _catch_up(self._recognizer, session, self.offset)
            moved, self.offset = latest != self.offset, latest
            return moved

    def _without_model(self, session: Session) -> None:
        """Answer by approved texts and the catalogue's names, from the first day on."""
        if not catalogue.changed_since(session, self.offset):
            follow(self._recognizer, (), training.live_changes(session, self.offset))
            return
        # How rare a word is among all names decides which one is meant: fitted anew.
        recognizer = Recognizer().fit([], [], catalogue=catalogue.active_targets(session))
        follow(recognizer, (), training.live_changes(session, 0))
        self._recognizer = recognizer

    def _take_over(self, session: Session, champion: models.StoredModel) -> bool:
        """Put the champion into service; False if it is already, or cannot be loaded."""
        if champion.version == self.version:
            return False
        try:
            recognizer = self._load(champion.version)
        except ModelUnavailable as error:
            # The last champion goes on answering, and goes on learning.
            self.problem, self._retry_at = str(error), time.monotonic() + RETRY_SECONDS
            return False
        _catch_up(recognizer, session, champion.as_of)
        self._recognizer, self.version = recognizer, champion.version
        self.problem, self._retry_at = "", math.inf
        return True

    def recognize(
        self,
        texts: Sequence[str],
        top_k: int = 5,
        *,
        explain: bool = False,
        extra: Sequence[Extra | None] | None = None,
    ) -> list[Recognition]:
        """Answer texts in their order; `explain` adds all that spoke for and against, `extra` is
        what columns beside each text say."""
        recognizer, version = self._recognizer, self.version
        return recognizer.recognize(
            texts, top_k=top_k, explain=explain, model_version=version, extra=extra
        )


def _catch_up(recognizer: Recognizer, session: Session, after: int) -> None:
    changed = catalogue.changed_since(session, after)
    follow(recognizer, changed, training.live_changes(session, after))


@dataclass(frozen=True, slots=True)
class Recognized:
    """What a run over the waiting mappings did."""

    rows: int
    matched: int
    model_version: str


def recognize_one(
    session: Session, serving: Serving, mapping_id: int, text: str, actor: str, at: datetime
) -> Recognition:
    """Suggest a target for one waiting mapping and ask a person to review it."""
    said = extra_columns.of_mappings(session, [mapping_id], serving.extra_columns)
    answer = serving.recognize([text], extra=[said.get(mapping_id)])[0]
    suggestions.save(session, [(mapping_id, answer)], serving.version)
    recognized = TextRecognized(
        actor,
        rows=1,
        matched=int(answer.state is State.MATCHED),
        model_version=serving.version,
        mapping_id=mapping_id,
        target=answer.target,
        probability=answer.probability,
    )
    log.append(session, at, recognized, ReviewRequested(actor, 1, mapping_id))
    return answer


def recognize_waiting(
    database: Database, serving: Serving, actor: str, clock: Callable[[], datetime]
) -> Recognized:
    """Suggest targets for all waiting mappings that the model in service has not seen yet.

    Raises ModelUnavailable if the champion cannot be loaded, and GateFailed while the gate of
    submissions is failed.
    """
    with database.read() as session:
        quality.demand_passed(session, "submissions")
    if serving.problem:
        # Memory alone would overwrite the suggestions of the champion that cannot be loaded.
        raise ModelUnavailable(serving.problem)
    rows = matched = after = 0
    while True:
        with database.read() as session:
            waiting = suggestions.waiting(
                session, serving.version, after, CHUNK, extra=serving.extra_columns
            )
        if not waiting:
            return Recognized(rows, matched, serving.version)
        answers = serving.recognize(
            [mapping.text for mapping in waiting], extra=[mapping.extra for mapping in waiting]
        )
        right = sum(answer.state is State.MATCHED for answer in answers)
        with database.begin() as session:
            pairs = [(m.id, answer) for m, answer in zip(waiting, answers, strict=True)]
            suggestions.save(session, pairs, serving.version)
            event = TextRecognized(actor, len(waiting), right, serving.version)
            log.append(session, clock(), event, ReviewRequested(actor, len(waiting)))
        rows, matched, after = rows + len(waiting), matched + right, waiting[-1].id
