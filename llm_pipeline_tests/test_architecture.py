"""Conventions that hold because they are tested: size, silence of imports, names, folders."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import llm_pipeline

PACKAGE = Path(llm_pipeline.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts and path.stat().st_size
)
VAGUE = {"utils", "util", "helpers", "common", "base", "misc", "manager", "core"}


def test_no_module_is_longer_than_300_lines() -> None:
    long = {p.name: n for p in MODULES if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def test_every_module_says_what_belongs_in_it() -> None:
    assert [p.name for p in MODULES if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_no_module_has_a_vague_name() -> None:
    assert [p.name for p in MODULES if p.stem in VAGUE] == []


def test_init_files_are_empty() -> None:
    assert [p for p in PACKAGE.rglob("__init__.py") if p.read_text()] == []


def test_the_mlflow_folder_does_not_shadow_the_library() -> None:
    assert not list((ROOT / "mlflow").glob("**/*.py"))


def test_what_benchmarks_take_of_the_package_is_there() -> None:
    """Nothing runs them but people, months later."""
    missing = [
        f"{path.name}: {node.module}.{one.name}"
        for path in (ROOT / "benchmarks").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llm_pipeline")
        for one in node.names
        if not _is_there(node.module or "", one.name)
    ]
    assert missing == []


def _is_there(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


def test_no_handler_swallows_every_exception() -> None:
    """Cleaning up and raising again is no swallowing."""
    broad = {"Exception", "BaseException"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in broad))
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert found == []


@pytest.mark.parametrize("module", ["llm_pipeline.definitions", "llm_pipeline.cli"])
def test_importing_an_entry_point_does_nothing_and_stays_light(module: str, tmp_path: Path) -> None:
    code = (
        f"import sys, os; before = dict(os.environ); import {module}; "
        "heavy = {'mlflow', 'great_expectations', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy; assert dict(os.environ) == before"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
