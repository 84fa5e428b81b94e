"""The distinct words of all mappings, in memory: which contain a part, which are nearest to a word.

A word is found by scanning one long string of them. Most words are codes of letters and digits:
those are kept once more by their longest runs of either, so that a part is looked for only where
there is room for it. For typos the words that cannot be near are dropped by the characters they
have (`masks`), a few ms a million.
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

_BREAK = b"\n"
_LONGEST_RUN = 8
_PIECE = 1 << 17  # bytes that stay in a core's cache while they are compared
Codepoints = NDArray[np.uint32]
_Part = TypeVar("_Part", bound=Sized)


@dataclass(frozen=True, slots=True)
class Words:
    """Words of one kind as one string, each between line breaks, and what is known of each."""

    joined: bytes
    ends: NDArray[np.int64]
    lengths: NDArray[np.int64]
    masks: NDArray[np.uint64]

    @classmethod
    def of(cls, words: Sequence[str]) -> "Words":
        text = "".join(f"{word}\n" for word in words)
        codepoints = _codepoints(text)
        breaks = np.flatnonzero(codepoints == ord(_BREAK))
        starts = np.concatenate(([0], breaks[:-1] + 1)) if len(words) else breaks
        joined = _BREAK + text.encode()
        ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == ord(_BREAK))[1:]
        return cls(joined, ends, breaks - starts, _masks(codepoints, starts))

    def __add__(self, other: "Words") -> "Words":
        moved = other.ends + (len(self.joined) - 1)
        return Words(
            self.joined + other.joined[1:],
            np.concatenate((self.ends, moved)),
            np.concatenate((self.lengths, other.lengths)),
            np.concatenate((self.masks, other.masks)),
        )

    def near(self, word: str, most: int) -> list[str]:
        """Return the words that `most` edits could turn into `word`, and some that they could not.

        An edit changes the length by one at most, and takes away and adds one character at most.
        """
        own = _masks(_codepoints(f"{word}\n"), np.array([0]))[0]
        alike = np.bitwise_count(self.masks ^ own) <= 2 * most
        alike &= np.abs(self.lengths - len(word)) <= most
        return [self._word(int(place)) for place in np.flatnonzero(alike)]

    def _word(self, place: int) -> str:
        begin = 1 if place == 0 else int(self.ends[place - 1]) + 1
        return self.joined[begin : int(self.ends[place])].decode()


def _codepoints(text: str) -> Codepoints:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _masks(codepoints: Codepoints, starts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Which characters each word has, one bit for each; letters and digits share few bits."""
    if not len(starts):
        return np.empty(0, np.uint64)
    bits = np.uint64(1) << ((codepoints.astype(np.uint64) + 16) & np.uint64(63))
    return np.bitwise_or.reduceat(bits, starts)


def _containing(joined: bytes, part: bytes) -> Iterator[str]:
    seen = 0  # a word may contain a part twice
    for at in chain.from_iterable(_places(joined, part)):
        if at >= seen:
            seen = joined.find(_BREAK, at)
            yield joined[joined.rfind(_BREAK, 0, at) + 1 : seen].decode()


def _places(joined: bytes, part: bytes) -> Iterator[list[int]]:
    """Yield where a part stands, piece by piece: a third of the time that `bytes.find` takes."""
    text = np.frombuffer(joined, np.uint8)
    stop = len(text) + 1 - len(part)
    for begin in range(0, stop, _PIECE):
        end = min(begin + _PIECE, stop)
        found = text[begin:end] == part[0]
        for place in range(1, len(part)):
            found &= text[begin + place : end + place] == part[place]
        yield (np.flatnonzero(found) + begin).tolist()


@dataclass(frozen=True, slots=True)
class Runs:
    """Words between line breaks, in one string for each length of the longest run without certain
    characters; the last has all that are longer."""

    joined: tuple[bytes, ...]

    @classmethod
    def of(cls, words: Sequence[str], codepoints: Codepoints, first: str, last: str) -> "Runs":
        """Take words by the runs without characters from `first` to `last`."""
        if not words:
            return cls((_BREAK,) * (_LONGEST_RUN + 1))
        ends = codepoints == ord(_BREAK)
        stops = np.flatnonzero(
            ends | (codepoints - np.uint32(ord(first)) <= ord(last) - ord(first))
        )
        begins = np.concatenate(([0], np.flatnonzero(ends[stops])[:-1] + 1))
        runs = np.maximum.reduceat(np.diff(stops, prepend=-1) - 1, begins).clip(max=_LONGEST_RUN)
        ordered = np.array(words, dtype=object)[np.argsort(runs.astype(np.int8), kind="stable")]
        places = np.cumsum(np.bincount(runs, minlength=_LONGEST_RUN + 1))[:-1]
        return cls(tuple("\n".join(["", *some, ""]).encode() for some in np.split(ordered, places)))

    def __add__(self, other: "Runs") -> "Runs":
        return Runs(tuple(a + b[1:] for a, b in zip(self.joined, other.joined, strict=True)))

    def containing(self, part: str) -> Iterator[str]:
        for joined in self.joined[len(part) :] or self.joined[-1:]:
            yield from _containing(joined, part.encode())


@dataclass(frozen=True, slots=True)
class Block:
    """Words by kind, so that a part of digits is not looked for in words of letters.

    `lettered` and `numbered` are the mixed ones by their runs of letters and of digits.
    """

    letters: Words
    digits: Words
    mixed: Words
    lettered: Runs
    numbered: Runs

    @classmethod
    def of(cls, words: Sequence[str]) -> "Block":
        letters = [word for word in words if word.isalpha()]
        digits = [word for word in words if word.isdigit()]
        mixed = [word for word in words if not word.isalpha() and not word.isdigit()]
        codepoints = _codepoints("".join(f"{word}\n" for word in mixed))
        return cls(
            Words.of(letters),
            Words.of(digits),
            Words.of(mixed),
            Runs.of(mixed, codepoints, "0", "9"),
            Runs.of(mixed, codepoints, "a", "z"),
        )

    def __add__(self, other: "Block") -> "Block":
        return Block(
            self.letters + other.letters,
            self.digits + other.digits,
            self.mixed + other.mixed,
            self.lettered + other.lettered,
            self.numbered + other.numbered,
        )

    def __len__(self) -> int:
        return sum(len(words.ends) for words in (self.letters, self.digits, self.mixed))

    def containing(self, part: str) -> Iterator[str]:
        if part.isalpha():
            yield from _containing(self.letters.joined, part.encode())
            yield from self.lettered.containing(part)
        elif part.isdigit():
            yield from _containing(self.digits.joined, part.encode())
            yield from self.numbered.containing(part)
        else:
            yield from _containing(self.mixed.joined, part.encode())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All words up to `last_id`; adding some makes a new one, so that searches need no lock."""

    last_id: int = 0
    blocks: tuple[Block, ...] = field(default=())

    def with_words(self, words: Sequence[str], last_id: int) -> "Vocabulary":
        return Vocabulary(last_id, _grown(self.blocks, Block.of(words), Block.__add__))

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def containing(self, part: str) -> Iterator[str]:
        """Yield the words that contain a part, finding them as they are asked for."""
        for block in self.blocks:
            yield from block.containing(part)

    def nearest(self, word: str, limit: int) -> list[str]:
        """Return the other words at the smallest edit distance, swapped neighbours being one edit.

        One edit is forgiven in three to five characters, two in more, as in Lucene's AUTO.
        """
        if len(word) <= 2:
            return []
        most = 1 if len(word) <= 5 else 2
        near = [found for one in self._alike(word) for found in one.near(word, most)]
        if not near:
            return []
        distances = process.cdist(
            [word], near, scorer=OSA.distance, score_cutoff=most, dtype=np.uint8
        )[0]
        distances[distances == 0] = most + 1
        best = int(distances.min())
        if best > most:
            return []
        return [near[place] for place in np.flatnonzero(distances == best)[:limit]]

    def _alike(self, word: str) -> Iterator[Words]:
        for block in self.blocks:
            if word.isalpha():
                yield block.letters
            else:
                yield from (block.letters, block.digits, block.mixed)


@dataclass(frozen=True, slots=True)
class Known:
    """Which words there are, and nothing else about them: a sixth of a vocabulary's memory.

    A word is a hash of 64 bits: among ten million two share theirs with a chance of 1 in 400,000.
    """

    last_id: int = 0
    parts: tuple[NDArray[np.int64], ...] = field(default=())

    def with_words(self, words: Sequence[str], last_id: int) -> "Known":
        return Known(last_id, _grown(self.parts, np.sort(_hashes(words)), _sorted_together))

    def missing(self, words: Sequence[str]) -> list[str]:
        """Return those of some words that are not known."""
        hashes = _hashes(words)
        new = np.ones(len(words), dtype=bool)
        for part in filter(len, self.parts):
            places = np.searchsorted(part, hashes).clip(max=len(part) - 1)
            new &= part[places] != hashes
        return [words[int(place)] for place in np.flatnonzero(new)]


def _hashes(words: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, words), np.int64, len(words))


def _sorted_together(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    both = np.concatenate((one, other))
    both.sort(kind="stable")  # in place: a copy would be a third of the peak
    return both


def _grown(
    parts: Sequence[_Part], new: _Part, merged: Callable[[_Part, _Part], _Part]
) -> tuple[_Part, ...]:
    """Return parts with a new one, merged so that each is at least twice as large as the next."""
    grown = [*parts, new]
    while len(grown) > 1 and len(grown[-2]) < 2 * len(grown[-1]):
        last = grown.pop()
        grown[-1] = merged(grown[-1], last)
    return tuple(grown)
