"""What the documentation promises: every command, setting, event and suite is in it."""

import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import llm_pipeline
from llm_pipeline.cli import app
from llm_pipeline.config import Settings
from llm_pipeline.domain.events import EVENTS
from llm_pipeline.gates.suites import SUITES

ROOT = Path(llm_pipeline.__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    "up",
    "targets load",
    "ingest",
    "recognize",
    "train",
    "promote",
    "rollback",
    "doubts",
    "review",
    "export",
    "report",
    "doctor",
    "bench replay",
    "search check",
    "search rebuild",
    "users token",
    "users link",
    "users revoke",
]


def _all_commands() -> set[str]:
    root = get_command(app)
    found = set()
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        nested = getattr(command, "commands", {})
        found |= {f"{name} {inner}" for inner in nested} or {name}
    return found


def test_the_list_of_commands_here_is_complete() -> None:
    assert _all_commands() == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_is_in_the_readme(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    assert f"`{command}" in README


@pytest.mark.parametrize("setting", list(Settings.model_fields))
def test_every_setting_is_described_and_in_the_readme(setting: str) -> None:
    assert Settings.model_fields[setting].description
    assert f"`LLM_PIPELINE_{setting.upper()}`" in README


@pytest.mark.parametrize("event", list(EVENTS))
def test_every_event_is_documented(event: str) -> None:
    assert EVENTS[event].__doc__
    assert re.fullmatch(r"[a-z_]+:[a-z_]+", event)
    assert f"`{event}`" in README


@pytest.mark.parametrize("suite", list(SUITES))
def test_every_suite_is_in_the_readme(suite: str) -> None:
    assert f"`{suite}`" in README


def test_every_file_of_the_package_is_in_the_file_map() -> None:
    folder = ROOT / "llm_pipeline"
    files = {p.name for p in folder.rglob("*.py") if p.stat().st_size and "versions" not in p.parts}
    assert sorted(name for name in files if name not in README) == []
