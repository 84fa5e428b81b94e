"""The learning loop in one process, for the command line: the same steps that Dagster runs."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_pipeline import demo
from llm_pipeline.domain.records import Status
from llm_pipeline.errors import GateFailed
from llm_pipeline.steps.check import check
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets, read_targets
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.promote import Comparison, compare, settle
from llm_pipeline.steps.recognize import Recognized, recognize_waiting
from llm_pipeline.steps.train import Reason, train
from llm_pipeline.store import catalogue, models, quality, uploads
from llm_pipeline.wiring import Parts, code_version, now

Told = Callable[[str], None]

ACTOR = "sample data"


@dataclass(frozen=True, slots=True)
class Learned:
    """What one round of learning came to."""

    model: models.StoredModel
    compared: Comparison


def learn(parts: Parts, reason: str, actor: str, *, promote: bool = True) -> Learned:
    """Build and gate a training set, train a challenger and promote it if it is better.

    Raises GateFailed and NothingToLearn; the champion is untouched then.
    """
    _pass(parts, "approved_mappings", actor)
    with parts.begin() as session:
        prepare(session, actor, now())
    _pass(parts, "training_set", actor)
    why, extra = Reason(reason, actor, code_version()), parts.settings.extra_names
    model = train(parts.database, parts.registry, why, now, extra=extra)
    compared = compare(parts.database, parts.load_model, extra=extra)
    if promote:
        with parts.begin() as session:
            settle(session, parts.registry, compared, actor, now())
    return Learned(model, compared)


def _pass(parts: Parts, suite: str, actor: str) -> None:
    result = check(parts.database, suite, actor, now)
    if not result.success:
        reasons = "; ".join(f["reason"] for f in result.failures)
        raise GateFailed(f"the gate {suite} failed: {reasons}. Mend the data and try again")


def recognize_all(parts: Parts, actor: str) -> Recognized:
    """Suggest targets for everything that waits. Raises GateFailed if what is wrong with the
    submissions still is."""
    with parts.read() as session:
        failed = quality.held_by(session, "submissions") is not None
    if failed:
        _pass(parts, "submissions", actor)
    return recognize_waiting(parts.database, parts.serving(), actor, now)


def is_empty(parts: Parts) -> bool:
    """Return whether nothing was ever loaded, so that sample data disturbs nobody."""
    with parts.read() as session:
        return catalogue.count(session) == 0 and not uploads.recent(session, limit=1)


def load_sample(parts: Parts, told: Told) -> None:
    """Load, gate, learn and recognise the sample data; `told` hears what is being done."""
    files = demo.write_sample(parts.settings.path("sample"))
    with parts.begin() as session:
        loaded = load_targets(session, read_targets(files.targets), ACTOR, now())
    told(f"sample data: catalogue of {loaded.total} companies and tickers")
    for path, lands_as in ((files.approved, Status.APPROVED), (files.submissions, Status.PENDING)):
        job = Job(path, ACTOR, lands_as)
        done = ingest_file(parts.database, job, now, lambda _rows: None)
        told(
            f"sample data: {done.filename}: {done.accepted} rows taken in as {done.lands_as}, "
            f"{done.rejected} set aside by the gate"
        )
    learned = learn(parts, "first training on sample data", ACTOR)
    told(f"sample data: model {learned.model.version} trained; {learned.compared.verdict.reason}")
    found = recognize_all(parts, ACTOR)
    told(f"sample data: {found.rows} texts recognised, {found.matched} with an answer")
