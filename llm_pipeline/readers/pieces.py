"""The text of a file in pieces of whole lines, or line by line, without ever holding all of it."""

import re
from collections.abc import Iterator
from typing import TextIO

from llm_pipeline import files

PIECE = 2_000_000
_PART = 8_192
# A line that is longer cannot be a row: it is cut there, and what is left of it is passed over.
LONGEST_LINE = 16_000_000
_LINE_END = re.compile(r"\r\n|\n|\r")


class Pieces:
    """What follows in a file that is open; `cut` is put behind what is left of an endless line."""

    def __init__(self, file: TextIO, cut: str) -> None:
        self._file = file
        self._cut = cut
        self._held = ""
        self._error: Exception | None = None

    def whole_lines(self) -> str:
        """Return some lines, the last one with its end unless it is that of the file."""
        text = self._held + self._read()
        while not (end := _end_of_lines(text)):
            if len(text) > LONGEST_LINE:
                self._held = ""
                return text[:LONGEST_LINE] + self._skip_line()
            more = self._read()
            if not more:
                end = len(text)
                break
            text += more
        self._held = text[end:]
        return text[:end]

    def __iter__(self) -> Iterator[str]:
        while line := self._next_line():
            yield line

    def give_back(self, text: str) -> None:
        self._held = text + self._held

    def _read(self) -> str:
        """Read a piece in small parts, so that little of it is lost where a file is damaged."""
        if self._error is not None:
            raise self._error
        parts: list[str] = []
        try:
            for _ in range(max(1, PIECE // _PART)):
                parts.append(self._file.read(min(_PART, PIECE)))
                if not parts[-1]:
                    break
        except files.UNREADABLE as error:
            self._error = error
            if not parts:
                raise
        return "".join(parts)

    def _next_line(self) -> str:
        first = next(lines(self._held), "")
        self._held = self._held[len(first) :]
        if first.endswith("\r") and not self._held:
            self._held = self._file.read(1)
            if self._held == "\n":
                first, self._held = first + "\n", ""
        if first.endswith(("\n", "\r")):
            return first
        first += self._file.readline(LONGEST_LINE)
        if len(first) < LONGEST_LINE or first.endswith(("\n", "\r")):
            return first
        return first + self._skip_line()

    def _skip_line(self) -> str:
        while (more := self._file.readline(PIECE)) and not more.endswith(("\n", "\r")):
            pass
        return f"{self._cut}\n"


def _end_of_lines(text: str) -> int:
    # A carriage return that comes last may be half of a line end.
    return max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1


def lines(text: str) -> Iterator[str]:
    """Yield lines with their ends as a file opened with `newline=""` does."""
    start = 0
    for end in _LINE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    if start < len(text):
        yield text[start:]
