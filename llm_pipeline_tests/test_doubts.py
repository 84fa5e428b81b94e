"""`llm-pipeline doubts` as its user types it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm_pipeline import cli
from llm_pipeline.errors import NothingToLearn
from llm_pipeline.loop import learn
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue

Run = Callable[..., Result]


@pytest.fixture
def run(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LLM_PIPELINE_HOME", str(parts.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(cli.app, ["doubts", *words])


def test_shows_a_wrong_label_with_its_reason(
    run: Run, parts: Parts, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(parts.database, clock)
    rows = [(f"{text} {number}", target) for number in range(3) for text, target in labelled(10)]
    wrong = [("UBER TRIP 77 CA", "NFLX")]
    ingest_rows(parts.database, clock, tmp_path, [*rows, *wrong], approved=True)
    learn(parts, "tests", "ann")
    shown = run("--look", "--limit", "1").output
    assert "451 labels looked at" in shown
    assert "UBER TRIP 77 CA" in shown
    assert "labels in doubt, the surest first" in shown
    assert run("--limit", "1").output in shown


def test_says_how_to_look_when_nothing_is_in_doubt(run: Run) -> None:
    shown = run()
    assert shown.exit_code == 0
    assert "`llm-pipeline doubts --look` looks again" in shown.output


def test_looking_needs_a_training_set(run: Run) -> None:
    assert isinstance(run("--look").exception, NothingToLearn)
