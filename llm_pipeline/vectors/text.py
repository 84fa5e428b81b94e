"""The rules of `domain.text` over a whole column at once: the same results, cell by cell.

Texts of ASCII go through as bytes; all others through the functions of the domain, each once.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_pipeline.domain.text import MAX_NORMALIZED_BYTES, group_key, normalize, text_problem
from llm_pipeline.vectors.bytes import Bytes, Flags, Runs, column, runs

_SPACE = 0x20


def _table(keep: Callable[[str], bool], *, fold: bool = False) -> Bytes:
    """What becomes of each byte: itself where it is kept, else a space."""
    characters = [chr(code) for code in range(128)]
    codes = [ord(c.lower() if fold else c) if keep(c) else _SPACE for c in characters]
    return np.array(codes + [_SPACE] * 128, np.uint8)


_FOLDED = _table(str.isalnum, fold=True)
_APOSTROPHE = ord("'")
_DIGIT = _table(str.isdigit) != _SPACE
_CONTROL = np.array([(code < 32 and code not in (9, 10, 13)) or code == 127 for code in range(256)])
# What `str.strip` takes away; Arrow's own idea of white space is another one.
_ALL_WHITESPACE = "".join(c for c in map(chr, range(0x3001)) if c.isspace())
_ASCII_WHITESPACE = "".join(c for c in _ALL_WHITESPACE if c.isascii())


def stripped(texts: pa.StringArray) -> pa.StringArray:
    """Return every cell as `str.strip` leaves it."""
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return pc.ascii_trim(texts, _ASCII_WHITESPACE)
    return pc.utf8_trim(texts, _ALL_WHITESPACE)


def normalized(texts: pa.StringArray) -> pa.StringArray:
    """Return the normalised form of every cell."""
    return _both(texts, _normalized_ascii, normalize)


def group_keys(normal: pa.StringArray) -> pa.StringArray:
    """Return the grouping key of every normalised form."""
    return _both(normal, _group_keys_ascii, group_key)


def problems(texts: pa.StringArray, normal: pa.StringArray) -> pa.StringArray:
    """Return what keeps each text from being a submission, or `ok`; normalised forms beside."""
    cells = runs(texts)
    size = pc.binary_length(normal).to_numpy()
    odd = cells.cells_with(_CONTROL[cells.data]) | (size == 0) | (size > MAX_NORMALIZED_BYTES)
    odd &= pc.binary_length(texts).to_numpy() > 0
    found = np.full(len(texts), "ok", object)
    for place in np.flatnonzero(odd):
        found[place] = text_problem(texts[place].as_py()) or "ok"
    return pa.array(found, pa.string())


def _both(
    texts: pa.StringArray,
    of_ascii: Callable[[pa.StringArray], pa.StringArray],
    of_one: Callable[[str], str],
) -> pa.StringArray:
    plain = pc.string_is_ascii(texts)
    if plain.true_count == len(texts):
        return of_ascii(texts)
    others = texts.filter(pc.invert(plain)).dictionary_encode()
    answers = pa.array([of_one(value) for value in others.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(
        of_ascii(pc.if_else(plain, texts, "")), pc.invert(plain), answers.take(others.indices)
    )


def _normalized_ascii(texts: pa.StringArray) -> pa.StringArray:
    cells = runs(texts)
    cells = cells.without(np.flatnonzero(cells.data == _APOSTROPHE))
    folded = Runs(_FOLDED[cells.data], cells.ends)
    return column(_one_space_apart(folded))


def _one_space_apart(cells: Runs) -> Runs:
    """Keep one space between words and none around them."""
    gap = cells.data == _SPACE
    words = cells.kept(~gap | ~_behind_a_gap(cells, gap))
    last = words.ends[1:][words.ends[1:] > words.ends[:-1]] - 1
    return words.without(last[words.data[last] == _SPACE])


def _behind_a_gap(cells: Runs, gap: Flags) -> Flags:
    """Which bytes begin a cell, or stand behind a space."""
    behind = np.empty(len(gap), np.bool_)
    behind[1:] = gap[:-1]
    behind[cells.starts()] = True
    return behind


def _group_keys_ascii(normal: pa.StringArray) -> pa.StringArray:
    cells = runs(normal)
    gap = cells.data == _SPACE
    number = np.cumsum(_behind_a_gap(cells, gap), dtype=np.int32)  # of the word, from 1
    coded = np.zeros(len(gap) and number[-1] + 1, np.bool_)
    coded[number[np.flatnonzero(_DIGIT[cells.data])]] = True
    # A space goes with the word behind it, the first one of a cell with none.
    number[gap] += 1
    words = cells.kept(~coded[number])
    first = words.starts()
    keys = column(words.without(first[words.data[first] == _SPACE]))
    return pc.if_else(pc.equal(pc.binary_length(keys), 0), normal, keys)
