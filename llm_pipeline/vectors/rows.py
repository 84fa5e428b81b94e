"""The rules of `domain.rows` over whole columns: a block of a file as submissions and as what the
gate looks at.

Cells in the usual spelling are read as columns, others by the functions of the domain, each once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from llm_pipeline.domain.exported import MAPPING_COLUMNS, is_ours
from llm_pipeline.domain.rows import (
    EMPTY,
    KNOWN,
    NONE,
    OK,
    Columns,
    KnownTargets,
    read_amount,
    read_time,
)
from llm_pipeline.vectors.bytes import whole
from llm_pipeline.vectors.text import group_keys, normalized, problems, stripped

_PLAIN_AMOUNT = r"^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$"
_PLAIN_JSON = r"^[ !#-\[\]-~]*$"
STATES = ("text", "text_length", "text_state", "target_state", "time_state", "amount_state")


@dataclass(frozen=True, slots=True)
class Known:
    """A catalogue as a column: a key's place in it is that of its id."""

    targets: KnownTargets
    keys: pa.StringArray
    ids: pa.Int64Array

    @classmethod
    def of(cls, targets: KnownTargets) -> "Known":
        keys, ids = list(targets.ids), list(targets.ids.values())
        return cls(targets, pa.array(keys, pa.string()), pa.array(ids, pa.int64()))


@dataclass(frozen=True, slots=True)
class Parsed:
    """Rows as submissions (`table`) and the columns of the gate (`states`), row by row."""

    table: pa.Table
    states: pd.DataFrame


def parse_rows(table: pa.Table, columns: Columns, known: Known, *, needs_target: bool) -> Parsed:
    """Turn cells into submissions; nothing is raised, problems go into the states."""
    text = _column(table, columns.text)
    normal = normalized(text)
    target_id, target_state = _targets(_column(table, columns.target), known, needs=needs_target)
    time, time_state = _times(_column(table, columns.time))
    amount, amount_state = _amounts(_column(table, columns.amount))
    submissions = {
        "text": text,
        "normalized": normal,
        "key": group_keys(normal),
        "target_id": target_id,
        "note": _column(table, columns.note),
        "occurred_at": time,
        "amount": amount,
        "extra": _extra(table, (*columns.named(), *_of_ours(table.column_names))),
    }
    length = pc.utf8_length(text)
    filled = pc.if_else(pc.equal(length, 0), pa.scalar(None, pa.string()), text)
    gated = (filled, length, problems(text, normal), target_state, time_state, amount_state)
    states = pa.Table.from_arrays(gated, names=STATES).to_pandas()
    return Parsed(pa.table(submissions), states)


def _of_ours(names: Sequence[str]) -> Sequence[str]:
    """Return the columns of our own files, which say nothing that a submission has to keep."""
    return MAPPING_COLUMNS if is_ours(names) else ()


def _column(table: pa.Table, name: str) -> pa.StringArray:
    if name not in table.column_names:
        return pa.array([""] * table.num_rows, pa.string())
    return stripped(whole(table.column(name)))


def _targets(
    keys: pa.StringArray, known: Known, *, needs: bool
) -> tuple[pa.Int64Array, pa.StringArray]:
    place = pc.index_in(keys, known.keys)
    empty = pc.equal(keys, "")
    state = pc.if_else(empty, EMPTY if needs else NONE, KNOWN)
    strange = pc.and_not(pc.is_null(place), empty)
    if pc.any(strange).as_py():
        others = keys.filter(strange).dictionary_encode()
        said = [known.targets.problem(key) for key in others.dictionary.to_pylist()]
        why = pa.array(said, pa.string()).take(others.indices)
        state = pc.replace_with_mask(state, strange, why)
    return known.ids.take(place), state


def _times(cells: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Return times as text that both databases take for UTC."""
    values = cells.dictionary_encode()
    read = [read_time(value) for value in values.dictionary.to_pylist()]
    times = pa.array([_written(when) for when, _ in read], pa.string())
    states = pa.array([state for _, state in read], pa.string())
    return times.take(values.indices), states.take(values.indices)


def _written(when: datetime | None) -> str | None:
    if when is None:
        return None
    return when.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _amounts(cells: pa.StringArray) -> tuple[pa.DoubleArray, pa.StringArray]:
    plain = pc.match_substring_regex(cells, _PLAIN_AMOUNT)
    digits = pc.utf8_ltrim(pc.if_else(plain, cells, pa.scalar(None, pa.string())), "+")
    numbers, states = digits.cast(pa.float64()), pc.if_else(plain, OK, NONE)
    odd = pc.and_not(pc.invert(plain), pc.equal(cells, ""))
    if not pc.any(odd).as_py():
        return numbers, states
    values = cells.filter(odd).dictionary_encode()
    read = [read_amount(value) for value in values.dictionary.to_pylist()]
    found = pa.array([amount for amount, _ in read], pa.float64()).take(values.indices)
    said = pa.array([state for _, state in read], pa.string()).take(values.indices)
    return pc.replace_with_mask(numbers, odd, found), pc.replace_with_mask(states, odd, said)


def _extra(table: pa.Table, named: Sequence[str]) -> pa.StringArray:
    """Return the cells of all other columns as JSON objects without the empty ones; null where
    nothing is left."""
    names = [name for name in table.column_names if name not in named]
    if not names:
        return pa.nulls(table.num_rows, pa.string())
    # Arrow's join leaves out rows in which it skips every part: empty parts, and nulls nowhere.
    parts = [_member(name, whole(table.column(name))) for name in names]
    members = pc.utf8_rtrim(pc.binary_join_element_wise(*parts, ""), ", ")
    objects = pc.binary_join_element_wise("{", members, "}", "")
    return pc.if_else(pc.equal(members, ""), pa.scalar(None, pa.string()), objects)


def _member(name: str, cells: pa.StringArray) -> pa.StringArray:
    """Return `"name": "cell", ` for every cell that is not empty."""
    plain = pc.match_substring_regex(cells, _PLAIN_JSON)
    quoted = pc.binary_join_element_wise('"', cells, '"', "")
    if plain.true_count < len(cells):
        odd = pc.invert(plain)
        values = cells.filter(odd).dictionary_encode()
        dumped = pa.array([json.dumps(v) for v in values.dictionary.to_pylist()], pa.string())
        quoted = pc.replace_with_mask(quoted, odd, dumped.take(values.indices))
    members = pc.binary_join_element_wise(f"{json.dumps(name)}: ", quoted, ", ", "")
    return pc.if_else(pc.equal(cells, ""), "", members)
