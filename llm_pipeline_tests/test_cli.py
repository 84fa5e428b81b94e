"""The command line as its user types it."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from llm_pipeline import cli
from llm_pipeline.errors import SetupError
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.factories import TARGETS, labelled, write_csv
from llm_pipeline_tests.templates import copy_installation

Run = Callable[..., Result]


def invoked(*words: object, typed: Sequence[str] = ()) -> Result:
    lines = "".join(f"{line}\n" for line in typed)
    return CliRunner().invoke(cli.app, [str(word) for word in words], input=lines)


@pytest.fixture
def run(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LLM_PIPELINE_HOME", str(parts.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    return invoked


@pytest.fixture(scope="module")
def learned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that learned 60 texts through the commands alone; to be copied."""
    home = tmp_path_factory.mktemp("learned")
    copy_installation(home)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LLM_PIPELINE_HOME", str(home))
        rows = [(target.key, target.name, target.category) for target in TARGETS]
        catalogue = write_csv(home / "targets.csv", ("key", "name", "category"), rows)
        assert "5 targets created" in invoked("targets", "load", catalogue).output
        texts = write_csv(home / "texts.csv", ("text", "target"), labelled())
        assert "60 taken in as approved" in invoked("ingest", texts, "--approved").output
        assert "first model" in invoked("train").output
    return home


@pytest.fixture
def learned(learned_home: Path, parts: Parts, run: Run) -> Run:
    """The same in the folder of a test; MLflow looks for the files of its runs where they were."""
    shutil.copytree(learned_home, parts.settings.path(), dirs_exist_ok=True)
    return run


def test_the_loop_runs_from_the_command_line(learned: Run) -> None:
    answer = learned("recognize", "starbucks store boston, SEATTLE WA")
    assert answer.exit_code == 0
    assert answer.output.startswith("SBUX  (probability 0.9")


def test_an_unknown_text_is_called_unknown(learned: Run) -> None:
    assert learned("recognize", "東京電力").output.startswith("unknown")


def test_a_file_is_answered_into_a_file_beside_it(learned: Run, tmp_path: Path) -> None:
    rows = [["UBER TRIP OSLO CA"], ["東京電力"], [""]]
    texts = write_csv(tmp_path / "new.csv", ("merchant",), rows)
    told = learned("recognize", texts, "--text-column", "merchant", "--top-k", "2").output
    assert "3 rows in" in told
    assert "1 matched, 1 no match, 1 not attempted" in told
    with (tmp_path / "new.recognized.csv").open(encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    assert [row["target"] for row in answers] == ["UBER", "", ""]
    assert len(json.loads(answers[1]["candidates"])) <= 2


def test_a_name_longer_than_any_file_is_a_text(learned: Run) -> None:
    assert learned("recognize", "UBER TRIP " * 100).exit_code == 0


def test_the_same_file_twice_adds_nothing_and_says_so(learned: Run, tmp_path: Path) -> None:
    texts = write_csv(tmp_path / "again.csv", ("text", "target"), labelled())
    again = learned("ingest", texts, "--approved")
    assert "nothing was added" in again.output


def test_bad_rows_are_counted_and_the_way_to_them_is_told(learned: Run, tmp_path: Path) -> None:
    bad = write_csv(tmp_path / "bad.csv", ("text", "target"), [["ok text", ""], ["...", "NOPE"]])
    shown = learned("ingest", bad).output
    assert "1 taken in as pending, 1 set aside" in shown
    assert "/rejected" in shown


def test_reports_are_written_and_shown(learned: Run) -> None:
    shown = learned("report").output
    assert "every checked gate passes" in shown
    assert "champion 1" in shown


def test_doctor_finds_what_is_down(learned: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API", "DAGSTER", "MLFLOW"):
        monkeypatch.setenv(f"LLM_PIPELINE_{name}_PORT", "9")
    shown = learned("doctor")
    assert shown.exit_code == 1
    assert "version 1 loads" in shown.output
    assert "bad MLflow: http://127.0.0.1:9/health does not answer" in shown.output
    assert "ok  Database: sqlite read in" in shown.output


@pytest.fixture
def waiting(learned: Run, tmp_path: Path) -> Run:
    """Three groups that wait: two near to each other, and one of another target."""
    rows = [(f"UBER TRIP {n} LONDON", "UBER") for n in (1, 2)]
    rows += [("UBER TRIPS 1 LONDON", "UBER"), ("WALL STREET GS 9", "GS")]
    learned("ingest", write_csv(tmp_path / "new.csv", ("text", "target"), rows))
    return learned


def review(run: Run, *typed: str, reviewer: str = "ann") -> str:
    """What a reviewer sees who types these lines and then ends the input."""
    shown = run("review", "--as", reviewer, "--order", "oldest", typed=typed)
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_groups_are_reviewed_in_the_terminal(waiting: Run) -> None:
    shown = review(waiting, "a", "n", "s", "r")
    assert "uber trip london   (2 texts, 2 rows)" in shown
    assert "approving means: UBER" in shown
    assert "near: uber trips london   (1 text, 1 row)" in shown
    assert "approve: 2 texts, 2 rows" in shown
    assert "3 texts settled by 2 decisions" in shown
    assert "skip" in shown


def test_near_groups_are_settled_along_and_taken_back_in_the_terminal(waiting: Run) -> None:
    shown = review(waiting, "u", "x", "c", "NOPE", "n", "c", "GS", "y", "u", "q")
    assert "there is nothing to undo" in shown
    assert "'x' is none of: a approve" in shown
    assert "'NOPE' is not an active entry" in shown
    assert "correct: 3 texts, 3 rows" in shown
    assert "undone: 3 texts to decide again" in shown
    assert "0 texts settled by 0 decisions" in shown


def test_a_review_ends_when_nothing_waits(waiting: Run) -> None:
    assert "nothing waits that nobody else holds" in review(waiting, "a", "y", "a")


def test_two_people_answer_and_disagree_in_the_terminal(
    waiting: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PIPELINE_SECOND_REVIEW_SHARE", "1")
    assert "1 group waits for a second reviewer" in review(waiting, "a", "n")
    assert "the first reviewer said something else" in review(waiting, "r", "n", reviewer="bob")
    shown = review(waiting, "q", reviewer="eve")
    assert "ann said: approve UBER" in shown
    assert "bob said: reject" in shown


def test_an_older_version_can_answer_again(learned: Run) -> None:
    learned("train")
    assert "model 2 is the champion" in learned("promote", "2").output
    assert "model 1 is the champion" in learned("promote", "1", "--reason", "rollback").output


def test_a_model_that_answered_before_answers_again(learned: Run) -> None:
    only = learned("rollback")
    assert "the first that answers" in str(only.exception)
    for version in ("2", "3"):
        learned("train", "--no-promote")
        learned("promote", version)
    assert "model 2 answers again instead of model 3" in learned("rollback").output
    assert "model 1 answers again instead of model 2" in learned("rollback", "1").output
    assert "answers now" in str(learned("rollback", "1").exception)
    assert "no model version '9'" in str(learned("rollback", "9").exception)


def test_tokens_links_and_their_end(run: Run) -> None:
    token = run("users", "token", "ann", "--role", "reviewer").output.strip()
    assert len(token) == 43
    assert "/signin?code=" in run("users", "link", "ann").output
    assert "2 tokens, links and sessions of ann ended" in run("users", "revoke", "ann").output
    assert "'ann' has no token" in str(run("users", "revoke", "ann").exception)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["promote", "99"], 3, "no model version '99'"),
        (["train"], 7, "no mapping is approved yet"),
        (["ingest", "{empty}"], 2, "is empty"),
        (["ingest", "{other}"], 2, "has no column 'text'"),
        (["targets", "load", "{other}"], 2, "has no column 'key'"),
        (["recognize", "{other}"], 2, "has no column 'text'"),
        (["recognize", "missing.csv"], 2, "there is no file missing.csv"),
        (["recognize", "{odd}"], 2, "ends in none of .csv, .csv.gz, .parquet"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    (tmp_path / "empty.csv").touch()
    write_csv(tmp_path / "other.csv", ("merchant",), [["x"]])
    (tmp_path / "odd.txt").touch()
    files = {path.stem: path for path in tmp_path.glob("*.*")}
    monkeypatch.setattr("sys.argv", ["llm-pipeline", *(word.format(**files) for word in words)])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == code
    assert told in capsys.readouterr().err.replace("\n", " ")


def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_PIPELINE_API_PORT", "many")
    monkeypatch.setattr("sys.argv", ["llm-pipeline", "doctor"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 9
    assert "LLM_PIPELINE_API_PORT" in capsys.readouterr().err


def test_the_search_index_is_checked_and_made_anew(run: Run, parts: Parts, tmp_path: Path) -> None:
    texts = write_csv(tmp_path / "texts.csv", ("text",), [["BLUE BOTTLE"], ["CITY TAXI"]])
    run("ingest", texts)
    assert "is true: 2 mappings" in run("search", "check").output
    with parts.begin() as session:
        session.execute(text("INSERT INTO search (search) VALUES ('delete-all')"))
    broken = run("search", "check")
    assert isinstance(broken.exception, SetupError)
    assert "run `llm-pipeline search rebuild`" in str(broken.exception)
    assert "made anew" in run("search", "rebuild").output
    assert run("search", "check").exit_code == 0


def test_what_was_exported_is_taken_in_again(learned: Run, tmp_path: Path) -> None:
    live = tmp_path / "live.csv"
    told = learned("export", live, "--status", "approved", "--target", "SBUX", "--text", "oslo")
    assert told.exit_code == 0
    with live.open(newline="") as file:
        assert {row["target"] for row in csv.DictReader(file)} == {"SBUX"}
    assert "3 taken in as approved" in learned("ingest", live, "--approved").output
    assert learned("export", live).exit_code != 0
    assert "5 targets in" in learned("export", tmp_path / "all.jsonl", "--targets").output
