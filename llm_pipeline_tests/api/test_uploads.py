"""Files over HTTP: taken in once, resumed, bad rows handed back."""

import csv
import gzip
import io
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_pipeline import taking_in
from llm_pipeline.config import Settings
from llm_pipeline.domain.rows import Columns
from llm_pipeline.steps.ingest import Job, accept
from llm_pipeline.store import uploads
from llm_pipeline.store.engine import Database, Engine, reading, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, running, wait_for
from llm_pipeline_tests.factories import rows_stored

UPLOADS = "/api/llm-center/uploads"
GOOD = b"text,target\nBLUE BOTTLE 1,BLUE\nAMZN MKTP,AMZN\n"


def send(client: httpx.Client, content: bytes, name: str = "a.csv", **form: str) -> httpx.Response:
    return client.post(UPLOADS, files={"file": (name, content)}, data=form)


def finished(client: httpx.Client, upload_id: int) -> dict[str, Any]:
    """Wait until an upload is done and return it."""
    found: dict[str, Any] = {}

    def is_done() -> bool:
        found.update(client.get(f"{UPLOADS}/{upload_id}").json())
        return bool(found["status"] != "running")

    wait_for(is_done, 60)
    return found


def test_a_file_becomes_mappings_that_wait(client: httpx.Client) -> None:
    answer = send(client, GOOD)
    assert answer.status_code == 202
    done = finished(client, answer.json()["id"])
    assert (done["status"], done["rows_read"], done["accepted"]) == ("finished", 2, 2)
    assert (done["filename"], done["submitter"], done["lands_as"]) == ("a.csv", "admin", "pending")
    found = client.get("/api/llm-center/mappings", params={"upload": done["id"]}).json()
    assert [one["status"] for one in found["items"]] == ["pending", "pending"]
    assert client.get(UPLOADS).json()["items"][0]["id"] == done["id"]


def test_approved_labels_are_known_at_once_and_need_a_reviewer(
    server: Running, client: httpx.Client
) -> None:
    with server.client("submitter") as submitter:
        assert send(submitter, GOOD, lands_as="approved").status_code == 403
    finished(
        client, send(client, gzip.compress(GOOD), "a.csv.gz", lands_as="approved").json()["id"]
    )

    def known() -> bool:
        body = client.post("/api/ml/recognize", json={"texts": ["amzn mktp"]}).json()
        return bool(body["results"][0]["target"] == "AMZN")

    wait_for(known)


def test_the_same_file_twice_adds_nothing(client: httpx.Client, engine: Engine) -> None:
    first = send(client, GOOD).json()
    assert send(client, GOOD, "renamed.csv").json()["id"] == first["id"]
    finished(client, first["id"])
    again = send(client, GOOD)
    assert (again.json()["id"], again.json()["status"]) == (first["id"], "finished")
    with reading(engine) as session:
        assert rows_stored(session) == 2


def test_bad_rows_come_back_as_a_harmless_csv(client: httpx.Client) -> None:
    content = b'text,target\nBLUE,BLUE\n***,BLUE\n=1+1,NOBODY\n"<b>, ",X,Y\n'
    done = finished(client, send(client, content, 'bad,"name.csv').json()["id"])
    assert (done["accepted"], done["rejected"]) == (1, 3)
    answer = client.get(f"{UPLOADS}/{done['id']}/rejected")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["row"], row["line"]) for row in rows] == [("2", "3"), ("3", "4"), ("4", "5")]
    assert "'NOBODY' is not in the catalogue" in rows[1]["reason"]
    assert rows[1]["content"] == "'=1+1,NOBODY"


def test_other_columns_can_be_named(client: httpx.Client) -> None:
    content = b"beschreibung;ziel\nBLUE BOTTLE;BLUE\n"
    form = {"text_column": "beschreibung", "target_column": "ziel"}
    assert finished(client, send(client, content, **form).json()["id"])["accepted"] == 1


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"", "a.csv", "a.csv is empty"),
        (b"\n\n", "a.csv", "is empty"),
        (b"name\nx\n", "a.csv", "no column 'text'"),
        (b"text,text\nx,y\n", "a.csv", "twice"),
        (b"PK\x03\x04rest", "a.xlsx", "ZIP or XLSX"),
        (b"PAR1", "a.parquet", "Parquet"),
        (b"%PDF-1.7", "a.csv", "is a PDF"),
        ("text\nx".encode("utf-16-le"), "a.csv", "not text"),
        (gzip.compress(b"text\n" * 999, mtime=0)[:20], "a.csv.gz", "cannot be read"),
    ],
)
def test_refuses_a_file_that_cannot_be_read_at_once(
    client: httpx.Client, settings: Settings, content: bytes, name: str, told: str
) -> None:
    answer = send(client, content, name)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert list(settings.path("uploads").iterdir()) == []


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {}},
        {"files": {"other": ("a.csv", GOOD)}},
        {"files": [("file", ("a.csv", GOOD)), ("file", ("b.csv", GOOD))]},
        {"files": {"file": ("a.csv", GOOD)}, "data": {"lands_as": "live"}},
        {"files": {"file": ("a.csv", GOOD)}, "data": {"color": "red"}},
        {
            "content": b"--x\r\nbroken",
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        {"content": b"!", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
    ],
)
def test_refuses_a_form_that_is_not_as_asked(
    client: httpx.Client, settings: Settings, request_: dict[str, Any]
) -> None:
    answer = client.post(UPLOADS, **request_)
    assert answer.status_code == 422
    assert list(settings.path("uploads").iterdir()) == []


def test_refuses_a_file_over_the_limit_and_keeps_nothing(
    client: httpx.Client, settings: Settings
) -> None:
    assert send(client, b"text\n" + b"x\n" * 2**20).status_code == 413
    assert list(settings.path("uploads").iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\x.csv", ".hidden", "\u202egpj.csv"])
def test_a_file_name_cannot_leave_its_folder(
    client: httpx.Client, settings: Settings, engine: Engine, name: str
) -> None:
    upload_id = send(client, GOOD, name).json()["id"]
    finished(client, upload_id)
    with reading(engine) as session:
        path = Path(uploads.get(session, upload_id).path)
    assert path.parent.parent == settings.path("uploads")


def test_an_interrupted_upload_resumes_at_the_next_start(
    settings: Settings, engine: Engine
) -> None:
    kept = settings.path("uploads", "kept")
    kept.mkdir(parents=True)
    settings.path("uploads", "incoming-x").mkdir()
    path = kept / "a.csv"
    path.write_bytes(b"words,target\nBLUE BOTTLE,BLUE\n")
    columns = Columns(text="words")
    job = Job(path, "ann", columns=columns)
    upload_id = accept(Database(engine), job, job.digest(), now()).id
    with running(settings) as server, server.client() as client:
        assert finished(client, upload_id)["accepted"] == 1
    assert not settings.path("uploads", "incoming-x").exists()


def test_an_interrupted_upload_whose_file_is_gone_fails(settings: Settings, engine: Engine) -> None:
    path = settings.path("uploads", "gone", "a.csv")
    new = uploads.NewUpload("a.csv", str(path), "0", 30, "pending", {}, "utf-8-sig", "ann")
    with transaction(engine) as session:
        upload_id = uploads.register(session, new, now()).id
    with running(settings) as server, server.client() as client:
        done = finished(client, upload_id)
    assert (done["status"], "a.csv" in done["error"]) == ("failed", True)


def test_a_file_in_another_encoding_is_read_when_it_is_named(client: httpx.Client) -> None:
    content = "text\nCAFÉ\n".encode("cp1252")
    assert finished(client, send(client, content).json()["id"])["rejected"] == 1
    done = finished(client, send(client, content, encoding="cp1252").json()["id"])
    assert (done["accepted"], done["rejected"]) == (1, 0)
    answer = send(client, content, encoding="utf-99")
    assert (answer.status_code, "utf-99" in answer.json()["detail"]) == (422, True)


def test_progress_is_told_and_ends_with_the_rows_there_were(client: httpx.Client) -> None:
    done = finished(client, send(client, GOOD).json()["id"])
    progress = done["progress"]
    assert (progress["phase"], progress["rows_checked"], progress["rows_total"]) == ("ended", 2, 2)
    assert progress["seconds"] > 0
    assert progress["seconds_left"] is None


def test_an_upload_is_cancelled_by_its_sender_or_a_reviewer(
    server: Running, client: httpx.Client, settings: Settings, engine: Engine
) -> None:
    path = settings.path("elsewhere.csv")
    path.write_bytes(GOOD)
    job = Job(path, "submitter")
    upload_id = accept(Database(engine), job, job.digest(), now()).id
    cancel = f"{UPLOADS}/{upload_id}/cancel"
    assert client.get(f"{UPLOADS}/{upload_id}").json()["progress"]["phase"] == "waiting"
    with server.client("submitter") as submitter:
        assert submitter.post(cancel).json()["status"] == "cancelled"
        assert submitter.post(cancel).status_code == 409
        others = accept(Database(engine), replace(job, actor="ann"), "another", now()).id
        assert submitter.post(f"{UPLOADS}/{others}/cancel").status_code == 403
    with server.client("reviewer") as reviewer:
        assert reviewer.post(f"{UPLOADS}/{others}/cancel").json()["progress"]["phase"] == "ended"


def test_an_unknown_upload_is_not_found(client: httpx.Client) -> None:
    assert client.get(f"{UPLOADS}/9").status_code == 404
    assert client.get(f"{UPLOADS}/9/rejected").status_code == 404


def test_pages_of_uploads_follow_each_other_newest_first(client: httpx.Client) -> None:
    ids = [send(client, b"text\n" + name).json()["id"] for name in (b"A", b"B", b"C")]
    first = client.get(UPLOADS, params={"limit": 2}).json()
    rest = client.get(UPLOADS, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
    assert (first["total"], rest["next_cursor"]) == (3, None)


def test_an_upload_that_a_stop_interrupts_goes_on_after_it(
    settings: Settings, engine: Engine
) -> None:
    content = b"text\n" + b"".join(b"%x\n" % number for number in range(120_000))
    with running(settings) as server, server.client() as client:
        upload_id = send(client, content).json()["id"]
        wait_for(lambda: bool(client.get(f"{UPLOADS}/{upload_id}").json()["rows_read"]), 60)
    with reading(engine) as session:
        stopped = uploads.get(session, upload_id)
    assert (stopped.status, stopped.rows_read < 120_000) == ("running", True)
    with running(settings) as server, server.client() as client:
        assert finished(client, upload_id)["accepted"] == 120_000
    with reading(engine) as session:
        assert rows_stored(session) == 120_000


def test_a_large_file_waits_until_a_process_can_begin(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_in, "OWN_PROCESS_BYTES", 10)
    monkeypatch.setattr("llm_pipeline.api.worker.RETRY_SECONDS", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        upload_id = send(client, b"text,target\nBLUE 1,BLUE\n").json()["id"]
        time.sleep(0.5)
        assert client.get(f"{UPLOADS}/{upload_id}").json()["status"] == "running"
    assert finished(client, upload_id)["accepted"] == 1


def test_large_files_are_taken_in_apart_from_the_api_which_says_how_far_they_are(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_in, "OWN_PROCESS_BYTES", 10)
    monkeypatch.setattr(taking_in, "here", None)
    done = finished(client, send(client, b"text,target\nBLUE 1,BLUE\n,BLUE\n").json()["id"])
    assert (done["status"], done["accepted"], done["rejected"]) == ("finished", 1, 1)
    assert done["progress"]["rows_per_second"] > 0
