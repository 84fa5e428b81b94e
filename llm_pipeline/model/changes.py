"""A recogniser brought up to date with what the catalogue and texts say since it was trained."""

from collections.abc import Iterable
from itertools import groupby
from typing import Protocol

from llm_pipeline.domain.records import Target
from llm_pipeline.model.recognizer import Recognizer


class Entry(Protocol):
    """A target that was added, renamed or retired; `merged_into` is what took its place."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def attributes(self) -> dict[str, str]: ...
    @property
    def retired(self) -> bool: ...
    @property
    def merged_into(self) -> str | None: ...


def follow(
    recognizer: Recognizer,
    entries: Iterable[Entry],
    texts: Iterable[tuple[str, str | None]],
) -> None:
    """Take over changed entries of the catalogue, then let texts mean their targets from now on, in
    this order; None: nothing any more."""
    named = []
    for entry in entries:
        if entry.retired:
            recognizer.retire(entry.key, entry.merged_into)
        else:
            named.append(Target(entry.key, entry.name, entry.category, entry.attributes))
    recognizer.learn_names(named)
    for learned, same in groupby(texts, lambda change: change[1] is not None):
        if learned:
            recognizer.learn_all([(text, target or "") for text, target in same])
        else:
            for text, _ in same:
                recognizer.forget(text)
