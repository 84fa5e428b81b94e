"""Cancel: a file on its way in stops. What was taken in by then stays; sent again, it goes on."""

from datetime import datetime

from llm_pipeline.domain.center_events import UploadCancelled
from llm_pipeline.errors import Conflict
from llm_pipeline.store import log, uploads
from llm_pipeline.store.engine import Session


def cancel(session: Session, upload_id: int, actor: str, at: datetime) -> uploads.Upload:
    """Stop an upload, in whatever process it runs, at the end of its current slice."""
    upload = uploads.get(session, upload_id)
    if upload.status != "running":
        raise Conflict(f"upload {upload_id} is {upload.status}: there is nothing to cancel")
    uploads.set_status(session, upload_id, "cancelled", at)
    event = UploadCancelled(actor, upload_id, upload.rows_read, upload.accepted, upload.rejected)
    log.append(session, at, event)
    return uploads.get(session, upload_id)
