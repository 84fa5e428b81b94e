"""JSONL: an object a line. Numbers keep their digits, nested values stay JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_pipeline import files
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers.blocks import MOST_COLUMNS, Block, Rows, as_text, cells_problem
from llm_pipeline.readers.pieces import Pieces

_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_CUT = "..."  # behind an endless line, which is no JSON then
_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A file with a JSON object on each line, packed or not."""

    path: Path
    encoding: str
    columns: Sequence[str]

    @classmethod
    def open(cls, path: Path, encoding: str) -> "JsonLines":
        names: dict[str, None] = {}
        with files.open_text(path, encoding) as file:
            first = Pieces(file, _CUT).whole_lines().split("\n", _LOOKED_AT)[:_LOOKED_AT]
        for line in first:
            names |= dict.fromkeys(name for name in _object(line)[0] if name)
        if not any(line.strip() for line in first):
            raise InvalidInput(f"{path.name} is empty: each line must hold a JSON object")
        return cls(path, encoding, list(names))

    @property
    def columns_are_complete(self) -> bool:
        """Any line may have a new one."""
        return False

    def check_text(self, column: str) -> None:
        """Every line has its own types."""

    def total(self) -> int | None:
        return files.count_lines(self.path) or None

    def blocks(self) -> Iterator[Block]:
        with files.open_text(self.path, self.encoding) as file:
            text, row, line = Pieces(file, _CUT), 0, 1
            while piece := text.whole_lines():
                found = piece.split("\n")
                block = _block(found, row, line)
                line += len(found) - 1
                if block.last > row:
                    yield block
                row = block.last


def _block(found: Sequence[str], row: int, line: int) -> Block:
    objects: list[tuple[int, dict[str, str], str]] = []
    names: dict[str, None] = {}
    for number, said in enumerate(found, line):
        if said.strip():
            values, problem = _object(said)
            new = [name for name in values if name not in names]
            if len(names) + len(new) > MOST_COLUMNS:
                problem = f"with this row there are over {MOST_COLUMNS} different names"
            elif not problem:
                names |= dict.fromkeys(new)
            objects.append((number, values, problem))
    rows = Rows(list(names))
    for row, (number, values, problem) in enumerate(objects, row + 1):  # noqa: B020
        cells = list(values.values()) if problem else [values.get(name, "") for name in names]
        rows.add(row, number, cells, problem)
    return rows.block(row)


def _object(line: str) -> tuple[dict[str, str], str]:
    """Return the cells of a line and what is wrong with it."""
    try:
        said = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        return {"": line}, f"the line cannot be read as JSON: {error}" if line.strip() else ""
    if not isinstance(said, dict):
        return {"": line}, "the line cannot be read: it holds JSON, but no object"
    if any(isinstance(value, list | dict) for value in said.values()):
        plain = json.loads(line)
        said |= {name: value for name, value in plain.items() if isinstance(value, list | dict)}
    values = {name: as_text(value) for name, value in said.items()}
    return values, cells_problem([*values, *values.values()], files.MAX_CELL)
