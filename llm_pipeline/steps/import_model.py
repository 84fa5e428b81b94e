"""Import a model that was trained elsewhere: proven readable, registered, not yet answering."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_pipeline.domain.learning_events import ModelImported
from llm_pipeline.model import parcel
from llm_pipeline.registry import Registry
from llm_pipeline.runs import TrainingRecord
from llm_pipeline.store import log, models
from llm_pipeline.store.engine import Database
from llm_pipeline.store.models import StoredModel


def import_model(
    database: Database,
    registry: Registry,
    path: Path,
    digest: str,
    actor: str,
    clock: Callable[[], datetime],
) -> StoredModel:
    """Register the model in a file; it answers once somebody promotes it, by what is approved here:
    its `as_of` is 0, so all approved texts are learned on top. Raises InvalidInput."""
    with TemporaryDirectory() as folder:
        recognizer = parcel.unpack(path, Path(folder, "bundle"))
        record = TrainingRecord(
            params={"imported": True, "targets": len(recognizer.classes_)},
            metrics={},
            bundle=Path(folder, "bundle"),
            dataset_name="of another installation",
            dataset_digest=digest[:16],
            examples=["AMZN MKTP US*2K4JD81"],
            tags={"as_of": "0", "reason": f"imported by {actor}", "actor": actor},
        )
        made = registry.log_import(record)
    new = StoredModel(
        version=made.version,
        run_id=made.run_id,
        as_of=0,
        status="imported",
        metrics={},
        reason=f"imported by {actor} from {path.name}",
        trained_at=clock(),
        promoted_at=None,
    )
    with database.begin() as session:
        models.add_imported(session, new)
        log.append(session, clock(), ModelImported(actor, new.version, new.run_id, digest))
    return new
