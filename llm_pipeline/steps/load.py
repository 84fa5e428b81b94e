"""Load: entries of the catalogue in."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from llm_pipeline import files
from llm_pipeline.domain.center_events import TargetsLoaded
from llm_pipeline.domain.exported import TARGET_COLUMNS, is_ours
from llm_pipeline.domain.records import Target
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue, log
from llm_pipeline.store.engine import Session

MOST_TARGETS = 200_000  # all are held at once, and changed in one transaction
_LONGEST = 500  # characters of a key or a name, as the API takes them


def load_targets(
    session: Session, entries: list[Target], actor: str, at: datetime
) -> TargetsLoaded:
    """Create or update entries of the catalogue by their key."""
    loaded = catalogue.load(session, entries, log.next_offset(session))
    event = TargetsLoaded(actor, loaded.created, loaded.changed, loaded.total)
    log.append(session, at, event)
    return event


def read_targets(path: Path, key: str = "key", name: str = "name") -> list[Target]:
    """Read a catalogue from CSV: columns for key and name, `category` if there, the rest free."""
    header = files.columns(path)
    ours = is_ours(header)
    for needed in (key, name, *(TARGET_COLUMNS if ours else ())):
        if needed not in header:
            raise InvalidInput(f"{path.name} has no column {needed!r}; it has {', '.join(header)}")
    entries = []
    for row in _rows(path):
        try:
            entry = _entry(row, key, name, ours=ours)
        except InvalidInput as error:
            raise InvalidInput(
                f"{path.name} line {row.line}: {error}; nothing was loaded"
            ) from error
        if entry is not None:
            entries.append(entry)
        if len(entries) > MOST_TARGETS:
            raise InvalidInput(
                f"{path.name} has more than {MOST_TARGETS:,} entries; nothing was loaded"
            )
    return entries


def _rows(path: Path) -> Iterator[files.FileRow]:
    try:
        yield from files.read_rows(path)
    except files.UNREADABLE as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}; nothing was loaded") from error


def _entry(row: files.FileRow, key: str, name: str, *, ours: bool) -> Target | None:
    """Return the target of a row; None for one that an export of ours calls retired."""
    values = {column: value.strip() for column, value in row.values.items()}
    problem = row.problem or _problem(values, key, name)
    if problem:
        raise InvalidInput(problem)
    if ours and values["retired"] == "true":
        return None
    rest = {c: v for c, v in values.items() if c not in (key, name, "category") and v}
    attributes = _attributes(values["attributes"]) if ours else rest
    return Target(values[key], values[name], values.get("category", ""), attributes)


def _attributes(cell: str) -> dict[str, str]:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise InvalidInput('its attributes are no JSON object of texts, as {"ticker": "SBUX"} is')
    return found


def _problem(values: dict[str, str], *needed: str) -> str:
    for column in needed:
        if not values[column]:
            return f"the {column} is empty"
        if len(values[column]) > _LONGEST:
            return f"the {column} is over {_LONGEST} characters"
    return ""
