"""Prepare: freeze the approved mappings as a training set at an offset."""

import hashlib
from datetime import datetime

import pandas as pd

from llm_pipeline.domain.learning_events import TrainingSetBuilt
from llm_pipeline.errors import NothingToLearn
from llm_pipeline.store import log, quality, training
from llm_pipeline.store.engine import Session


def prepare(session: Session, actor: str, at: datetime) -> training.TrainingSet:
    """Record what is live now as a training set; its rows can be read again by its `as_of`.

    Raises NothingToLearn, and GateFailed while the gate of approved mappings is failed.
    """
    quality.demand_passed(session, "approved_mappings")
    as_of = log.latest(session)
    texts = training.live_texts(session, as_of)
    if texts.empty:
        raise NothingToLearn(
            "no mapping is approved yet: ingest labelled rows with `llm-pipeline ingest FILE "
            "--approved`, or approve some in the queue"
        )
    built = training.TrainingSet(
        as_of=as_of,
        rows=int(texts["rows"].sum()),
        texts=len(texts),
        targets=int(texts["target"].nunique()),
        digest=_digest(texts),
        built_at=at,
    )
    training.save_training_set(session, built)
    event = TrainingSetBuilt(actor, as_of, built.rows, built.texts, built.targets)
    log.append(session, at, event)
    return built


def _digest(texts: pd.DataFrame) -> str:
    """SHA-256 of text and target of every line, in order, as 16 hexadecimal digits."""
    hashed = hashlib.sha256()
    for text, target in zip(texts["text"], texts["target"], strict=True):
        hashed.update(f"{text}\x1f{target}\x1e".encode())
    return hashed.hexdigest()[:16]
