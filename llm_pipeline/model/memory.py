"""What approved mappings say by themselves: exact repeats, and texts that differ only by codes.

No weights and no probabilities: `trust` says how far an entry's past speaks for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, NamedTuple

from llm_pipeline.domain.text import group_key, normalize

Evidence = Literal["exact", "key"]


class Entry(NamedTuple):
    """The last label of a text or key, the text it came with, and its past.

    `seen` counts the labels in a row that said the same, `changes` how often the label changed.
    """

    target: str
    text: str
    seen: int = 1
    changes: int = 0

    def followed_by(self, target: str, text: str) -> "Entry":
        if target == self.target:
            return Entry(target, text, self.seen + 1, self.changes)
        return Entry(target, text, 1, self.changes + 1)


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer of the memory; `example` is the approved text it rests on."""

    target: str
    evidence: Evidence
    example: str
    entry: Entry = field(compare=False, repr=False)
    under_key: Entry | None = field(compare=False, repr=False)


@dataclass(slots=True)
class Memory:
    """Last label of each exact text, else the latest label under its grouping key.

    Any number of threads may look up while others learn: readers make single `dict.get` calls on
    `exact` and `latest`, whose values are replaced and never changed; writers take turns under a
    lock, and only they touch `_members`.

    >>> memory = Memory()
    >>> memory.learn("AMZN MKTP CA*2K4", "5942")
    'amzn mktp ca'
    >>> memory.look_up("amzn mktp ca 9q1")
    Hit(target='5942', evidence='key', example='AMZN MKTP CA*2K4')
    """

    exact: dict[str, Entry] = field(default_factory=dict)
    latest: dict[str, Entry] = field(default_factory=dict)
    _members: dict[str, dict[str, None]] | None = field(default=None, repr=False, compare=False)
    _writing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.exact)

    def learn(self, text: str, target: str) -> str | None:
        """Remember the text; return its key if that is new, else None.

        A text that holds neither letters, digits nor symbols is left out.
        """
        normalized = normalize(text)
        if not normalized:
            return None
        key = group_key(normalized)
        with self._writing:
            if self._members is not None:
                members = self._members.setdefault(key, {})
                members.pop(normalized, None)
                members[normalized] = None
            before = self.exact.pop(normalized, None)  # `exact` keeps the order of learning
            self.exact[normalized] = _next(before, target, text)
            known = self.latest.get(key)
            self.latest[key] = _next(known, target, text)
        return key if known is None else None

    def forget(self, text: str) -> None:
        """Drop the text; its key falls back to the latest text that is still known."""
        normalized = normalize(text)
        key = group_key(normalized)
        with self._writing:
            if normalized not in self.exact:
                return
            members = self._by_key()[key]
            del self.exact[normalized], members[normalized]
            if members:
                last, known = self.exact[next(reversed(members))], self.latest[key]
                self.latest[key] = known._replace(target=last.target, text=last.text)
            else:
                del members, self.latest[key]
                self._by_key().pop(key)

    def set_past(self, exact: dict[str, tuple[int, int]], keys: dict[str, tuple[int, int]]) -> None:
        """Set `seen` and `changes` of texts and keys, as counted over a history."""
        with self._writing:
            for known, past in ((self.exact, exact), (self.latest, keys)):
                for name, (seen, changes) in past.items():
                    if name in known:
                        known[name] = known[name]._replace(seen=seen, changes=changes)

    def entries(self) -> list[tuple[str, Entry]]:
        """Return a copy of what is known, by normalised text, in the order of learning."""
        with self._writing:
            return list(self.exact.items())

    def look_up(self, text: str) -> Hit | None:
        normalized = normalize(text)
        entry, under_key = self.exact.get(normalized), self.latest.get(group_key(normalized))
        if entry is not None:
            return Hit(entry.target, "exact", entry.text, entry, under_key)
        if under_key is not None:
            return Hit(under_key.target, "key", under_key.text, under_key, under_key)
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """A lock cannot be pickled, as scikit-learn's own parallel tools do."""
        return restored, (self.entries(), list(self.latest.items()))

    def _by_key(self) -> dict[str, dict[str, None]]:
        """Return the texts of each key; counted up at the first text that is forgotten."""
        if self._members is None:
            self._members = {}
            for normalized in self.exact:
                self._members.setdefault(group_key(normalized), {})[normalized] = None
        return self._members


def restored(entries: Iterable[tuple[str, Entry]], keys: Iterable[tuple[str, Entry]]) -> Memory:
    """Return a memory with these entries of texts and of keys."""
    return Memory(exact=dict(entries), latest=dict(keys))


def _next(before: Entry | None, target: str, text: str) -> Entry:
    return Entry(target, text) if before is None else before.followed_by(target, text)
