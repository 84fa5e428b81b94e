"""Draw audits: every submission takes part in one lot, before anything is known of its answer."""

import random
from datetime import datetime, timedelta

from llm_pipeline.domain.automation import CONFIDENCE, MAX_ERROR, SHARE
from llm_pipeline.domain.automation_events import AuditsDrawn
from llm_pipeline.domain.drawing import lot_share
from llm_pipeline.store import log, lots, policies
from llm_pipeline.store.engine import Session


def draw_audits(
    session: Session, actor: str, at: datetime, due: timedelta, dice: random.Random
) -> int:
    """Draw among what arrived since the last lot; return how many audits came of it."""
    policy, rows = policies.in_force(session), len(lots.undrawn(session))
    if policy is None:
        share = lot_share(rows, SHARE, MAX_ERROR, CONFIDENCE)
    else:
        share = lot_share(rows, policy.share, policy.max_error, policy.confidence)
    lot = lots.draw(session, lots.Draw(share, due, dice), at)
    if lot is None or not lot.drawn:
        return 0
    log.append(session, at, AuditsDrawn(actor, lot.id, lot.drawn, lot.share))
    return lot.drawn
