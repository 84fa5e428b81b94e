"""Files recognised: with real worker processes, killed and interrupted as they are in real life."""

import csv
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_pipeline import loop
from llm_pipeline.batch import Job, default_output, recognize_file
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Recognition
from llm_pipeline.errors import InvalidInput, ModelUnavailable
from llm_pipeline.unfinished import Standing
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import CITIES, FORMS, ingest_rows, labelled, load_catalogue
from llm_pipeline_tests.factories import write_csv as write
from llm_pipeline_tests.templates import copy_installation

# The command with chunks of 100 rows and a note after each: small files, many moments to break off.
SMALL_STEPS = (
    "from llm_pipeline import cli, tabular, unfinished; "
    "tabular.CHUNK_ROWS = 100; unfinished.JOURNAL_SECONDS = 0; cli.main()"
)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A champion, and one approval that is newer than it."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "home").mkdir()
    copy_installation(folder / "home")
    parts, clock = Parts(Settings(home=folder / "home")), Clock()
    load_catalogue(parts.database, clock)
    ingest_rows(parts.database, clock, folder, labelled(), approved=True)
    loop.learn(parts, "tests", "tests")
    new = [("WHOLE PAYCHECK", "AMZN")]
    ingest_rows(parts.database, clock, folder, new, approved=True, name="new.csv")
    yield parts
    parts.engine.dispose()


def _texts(number: int) -> list[str]:
    forms = [form for found in FORMS.values() for form in found]
    some = [forms[n % len(forms)].format(f"{CITIES[n % 7]} {n // 50}") for n in range(number - 2)]
    return ["Whole Paycheck!", *some, "東京電力"]


def _recognize(
    parts: Parts, source: Path, output: Path, workers: int = 1, text_column: str = "text"
) -> Standing:
    job = Job(source, output, text_column, workers=workers)
    return recognize_file(parts, job, lambda _rows: None, lambda _told: None)


def _read(path: Path) -> list[dict[str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _as_row(answer: Recognition) -> tuple[str, str, str, str]:
    probability = str(round(answer.probability, 6))
    return answer.text, answer.state.value, answer.target or "", probability


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_are_those_given_in_process_in_the_order_of_the_rows(
    learned: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("llm_pipeline.tabular.CHUNK_ROWS", 70)
    texts = _texts(500)
    source = write(tmp_path / "a.csv", ("text", "no"), [[t, str(n)] for n, t in enumerate(texts)])
    done = _recognize(learned, source, default_output(source), workers)
    rows = _read(tmp_path / "a.recognized.csv")
    assert [row["no"] for row in rows] == [str(n) for n in range(500)]
    found = [(r["text"], r["state"], r["target"], r["probability"]) for r in rows]
    answers = learned.serving().recognize(texts)
    assert found == [_as_row(answer) for answer in answers]
    candidates = [[found["target"] for found in json.loads(row["candidates"])] for row in rows]
    assert candidates == [[found.target for found in answer.candidates] for answer in answers]
    assert (rows[0]["target"], rows[0]["evidence"], rows[0]["model_version"]) == (
        "AMZN",
        "exact",
        "1",
    )
    assert done.rows == 500


def test_bad_rows_are_not_attempted_and_say_why(learned: Parts, tmp_path: Path) -> None:
    lines = [
        b"text,target",
        b"UBER TRIP OSLO CA,",
        b"short",
        b"long,er,row",
        b" ,",
        b"..." + b",",
        b"A" * 2_001 + b",",
        b"caf\xe9,",
        b'"open,',
        b"SBUX COFFEE ROME NY,=1",
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    done = _recognize(learned, tmp_path / "a.csv", tmp_path / "b.csv")
    rows = _read(tmp_path / "b.csv")
    assert [row["recognized_target"] for row in rows] == ["UBER", *[""] * 7, "SBUX"]
    assert rows[8]["target"] == "=1"
    told = [row["problem"] for row in rows if row["state"] == "not_attempted"]
    parts = ["1 cells", 'column: ["row"]', "no text", "no letter", "2,001", "UTF-8", "a quote"]
    assert [part for part, told in zip(parts, told, strict=True) if part not in told] == []
    assert done.outcomes == {"matched": 2, "not_attempted": 7}


def test_parquet_keeps_its_types_and_its_order(
    learned: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.tabular.CHUNK_ROWS", 30)
    table = pa.table(
        {
            "no": list(range(100)),
            "merchant": [None, *_texts(99)],
            "when": [datetime(2026, 3, 2)] * 100,
            "kind": pa.array(["a", "b"] * 50).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    _recognize(learned, tmp_path / "a.parquet", tmp_path / "b.parquet", 2, "merchant")
    answered = pq.read_table(tmp_path / "b.parquet")
    assert answered.select(table.column_names).cast(table.schema).equals(table)
    rows = answered.to_pylist()
    assert (rows[0]["state"], rows[0]["problem"]) == ("not_attempted", "there is no text")
    assert (rows[1]["target"], rows[1]["problem"]) == ("AMZN", None)
    assert isinstance(rows[1]["probability"], float)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz", "b.parquet"])
def test_every_kind_goes_into_every_kind(learned: Parts, tmp_path: Path, name: str) -> None:
    texts = _texts(40)
    source = tmp_path / "a.csv.gz"
    source.write_bytes(gzip.compress("\n".join(["text", *texts]).encode()))
    _recognize(learned, source, tmp_path / name)
    if name == "b.parquet":
        _recognize(learned, tmp_path / name, tmp_path / "c.csv", text_column="text")
        rows = _read(tmp_path / "c.csv")
        assert [r["target"] for r in rows] == [r["recognized_target"] for r in rows]
    else:
        rows = _read(tmp_path / name)
    assert [row["text"] for row in rows] == texts


@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz", "b.parquet"])
def test_a_table_without_rows_is_answered_with_one(
    learned: Parts, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.csv").write_text("text\n")
    assert _recognize(learned, tmp_path / "a.csv", tmp_path / name).rows == 0
    if name == "b.parquet":
        assert pq.read_table(tmp_path / name).column_names[:3] == ["text", "state", "target"]
    else:
        assert _read(tmp_path / name) == []


@pytest.mark.parametrize(
    ("column", "output", "told"),
    [
        ("merchant", "b.csv", r"no column 'merchant'; it has text.*--text-column"),
        ("text", "b.json", "must end in one of"),
        ("text", "a.csv", "is the input itself"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(
    learned: Parts, tmp_path: Path, column: str, output: str, told: str
) -> None:
    (tmp_path / "a.csv").write_text("text\nA\n")
    with pytest.raises(InvalidInput, match=told):
        _recognize(learned, tmp_path / "a.csv", tmp_path / output, text_column=column)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_champion_that_cannot_be_loaded_answers_nothing(learned: Parts, tmp_path: Path) -> None:
    home = shutil.copytree(learned.settings.home, tmp_path / "home")
    (home / "models" / "recognizer" / "v1" / "arrays.npz").write_bytes(b"damaged")
    (home / "mlflow.db").unlink()  # so that it cannot be fetched again either
    (tmp_path / "a.csv").write_text("text\nA\n")
    parts = Parts(Settings(home=home))
    with pytest.raises(ModelUnavailable, match="MLflow could not"):
        _recognize(parts, tmp_path / "a.csv", tmp_path / "b.csv", workers=2)
    parts.engine.dispose()


def test_without_a_champion_memory_answers_and_that_is_told(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nA\n")
    told: list[str] = []
    job = Job(tmp_path / "a.csv", tmp_path / "b.csv")
    recognize_file(parts, job, lambda _rows: None, told.append)
    assert [line.split(",")[0] for line in told] == ["no model yet"]
    assert _read(tmp_path / "b.csv")[0]["model_version"] == "memory"


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(learned: Parts, tmp_path: Path) -> Iterator[Start]:
    """Start the command on 24,000 rows as a terminal does: with a process group of its own."""
    write(tmp_path / "a.csv", ("text",), [[text] for text in _texts(24_000)])
    environment = os.environ | {"LLM_PIPELINE_HOME": str(learned.settings.home)}
    begun: list[subprocess.Popen[str]] = []

    def started(
        output: str, *words: str, workers: int = 2, limit: int = 0
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", SMALL_STEPS, "recognize", "a.csv", "--output", output]
        begun.append(
            subprocess.Popen(
                [*command, "--workers", str(workers), *words],
                cwd=tmp_path,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=lambda: _prepare(limit),
            )
        )
        return begun[-1]

    yield started
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _prepare(limit: int) -> None:
    # A shell that runs the tests in the background lets its children ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if limit:
        _limit_files(limit)


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _wait_until_under_way(journal: Path, process: "subprocess.Popen[str]") -> None:
    while process.poll() is None:
        if journal.exists() and json.loads(journal.read_text())["outcomes"]:
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def _finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return out


@pytest.fixture
def expected(
    learned: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], bytes]:
    """What a run that nobody disturbs writes."""
    monkeypatch.setattr("llm_pipeline.tabular.CHUNK_ROWS", 100)

    def written(name: str) -> bytes:
        _recognize(learned, tmp_path / "a.csv", tmp_path / f"undisturbed_{name}")
        return (tmp_path / f"undisturbed_{name}").read_bytes()

    return written


@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz", "b.parquet"])
def test_after_the_parent_was_killed_the_rest_is_done_as_if_nothing_had_been(
    start: Start, expected: Callable[[str], bytes], tmp_path: Path, name: str
) -> None:
    journal = tmp_path / f"{name.replace('b.', 'b.partial.')}.json"
    process = start(name)
    _wait_until_under_way(journal, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert not (tmp_path / name).exists()
    assert 0 < sum(json.loads(journal.read_text())["outcomes"].values()) < 24_000
    assert "24,000 rows" in _finish(start(name, "--resume"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", name]
    assert (tmp_path / name).read_bytes() == expected(name)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_batch_says_how_far_it_came_and_goes_on_from_there(
    start: Start, expected: Callable[[str], bytes], tmp_path: Path, number: int, code: int
) -> None:
    process = start("b.csv")
    _wait_until_under_way(tmp_path / "b.partial.csv.json", process)
    # Ctrl-C goes to the workers too, `kill` to the one process it names.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    rows = _read(tmp_path / "b.partial.csv")
    assert 0 < len(rows) < 24_000
    assert all(row["state"] in {"matched", "no_match"} for row in rows)
    assert f"broken off after {len(rows):,} rows" in err
    assert err.count("\n") == 1
    assert "24,000 rows" in _finish(start("b.csv", "--resume"))
    assert (tmp_path / "b.csv").read_bytes() == expected("b.csv")


def test_a_killed_worker_ends_the_batch_and_is_named(start: Start, tmp_path: Path) -> None:
    process = start("b.parquet")
    _wait_until_under_way(tmp_path / "b.partial.parquet.json", process)
    descendants = psutil.Process(process.pid).children(recursive=True)
    direct = psutil.Process(process.pid).children()
    next(worker for worker in descendants if worker not in direct).kill()
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 9
    assert "a worker process ended before its time" in err
    rows = pq.read_table(tmp_path / "b.partial.parquet").num_rows
    assert f"broken off after {rows:,} rows" in err


def test_a_full_disk_leaves_whole_rows(start: Start, tmp_path: Path) -> None:
    process = start("b.csv", workers=1, limit=1_500_000)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 9
    assert "b.csv cannot be written: File too large. Make room" in err
    rows = _read(tmp_path / "b.partial.csv")
    assert len(rows) % 100 == 0
    assert f"broken off after {len(rows):,} rows" in err
    _finish(start("b.csv", "--resume"))
    assert len(_read(tmp_path / "b.csv")) == 24_000
