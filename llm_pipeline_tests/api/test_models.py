"""Models over HTTP: promoted, rolled back with what they approved, exported, imported."""

import io
import zipfile

import httpx
import pytest

from llm_pipeline.config import Settings
from llm_pipeline.domain.center_events import TextRecognized
from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.loop import learn
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.promote import promote
from llm_pipeline.store import log, suggestions
from llm_pipeline.store.engine import Database, Engine
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import Running, wait_for
from llm_pipeline_tests.automation_factories import arrive, proven, status
from llm_pipeline_tests.factories import merge

MODELS = "/api/ml/models"
ROWS: list[tuple[str, str | None]] = [
    (f"{name} {city}", target)
    for city in ("BOSTON", "OSLO", "PARIS", "LIMA")
    for name, target in (("STARBUCKS", "SBUX"), ("AMZN MKTP", "AMZN"), ("BLUE BOTTLE", "BLUE"))
]


@pytest.fixture
def two_models(settings: Settings, engine: Engine) -> Parts:
    """Model 1 answered first, model 2 answers."""
    parts = Parts(settings)
    merge(Database(engine), now, ROWS, trusted=True)
    learn(parts, "tests", "tests")
    learn(parts, "tests", "tests", promote=False)
    with parts.begin() as session:
        promote(session, parts.registry, "2", "tests", "tests", now())
    return parts


def serving(client: httpx.Client) -> str:
    answer = client.post("/api/ml/recognize", json={"texts": ["STARBUCKS OSLO"]}).json()
    return str(answer["model_version"])


def _approved_by(database: Database, version: str, text: str) -> int:
    """A text that a policy approved by the answer of a model."""
    (one,) = arrive(database, now, [text])
    found = (Candidate("SBUX", 0.99, "key"),)
    with database.begin() as session:
        answer = Recognition("", State.MATCHED, "SBUX", 0.99, found, version)
        suggestions.save(session, [(one, answer)], version)
        log.append(session, now(), TextRecognized("tests", 1, 1, version))
    approve_waiting(database, "tests", now)
    return one


def test_a_rollback_answers_with_the_model_before_and_puts_back_what_the_other_approved(
    two_models: Parts, server: Running, engine: Engine
) -> None:
    database = Database(engine)
    proven(database, now)
    approve_waiting(database, "tests", now)
    good = _approved_by(database, "1", "GOOD SHOP")
    bad = _approved_by(database, "2", "BAD SHOP")
    with server.client() as client:
        wait_for(lambda: serving(client) == "2")
        body = {"reason": "wrong labels", "requeue": True}
        done = client.post("/api/ml/rollback", json=body)
        assert done.status_code == 200, done.text
        told = done.json()
        wait_for(lambda: serving(client) == "1")
        plan = f"/api/llm-center/plans/{told['plan_id']}"
        wait_for(lambda: client.get(plan).json()["status"] == "applied")
        again = client.post("/api/ml/rollback")
        listed = {one["version"]: one["status"] for one in client.get(MODELS).json()["items"]}
        put_back = status(database, bad), status(database, good)
        client.post(f"{plan}/undo")
        wait_for(lambda: client.get(plan).json()["status"] == "undone")
    assert (told["champion"]["version"], told["replaced"], told["requeued"]) == ("1", "2", 1)
    assert told["champion"]["reason"].startswith(
        "rolled back from model 2: wrong labels; it answered because: "
    )
    assert put_back == (("pending", None), ("auto_approved", "SBUX"))
    assert status(database, bad) == ("auto_approved", "SBUX")
    assert again.status_code == 404
    assert "none to roll back to" in again.json()["detail"]
    assert listed == {"1": "champion", "2": "withdrawn"}
    assert two_models.registry.champion() == "1"


def test_a_version_is_promoted_by_an_admin(two_models: Parts, client: httpx.Client) -> None:
    done = client.post(f"{MODELS}/1/promote", json={"reason": "it was better"})
    assert (done.json()["status"], done.json()["reason"]) == ("champion", "it was better")
    assert client.get(f"{MODELS}/2").json()["status"] == "former"
    assert client.post(f"{MODELS}/9/promote").status_code == 404
    assert client.get(f"{MODELS}/..%2F1").status_code in (404, 422)


def test_a_model_travels_as_one_file(two_models: Parts, client: httpx.Client) -> None:
    packed = client.get(f"{MODELS}/2/export")
    assert packed.headers["content-type"] == "application/zip"
    done = client.post(f"{MODELS}/import", files={"file": ("m.zip", packed.content)})
    assert done.status_code == 201, done.text
    imported = done.json()
    assert (imported["version"], imported["status"], imported["as_of"]) == ("3", "imported", 0)
    assert serving(client) == "2", "it answers nobody yet"
    client.post(f"{MODELS}/3/promote")
    wait_for(lambda: serving(client) == "3")
    answer = client.post("/api/ml/recognize", json={"texts": ["STARBUCKS OSLO"]}).json()
    assert answer["results"][0]["target"] == "SBUX"
    assert not list(two_models.settings.path().glob("export-*"))


def _zip(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parcel:
        for name, content in files.items():
            parcel.writestr(name.replace("__", "."), content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip", "this is no exported model"),
        (_zip(arrays__npz=b"x"), "an exported model holds"),
        (_zip(arrays__npz=b"x", recognizer__json=b"{}", evil__py=b"1"), "an exported model holds"),
        (_zip(arrays__npz=b"x", recognizer__json=b"{}"), "cannot be used"),
        (_zip(arrays__npz=b"0" * 5_000_000, recognizer__json=b"{}"), "no model does"),
    ],
    ids=["no zip", "half", "more", "nonsense", "bomb"],
)
def test_a_file_that_is_no_model_is_refused(
    client: httpx.Client, content: bytes, said: str
) -> None:
    answer = client.post(f"{MODELS}/import", files={"file": ("m.zip", content)})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert client.get(MODELS).json()["items"] == []


def test_without_models_nothing_is_rolled_back(client: httpx.Client) -> None:
    assert client.post("/api/ml/rollback").status_code == 404
