"""Load: entries of the catalogue in."""

import json
from datetime import datetime
from pathlib import Path

from llm_pipeline import files
from llm_pipeline.domain.center_events import TargetsLoaded
from llm_pipeline.domain.exported import is_ours
from llm_pipeline.domain.records import Target
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue, log
from llm_pipeline.store.engine import Session

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
    for needed in (key, name):
        if needed not in header:
            raise InvalidInput(f"{path.name} has no column {needed!r}; it has {', '.join(header)}")
    entries = []
    ours = is_ours(header)
    for row in files.read_rows(path):
        values = {column: value.strip() for column, value in row.values.items()}
        problem = row.problem or _problem(values, key, name)
        if problem:
            raise InvalidInput(f"{path.name} line {row.line}: {problem}; nothing was loaded")
        if ours and values["retired"] == "true":
            continue
        rest = {c: v for c, v in values.items() if c not in (key, name, "category") and v}
        if ours:
            rest = json.loads(values["attributes"])
        entries.append(Target(values[key], values[name], values.get("category", ""), rest))
    return entries


def _problem(values: dict[str, str], *needed: str) -> str:
    for column in needed:
        if not values[column]:
            return f"the {column} is empty"
        if len(values[column]) > _LONGEST:
            return f"the {column} is over {_LONGEST} characters"
    return ""
