"""Lists in pages: the shape of a page, and cursors that callers pass back as they got them."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel

from llm_pipeline.errors import InvalidInput

Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """One page of a list. Counting may stop early, then `total_is_exact` is false."""

    items: list[Item]
    next_cursor: str | None
    total: int
    total_is_exact: bool


def cursor_of(position: str | int) -> str:
    """Return where a page ended as an opaque word.

    >>> position_of(cursor_of("SBUX"))
    'SBUX'
    """
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def page_of(
    found: Sequence[Row],
    limit: int,
    told: Callable[[Row], Item],
    total: int,
    *,
    place: str = "id",
    is_exact: bool = True,
) -> Page[Item]:
    """Return the first `limit` rows as a page; of `found` there is one more if the list goes on.

    `place` is the attribute that says where in the list a row stands.
    """
    return Page(
        items=[told(row) for row in found[:limit]],
        next_cursor=cursor_of(getattr(found[limit - 1], place)) if len(found) > limit else None,
        total=total,
        total_is_exact=is_exact,
    )


def position_of(cursor: str) -> str:
    """Return what `cursor_of` was given."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        word = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        word = ""
    if not word.startswith("after:") or "\x00" in word:
        raise InvalidInput(
            f"cursor {cursor[:40]!r} is not one: pass `next_cursor` of the page before unchanged"
        )
    return word.removeprefix("after:")


def row_position(cursor: str | None) -> int | None:
    """Return the id at which a page of rows goes on."""
    if cursor is None:
        return None
    position = position_of(cursor)
    if not position.isdecimal() or int(position) >= 2**63:
        raise InvalidInput(f"cursor {cursor[:40]!r} belongs to another list")
    return int(position)
